//! Races between processes of one machine: they conflict like two machines, but a race that is
//! already lost costs no request, since the mount knows (W12).

use super::actor::{Actor, errno};
use super::kept::{self, Lost};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Op, Proxy};
use crate::world::servers::{self, Kind};

/// A mount, what it sends, and two processes on it.
struct Machine {
    // Before the mount: an actor's directory keeps it busy.
    a: Actor,
    b: Actor,
    mount: Mounted,
    proxy: Proxy,
    bucket: Client,
}

impl Machine {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = Mount::of(&bucket).flat().through(&proxy).start();
        Ok(Self {
            bucket: bucket.client(),
            a: Actor::within(mount.path()),
            b: Actor::within(mount.path()),
            proxy,
            mount,
        })
    }

    fn etag(&self, key: &str) -> String {
        self.bucket.head(key).unwrap().etag
    }

    /// Does something that must not send a request.
    #[track_caller]
    fn in_silence<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.proxy.mark();
        let result = act(self);
        assert_eq!(self.proxy.since(mark).to_string(), "", "requests were sent");
        result
    }
}

#[test]
fn the_second_of_two_editors_is_refused_without_a_request() {
    let mut m = or_skip!(Machine::new());
    let old = m.bucket.put("key", "old");
    let (a, b) = (m.a.open("key", "r+"), m.b.open("key", "r+"));
    assert_eq!((m.a.read(a), m.b.read(b)), ("old".into(), "old".into()));
    m.a.truncate(a).unwrap();
    m.a.write(a, "mine").unwrap();
    m.b.truncate(b).unwrap();
    m.b.write(b, "theirs").unwrap();
    m.b.close(b).unwrap();
    m.in_silence(|m| {
        assert_eq!(m.a.fsync(a), errno("EAGAIN"));
        assert_eq!(m.a.close(a), errno("EAGAIN"));
    });
    assert_eq!(m.bucket.text("key"), "theirs");
    let lost = Lost {
        op: "fsync",
        key: "key",
        expected: &old,
        found: &m.etag("key"),
        text: Some("mine"),
        pid: m.a.pid(),
    };
    kept::only(&m.mount, &[lost]);
    // Told once: it may replace that version.
    m.a.save("key", "mine, on purpose").unwrap();
    assert_eq!(m.bucket.text("key"), "mine, on purpose");
}

#[test]
fn the_second_of_two_truncating_writers_is_refused_without_a_request() {
    let mut m = or_skip!(Machine::new());
    m.bucket.put("key", "old");
    let (a, b) = (m.a.open("key", "w"), m.b.open("key", "w"));
    m.a.write(a, "mine").unwrap();
    m.b.write(b, "theirs").unwrap();
    m.b.close(b).unwrap();
    m.in_silence(|m| assert_eq!(m.a.close(a), errno("EAGAIN")));
    assert_eq!(m.bucket.text("key"), "theirs");
}

#[test]
fn the_second_of_two_creators_is_refused_without_a_request() {
    let mut m = or_skip!(Machine::new());
    let a = m.a.open("key", "w");
    // The file exists for this machine as soon as it was created.
    assert_eq!(m.b.try_open("key", "x"), Err("EEXIST".to_owned()));
    let b = m.b.open("key", "w");
    m.a.write(a, "mine").unwrap();
    m.b.write(b, "theirs").unwrap();
    m.b.close(b).unwrap();
    m.in_silence(|m| assert_eq!(m.a.close(a), errno("EAGAIN")));
    assert_eq!(m.bucket.text("key"), "theirs");
}

#[test]
fn of_eight_that_save_at_once_one_sends_a_request() {
    let mut m = or_skip!(Machine::new());
    m.bucket.put("key", "old");
    let mut actors: Vec<_> = (0..8).map(|_| Actor::within(m.mount.path())).collect();
    let fds: Vec<_> = actors
        .iter_mut()
        .map(|actor| {
            let fd = actor.open("key", "r+");
            actor.write(fd, &format!("by {}", actor.pid())).unwrap();
            fd
        })
        .collect();
    let mark = m.proxy.mark();
    for (actor, fd) in actors.iter_mut().zip(&fds) {
        actor.begin(&serde_json::json!(["fsync", fd]));
    }
    let results: Vec<_> = actors.iter_mut().map(Actor::end).collect();
    let saved: Vec<_> = actors
        .iter()
        .zip(&results)
        .filter(|(_, result)| result.is_ok())
        .map(|(actor, _)| actor.pid())
        .collect();
    assert_eq!(saved.len(), 1, "{results:?}");
    assert_eq!(m.bucket.text("key"), format!("by {}", saved[0]));
    assert_eq!(m.proxy.since(mark).counts().line(), "PUT 1");
    // Reading again, all of them may save, one after the other.
    m.a.cat("key");
    m.a.save("key", "new").unwrap();
}

#[test]
fn who_has_a_key_open_loses_to_a_rename_over_it_without_a_request() {
    let mut m = or_skip!(Machine::new());
    let old = m.bucket.put("key", "old");
    let a = m.a.open("key", "r+");
    assert_eq!(m.a.read(a), "old");
    m.a.write(a, "mine").unwrap();
    assert_eq!(m.b.cat("key"), "old");
    m.b.save("new", "theirs").unwrap();
    m.b.rename("new", "key").unwrap();
    m.in_silence(|m| assert_eq!(m.a.close(a), errno("EAGAIN")));
    assert_eq!(m.bucket.text("key"), "theirs");
    assert_eq!(m.bucket.keys(), ["key"]);
    let lost = Lost {
        op: "flush",
        key: "key",
        expected: &old,
        found: &m.etag("key"),
        text: Some("mine"),
        pid: m.a.pid(),
    };
    kept::only(&m.mount, &[lost]);
    m.a.save("key", "mine, on purpose").unwrap();
    assert_eq!(m.bucket.text("key"), "mine, on purpose");
}

#[test]
fn a_writer_that_lost_to_a_rename_does_not_spoil_later_saves_of_the_name() {
    let mut m = or_skip!(Machine::new());
    m.bucket.put("key", "old");
    let a = m.a.open("key", "r+");
    m.a.write(a, "mine").unwrap();
    m.b.save("new", "theirs").unwrap();
    m.b.rename("new", "key").unwrap();
    // Through the moved inode, while the replaced one is still open.
    m.b.save("key", "theirs, again").unwrap();
    assert_eq!(m.a.close(a), errno("EAGAIN"));
    assert_eq!(m.bucket.text("key"), "theirs, again");
    m.b.save("key", "theirs, a third time").unwrap();
    assert_eq!(m.b.cat("key"), "theirs, a third time");
    assert_eq!(m.bucket.text("key"), "theirs, a third time");
}

#[test]
fn a_file_that_is_renamed_while_it_is_dirty_goes_on_under_its_new_name() {
    let mut m = or_skip!(Machine::new());
    m.bucket.put("key", "old");
    let a = m.a.open("key", "r+");
    m.a.write(a, "one").unwrap();
    m.a.rename("key", "moved").unwrap();
    assert_eq!(m.bucket.text("moved"), "one");
    m.a.write(a, "two").unwrap();
    m.a.close(a).unwrap();
    assert_eq!(m.bucket.text("moved"), "two");
    assert_eq!(m.bucket.keys(), ["moved"]);
    kept::only(&m.mount, &[]);
}

#[test]
fn a_dirty_file_that_is_unlinked_on_its_own_machine_closes_in_peace() {
    let mut m = or_skip!(Machine::new());
    for unlinked_by_its_writer in [true, false] {
        m.bucket.put("key", "old");
        let a = m.a.open("key", "r+");
        m.a.write(a, "in vain").unwrap();
        match unlinked_by_its_writer {
            true => m.a.unlink("key").unwrap(),
            false => m.b.unlink("key").unwrap(),
        }
        assert_eq!(m.bucket.keys(), [""; 0]);
        m.in_silence(|m| {
            m.a.write(a, "still in vain").unwrap();
            assert_eq!(m.a.read(a), "still in vain");
            m.a.fsync(a).unwrap();
            m.a.close(a).unwrap();
        });
        assert_eq!(m.bucket.keys(), [""; 0]);
    }
    kept::only(&m.mount, &[]);
}

#[test]
fn a_new_file_that_is_unlinked_before_it_is_closed_never_reaches_the_store() {
    let mut m = or_skip!(Machine::new());
    let a = m.a.open("key", "x");
    m.a.write(a, "in vain").unwrap();
    m.a.unlink("key").unwrap();
    m.a.close(a).unwrap();
    assert_eq!(m.proxy.log().key("key").of(Op::Put).len(), 0);
    assert_eq!(m.bucket.keys(), [""; 0]);
    kept::only(&m.mount, &[]);
}

#[test]
fn a_key_created_again_is_not_touched_by_the_writer_of_the_unlinked_one() {
    let mut m = or_skip!(Machine::new());
    m.bucket.put("key", "old");
    let a = m.a.open("key", "r+");
    m.a.write(a, "in vain").unwrap();
    m.b.unlink("key").unwrap();
    m.b.save("key", "theirs").unwrap();
    m.in_silence(|m| m.a.close(a).unwrap());
    assert_eq!(m.bucket.text("key"), "theirs");
    kept::only(&m.mount, &[]);
}

/// In whichever order they come, one explains both: saved and then deleted, or deleted and then
/// closed in vain.
#[test]
fn a_close_and_an_unlink_at_the_same_time_both_succeed() {
    let mut m = or_skip!(Machine::new());
    for round in 0..20 {
        m.bucket.put("key", format!("old {round}"));
        let a = m.a.open("key", "r+");
        m.a.write(a, "in vain").unwrap();
        m.b.begin(&serde_json::json!(["unlink", "key"]));
        m.a.begin(&serde_json::json!(["close", a]));
        let (unlinked, closed) = (m.b.end(), m.a.end());
        assert!(
            unlinked.is_ok() && closed.is_ok(),
            "round {round}: unlink {unlinked:?}, close {closed:?}"
        );
        assert_eq!(m.bucket.keys(), [""; 0], "round {round}");
    }
}

#[test]
fn a_first_close_and_an_unlink_at_the_same_time_leave_nothing() {
    let mut m = or_skip!(Machine::new());
    for round in 0..20 {
        let a = m.a.open("key", "x");
        m.a.write(a, "in vain").unwrap();
        m.a.begin(&serde_json::json!(["close", a]));
        m.b.begin(&serde_json::json!(["unlink", "key"]));
        let (closed, unlinked) = (m.a.end(), m.b.end());
        assert!(
            unlinked.is_ok() && closed.is_ok(),
            "round {round}: unlink {unlinked:?}, close {closed:?}"
        );
        assert_eq!(m.bucket.keys(), [""; 0], "round {round}");
    }
}

/// Also by its name, and also right after somebody looked the name up.
#[test]
fn stat_shows_a_writer_its_own_copy_and_everybody_else_what_is_stored() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    bucket.client().put("key", "stored");
    let mount = Mount::of(&bucket).flat().arg("--ttl=60").start();
    let script = "
import os, subprocess
def theirs():
    out = subprocess.run(['stat', '-c', '%s', 'key'], capture_output=True, check=True)
    return int(out.stdout)
f = os.open('key', os.O_RDWR)
assert os.stat('key').st_size == 6
os.ftruncate(f, 23456)
assert theirs() == 6, theirs()
assert os.stat('key').st_size == 23456, os.stat('key')
os.pwrite(f, b'x', 30000)
assert os.stat('key').st_size == 30001, os.stat('key')
assert theirs() == 6, theirs()
os.close(f)
assert os.stat('key').st_size == theirs() == 30001, os.stat('key')";
    Script::python(script).within(mount.path()).run().ok();
}

#[test]
fn an_open_file_that_was_deleted_has_no_links() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    bucket.client().put("key", "stored");
    let mount = Mount::of(&bucket).flat().start();
    let script = "
import os
for name, flags in ('key', os.O_RDONLY), ('key', os.O_RDWR), ('new', os.O_RDWR | os.O_CREAT):
    f = os.open(name, flags)
    assert os.fstat(f).st_nlink == 1, name
    if flags & os.O_RDWR:
        os.write(f, b'written')
        assert os.fstat(f).st_nlink == 1, name
        os.unlink(name)
        assert os.fstat(f).st_nlink == 0, name
    os.close(f)";
    Script::python(script).within(mount.path()).run().ok();
}
