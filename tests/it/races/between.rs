//! The five races between two machines: who saves second hears EAGAIN from the call that is
//! documented, the winner's bytes stand, the loser's are kept, and the loser is told once. The winner
//! is another mount, or a program that knows nothing of etagfs.

use super::actor::{Actor, Done, Fd, errno};
use super::kept::{self, Lost};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::servers::{self, Kind};

const ABSENT: &str = "absent";

/// Who is first.
enum Winner {
    /// A process on another mount.
    Mount(Actor, #[allow(dead_code)] Mounted),
    /// Another S3 client.
    Foreign(Client),
}

impl Winner {
    /// Saves a key; its new ETag.
    #[track_caller]
    fn save(&mut self, at: &Client, key: &str, text: &str) -> String {
        match self {
            Self::Mount(actor, _) => {
                // Read first, as a program that changes a value does: what it saw before is old.
                if at.head(key).is_some() {
                    actor.cat(key);
                }
                actor.save(key, text).unwrap();
            }
            Self::Foreign(client) => drop(client.put(key, text.to_owned())),
        }
        assert_eq!(at.text(key), text);
        at.head(key).unwrap().etag
    }

    #[track_caller]
    fn delete(&mut self, at: &Client, key: &str) {
        match self {
            Self::Mount(actor, _) => actor.unlink(key).unwrap(),
            Self::Foreign(client) => client.delete(key),
        }
        assert_eq!(at.get(key), None);
    }
}

/// A bucket, the mount of the loser, and a winner.
struct Race {
    /// The loser. Before its mount: an actor's directory keeps it busy.
    a: Actor,
    mount: Mounted,
    winner: Winner,
    /// Looks at the bucket.
    bucket: Client,
}

impl Race {
    /// The winner saves; the new ETag.
    #[track_caller]
    fn wins(&mut self, key: &str, text: &str) -> String {
        self.winner.save(&self.bucket, key, text)
    }

    #[track_caller]
    fn deletes(&mut self, key: &str) {
        self.winner.delete(&self.bucket, key);
    }

    #[track_caller]
    fn stands(&self, key: &str, text: &str) {
        assert_eq!(self.bucket.text(key), text);
    }

    /// Somebody saved again since the loser was told: its deliberate second save replaces what it was
    /// told of and not this. Told again, it may.
    #[track_caller]
    fn told_once(&mut self, key: &str) {
        self.a.save(key, "the second, on purpose").unwrap();
        self.stands(key, "the second, on purpose");
        self.wins(key, "a newer one");
        assert_eq!(self.a.save(key, "the third"), errno("EAGAIN"));
        self.stands(key, "a newer one");
        self.a.save(key, "the third, on purpose").unwrap();
        self.stands(key, "the third, on purpose");
    }
}

/// Runs a race with each kind of winner.
fn race(against: impl Fn(Race)) {
    or_skip!(mounts::possible());
    let server = or_skip!(servers::shared(Kind::Embedded));
    for foreign in [false, true] {
        let bucket = server.bucket();
        let mount = Mount::of(&bucket).flat().start();
        let winner = match foreign {
            true => Winner::Foreign(bucket.client()),
            false => {
                let other = Mount::of(&bucket).flat().start();
                Winner::Mount(Actor::within(other.path()), other)
            }
        };
        against(Race {
            bucket: bucket.client(),
            a: Actor::within(mount.path()),
            mount,
            winner,
        });
    }
}

/// Reads all of an open file and replaces it, without saving it yet.
#[track_caller]
fn edit(a: &mut Actor, fd: Fd, text: &str) -> Done {
    a.truncate(fd)?;
    a.write(fd, text)
}

#[test]
fn a_save_through_the_descriptor_that_read_an_older_version_fails_at_fsync_and_at_close() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        let fd = race.a.open("key", "r+");
        assert_eq!(race.a.read(fd), "old");
        let won = race.wins("key", "theirs");
        edit(&mut race.a, fd, "mine").unwrap();
        race.stands("key", "theirs");
        assert_eq!(race.a.fsync(fd), errno("EAGAIN"));
        race.stands("key", "theirs");
        // The handle is lost for good: no byte of it goes anywhere.
        assert_eq!(race.a.write(fd, "more"), errno("ESTALE"));
        assert_eq!(race.a.truncate(fd), errno("ESTALE"));
        assert_eq!(race.a.fsync(fd), errno("EAGAIN"));
        assert_eq!(race.a.close(fd), errno("EAGAIN"));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "fsync",
            key: "key",
            expected: &old,
            found: &won,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        assert_eq!(race.a.cat("key"), "theirs");
        race.told_once("key");
    });
}

#[test]
fn a_save_without_fsync_fails_at_close_and_its_process_is_told_without_reading() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        let fd = race.a.open("key", "r+");
        assert_eq!(race.a.read(fd), "old");
        let won = race.wins("key", "theirs");
        edit(&mut race.a, fd, "mine").unwrap();
        assert_eq!(race.a.close(fd), errno("EAGAIN"));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "flush",
            key: "key",
            expected: &old,
            found: &won,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.told_once("key");
    });
}

#[test]
fn a_truncating_open_of_a_key_that_changed_since_it_was_read_fails_before_anything_is_lost() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        let won = race.wins("key", "theirs");
        assert_eq!(race.a.try_open("key", "w"), Err("EAGAIN".to_owned()));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "open",
            key: "key",
            expected: &old,
            found: &won,
            text: None,
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.told_once("key");
    });
}

#[test]
fn a_truncated_key_that_changes_before_it_is_closed_fails_at_close() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        let fd = race.a.open("key", "w");
        race.stands("key", "old");
        let won = race.wins("key", "theirs");
        race.a.write(fd, "mine").unwrap();
        assert_eq!(race.a.close(fd), errno("EAGAIN"));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "flush",
            key: "key",
            expected: &old,
            found: &won,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.told_once("key");
    });
}

#[test]
fn a_file_renamed_over_a_key_that_changed_since_it_was_read_fails_and_stays() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        race.a.save("new", "mine").unwrap();
        let won = race.wins("key", "theirs");
        assert_eq!(race.a.rename("new", "key"), errno("EAGAIN"));
        race.stands("key", "theirs");
        assert_eq!(race.a.cat("new"), "mine");
        let lost = Lost {
            op: "rename",
            key: "key",
            expected: &old,
            found: &won,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        // On purpose, and over exactly what it was told of.
        race.wins("key", "a newer one");
        assert_eq!(race.a.rename("new", "key"), errno("EAGAIN"));
        race.stands("key", "a newer one");
        race.a.rename("new", "key").unwrap();
        race.stands("key", "mine");
        assert_eq!(race.bucket.keys(), ["key"]);
    });
}

#[test]
fn a_key_created_by_two_is_that_of_the_first_to_close() {
    race(|mut race| {
        let fd = race.a.open("key", "x");
        race.a.write(fd, "mine").unwrap();
        assert_eq!(race.bucket.keys(), [""; 0]);
        let won = match &mut race.winner {
            Winner::Mount(actor, _) => {
                actor.create("key", "theirs").unwrap();
                race.bucket.head("key").unwrap().etag
            }
            Winner::Foreign(client) => client.put_if_absent("key", "theirs").saved(),
        };
        assert_eq!(race.a.close(fd), errno("EAGAIN"));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "flush",
            key: "key",
            expected: ABSENT,
            found: &won,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        // Now it is visible.
        assert_eq!(race.a.create("key", "again"), errno("EEXIST"));
        assert_eq!(race.a.cat("key"), "theirs");
        race.told_once("key");
    });
}

#[test]
fn a_key_that_is_there_is_not_created_by_a_second() {
    race(|mut race| {
        race.wins("key", "theirs");
        assert_eq!(race.a.create("key", "mine"), errno("EEXIST"));
        race.stands("key", "theirs");
        kept::only(&race.mount, &[]);
    });
}

#[test]
fn a_key_that_was_deleted_while_it_was_open_stays_deleted() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        let fd = race.a.open("key", "r+");
        assert_eq!(race.a.read(fd), "old");
        race.deletes("key");
        edit(&mut race.a, fd, "mine").unwrap();
        assert_eq!(race.a.fsync(fd), errno("EAGAIN"));
        assert_eq!(race.a.close(fd), errno("EAGAIN"));
        assert_eq!(race.bucket.keys(), [""; 0]);
        let lost = Lost {
            op: "fsync",
            key: "key",
            expected: &old,
            found: ABSENT,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.told_once("key");
    });
}

#[test]
fn a_key_that_was_deleted_since_it_was_read_is_not_brought_back_unknowingly() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        race.deletes("key");
        assert_eq!(race.a.try_open("key", "w"), Err("EAGAIN".to_owned()));
        assert_eq!(race.bucket.keys(), [""; 0]);
        let lost = Lost {
            // The kernel opens what this mount knows of, as long as that is younger than its TTL.
            op: "open|create",
            key: "key",
            expected: &old,
            found: ABSENT,
            text: None,
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.told_once("key");
    });
}

#[test]
fn a_file_is_not_renamed_to_a_key_that_was_deleted_since_it_was_read() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        race.a.save("new", "mine").unwrap();
        race.deletes("key");
        assert_eq!(race.a.rename("new", "key"), errno("EAGAIN"));
        assert_eq!(race.bucket.keys(), ["new"]);
        let lost = Lost {
            op: "rename",
            key: "key",
            expected: &old,
            found: ABSENT,
            text: Some("mine"),
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.a.rename("new", "key").unwrap();
        race.stands("key", "mine");
        assert_eq!(race.bucket.keys(), ["key"]);
    });
}

#[test]
fn a_key_is_not_deleted_by_who_read_an_older_version() {
    race(|mut race| {
        let old = race.bucket.put("key", "old");
        assert_eq!(race.a.cat("key"), "old");
        let won = race.wins("key", "theirs");
        assert_eq!(race.a.unlink("key"), errno("EAGAIN"));
        race.stands("key", "theirs");
        let lost = Lost {
            op: "unlink",
            key: "key",
            expected: &old,
            found: &won,
            text: None,
            pid: race.a.pid(),
        };
        kept::only(&race.mount, &[lost]);
        race.wins("key", "a newer one");
        assert_eq!(race.a.unlink("key"), errno("EAGAIN"));
        race.a.unlink("key").unwrap();
        assert_eq!(race.bucket.keys(), [""; 0]);
    });
}

#[test]
fn who_must_read_again_after_a_conflict_is_refused_until_it_does() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let client = bucket.client();
    let mount = Mount::of(&bucket)
        .flat()
        .arg("--after-conflict=reread")
        .start();
    let mut a = Actor::within(mount.path());
    client.put("key", "old");
    assert_eq!(a.cat("key"), "old");
    client.put("key", "theirs");
    for _ in 0..3 {
        assert_eq!(a.save("key", "mine"), errno("EAGAIN"));
        assert_eq!(client.text("key"), "theirs");
    }
    assert_eq!(a.cat("key"), "theirs");
    a.save("key", "mine").unwrap();
    assert_eq!(client.text("key"), "mine");
}
