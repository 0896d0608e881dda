//! W8 and W9: names that are moved away, and files that live only in the mount.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{World, errno, world, world_with};
use crate::world::mounts::Mount;
use crate::world::proxy::{Mark, Op};
use crate::world::wait;

/// A world, and where its requests begin, after the mount's own.
fn begin() -> Result<(World, Mark), String> {
    let world = world()?;
    let start = world.proxy.mark();
    Ok((world, start))
}

/// How often the bucket was asked to put and to delete since then.
fn changes(world: &World, start: Mark) -> (usize, usize) {
    let counts = world.proxy.since(start).counts();
    (counts.of(Op::Put), counts.of(Op::Delete))
}

/// A key that is moved to a scratch name (W9), as editors do before they create it again, stays in the
/// bucket until its fate is clear:
/// - If it is created again, its first save replaces what was moved: one PUT, and no moment without a
///   value.
#[test]
fn w8_a_key_that_is_moved_away_and_created_anew_costs_one_put() {
    let (world, start) = or_skip!(begin());
    world.other.put("notes", "old");
    fs::rename(world.file("notes"), world.file("notes~")).unwrap();
    assert_eq!(world.names(""), ["notes~"]);
    assert_eq!(fs::read_to_string(world.file("notes~")).unwrap(), "old");
    assert_eq!(world.other.text("notes"), "old");
    let mut file = File::create(world.file("notes")).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!(world.other.text("notes"), "old");
    file.sync_all().unwrap();
    assert_eq!(world.other.text("notes"), "new");
    drop(file);
    fs::remove_file(world.file("notes~")).unwrap();
    assert_eq!(world.names(""), ["notes"]);
    assert_eq!(world.other.keys(), ["notes"]);
    assert_eq!(changes(&world, start), (1, 0));
}

/// the rename is done in the bucket: the bytes are saved under the new name
#[test]
fn w8_a_large_value_is_moved_away_whole() {
    let world = or_skip!(world_with(&["--flat", "--inline-limit=1K"]));
    // Exactly as many blocks as are read at once, and a little more.
    for size in [8 << 20, (8 << 20) + 5] {
        let value = "0123456789abcdef".repeat(size / 16 + 1)[..size].to_owned();
        world.other.put("large", value.clone());
        fs::rename(world.file("large"), world.file("large~")).unwrap();
        assert!(fs::read(world.file("large~")).unwrap() == value.as_bytes());
        File::open(world.mount.path()).unwrap().sync_all().unwrap();
        assert_eq!(world.other.keys(), ["large~"]);
        assert!(world.other.get("large~").unwrap().bytes == value.as_bytes());
        world.other.delete("large~");
    }
}

/// - If it is moved back, nothing is sent.
/// - If the scratch file is deleted instead, so is the key.
#[test]
fn w8_a_key_that_is_moved_back_was_never_gone() {
    let (world, start) = or_skip!(begin());
    world.other.put("notes", "old");
    fs::rename(world.file("notes"), world.file("notes~")).unwrap();
    fs::rename(world.file("notes~"), world.file("notes")).unwrap();
    assert_eq!(fs::read_to_string(world.file("notes")).unwrap(), "old");
    assert_eq!(
        (world.names(""), changes(&world, start)),
        (vec!["notes".into()], (0, 0))
    );

    fs::rename(world.file("notes"), world.file("notes~")).unwrap();
    fs::remove_file(world.file("notes~")).unwrap();
    assert_eq!((world.names(""), changes(&world, start)), (vec![], (0, 1)));
    assert_eq!(world.other.keys(), [""; 0]);
}

/// Whoever was shown that the key is absent (W1), also by an `EAGAIN`, is refused: somebody else created it.
#[test]
fn w8_who_was_told_that_a_key_is_gone_does_not_move_it_away() {
    let world = or_skip!(world());
    let file = world.file("notes");
    world.other.put("notes", "old");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    world.other.delete("notes");
    assert_eq!(errno(fs::write(&file, "mine")), libc::EAGAIN);
    world.other.put("notes", "theirs");
    assert_eq!(errno(fs::rename(&file, world.file("notes~"))), libc::EAGAIN);
    assert_eq!(world.other.text("notes"), "theirs");
    // It was told what is there now.
    fs::rename(&file, world.file("notes~")).unwrap();
    fs::write(&file, "mine").unwrap();
    assert_eq!(world.other.text("notes"), "mine");
}

/// After 5 seconds, at an `fsync` of the directory and at the end of the mount, the rename is done in
/// the bucket: the bytes are saved under the new name, which is a key from then on, and the old one is
/// deleted.
#[test]
fn w8_a_rename_to_a_scratch_name_that_was_meant_happens() {
    let world = or_skip!(world());
    for (key, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
        world
            .other
            .put_with(key, value, "text/x-test", &[("color", "red")]);
        fs::rename(world.file(key), world.file(&format!("{key}~"))).unwrap();
        match key {
            "a" => wait::until("the rename", Duration::from_secs(20), || {
                world.other.keys() == ["a~"]
            }),
            "b" => File::open(world.mount.path()).unwrap().sync_all().unwrap(),
            _ => continue,
        }
        let object = world.other.get(&format!("{key}~")).unwrap();
        assert_eq!(object.content_type.as_deref(), Some("text/x-test"));
        assert_eq!(
            object.metadata.get("color").map(String::as_str),
            Some("red")
        );
    }
    assert_eq!(world.other.keys(), ["a~", "b~", "c"]);
    let World { mount, other, .. } = world;
    mount.unmount();
    assert_eq!(other.keys(), ["a~", "b~", "c~"]);
    assert_eq!(other.text("c~"), "3");
}

/// After 5 seconds, at an `fsync` of the directory and at the end of the mount, the rename is done in
/// the bucket
#[test]
fn w8_an_fsync_of_another_directory_settles_nothing() {
    let (world, start) = or_skip!(begin());
    world.other.put("here/notes", "old");
    world.other.put("there/notes", "old");
    fs::rename(world.file("here/notes"), world.file("here/notes~")).unwrap();
    File::open(world.file("there")).unwrap().sync_all().unwrap();
    assert_eq!(changes(&world, start), (0, 0));
    File::open(world.file("here")).unwrap().sync_all().unwrap();
    assert_eq!(world.other.keys(), ["here/notes~", "there/notes"]);
}

/// If somebody saved the key meanwhile, the move is taken back.
#[test]
fn w8_a_key_that_was_saved_elsewhere_is_not_moved() {
    let world = or_skip!(world());
    world.other.put("notes", "old");
    fs::rename(world.file("notes"), world.file("notes~")).unwrap();
    world.other.put("notes", "winner");
    File::open(world.mount.path()).unwrap().sync_all().unwrap();
    assert_eq!(world.other.keys(), ["notes"]);
    assert_eq!(fs::read_to_string(world.file("notes")).unwrap(), "winner");
    assert_eq!(fs::read_to_string(world.file("notes~")).unwrap(), "old");
}

/// A crash leaves the key where it was, and the scratch file.
#[test]
fn w8_a_crash_leaves_the_key_where_it_was() {
    let mut world = or_skip!(world());
    world.other.put("notes", "old");
    fs::rename(world.file("notes"), world.file("notes~")).unwrap();
    let mut file = File::create(world.file("notes")).unwrap();
    file.write_all(b"half").unwrap();
    world.mount.kill();
    drop(file);
    assert_eq!(world.other.text("notes"), "old");
    let listed = rescue(&["ls"], world.mount.state_dir());
    assert!(listed.contains("/notes~  (scratch file of"), "{listed}");
    world.mount.clear();
}

/// A process that was refused and then, within 10 seconds and without reading the file, deletes it or
/// restores its backup, only cleans up after itself: the winner's value does not change.
#[test]
fn w8_the_clean_up_after_a_refusal_leaves_the_winner_alone() {
    let world = or_skip!(world());
    // Where somebody else saves.
    const OTHER: &str = "
import sys
def other():
    print('now', flush=True)
    sys.stdin.readline()
";
    let by_moving = "
import os
open('notes').read()
os.rename('notes', 'notes~')
other()
fd = os.open('notes', os.O_WRONLY | os.O_CREAT)
os.write(fd, b'mine')
try: os.fsync(fd); print('saved')
except BlockingIOError: print('refused')
try: os.close(fd)
except BlockingIOError: pass
os.unlink('notes')
os.rename('notes~', 'notes')
print(os.listdir('.'), open('notes').read())
";
    let by_copying = "
import os
text = open('notes').read()
open('notes~', 'x').write(text)
fd = os.open('notes', os.O_WRONLY | os.O_TRUNC)
other()
os.write(fd, b'mine')
try: os.close(fd); print('saved')
except BlockingIOError: print('refused')
fd = os.open('notes', os.O_WRONLY | os.O_TRUNC)
os.write(fd, text.encode())
try: os.close(fd); print('restored over the winner')
except BlockingIOError: os.unlink('notes~')
print(os.listdir('.'), open('notes').read())
";
    for script in [by_moving, by_copying] {
        world.other.put("notes", "old");
        let mut child = Command::new("python3")
            .args(["-c", &format!("{OTHER}{script}")])
            .current_dir(world.mount.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut said).unwrap();
        world.other.put("notes", "winner");
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        lines.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(said, "now\nrefused\n['notes'] winner\n");
        assert_eq!(world.other.text("notes"), "winner");
    }
}

/// Swap files, backups, locks and other temporary files of editors and tools are scratch files: files
/// of this mount alone, never in the bucket.
#[test]
fn w9_scratch_files_are_like_files_on_a_disk_and_never_in_the_bucket() {
    let (world, start) = or_skip!(begin());
    for name in [
        ".notes.swp",
        "notes~",
        "4913",
        "#notes#",
        ".goutputstream-AB12CD",
    ] {
        assert_eq!(errno(File::open(world.file(name))), libc::ENOENT);
        let mut file = File::create_new(world.file(name)).unwrap();
        file.write_all(b"0123456789").unwrap();
        file.sync_all().unwrap();
        file.set_len(4).unwrap();
        drop(file);
        assert_eq!(errno(File::create_new(world.file(name))), libc::EEXIST);
        assert_eq!(fs::read_to_string(world.file(name)).unwrap(), "0123");
        assert_eq!(fs::metadata(world.file(name)).unwrap().len(), 4);
        assert_eq!(world.names(""), [name]);
        fs::rename(world.file(name), world.file("other~")).unwrap();
        assert_eq!(fs::read_to_string(world.file("other~")).unwrap(), "0123");
        fs::remove_file(world.file("other~")).unwrap();
        assert_eq!(errno(fs::metadata(world.file("other~"))), libc::ENOENT);
    }
    std::os::unix::fs::symlink("me@here.1", world.file(".#notes")).unwrap();
    let target = fs::read_link(world.file(".#notes")).unwrap();
    assert_eq!(target.to_str(), Some("me@here.1"));
    assert!(world.mount_status().contains(".#notes"));
    fs::remove_file(world.file(".#notes")).unwrap();
    let link = std::os::unix::fs::symlink("target", world.file("link"));
    assert_eq!(errno(link), libc::EPERM);
    assert_eq!(
        (world.other.keys(), changes(&world, start)),
        (vec![], (0, 0))
    );
}

/// They are in the state directory and survive a restart of the mount at the same place, and `etagfs
/// rescue ls` shows them.
#[test]
fn w9_scratch_files_survive_a_restart() {
    let world = or_skip!(world());
    let state = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let point = place.path().canonicalize().unwrap();
    let mount = || {
        let mount = Mount::of(&world.bucket).flat().state_dir(state.path());
        mount.at(&point).start()
    };
    let first = mount();
    fs::write(first.file("notes~"), "kept").unwrap();
    first.unmount();
    let listed = rescue(&["ls"], state.path());
    assert!(listed.contains("/notes~  (scratch file of"), "{listed}");
    let id = listed.split_whitespace().next().unwrap();
    assert_eq!(rescue(&["show", id], state.path()), "kept");
    let second = mount();
    assert_eq!(fs::read_to_string(second.file("notes~")).unwrap(), "kept");
    assert_eq!(world.other.keys(), [""; 0]);
}

/// What `etagfs rescue` says.
pub(super) fn rescue(arguments: &[&str], state: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_etagfs"))
        .arg("rescue")
        .args(arguments)
        .arg("--state-dir")
        .arg(state)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Moving a scratch file over a key is one conditional PUT.
#[test]
fn w9_a_temporary_file_is_moved_over_a_key_with_one_put() {
    let world = or_skip!(world());
    // Where a random name looks like that of a key, it is one, and there is another try.
    let lucky = (0..5).any(|_| {
        world.other.put("notes", "one");
        let start = world.proxy.mark();
        world.sh("sed -i s/one/two/ notes && perl -i -pe s/two/three/ notes");
        assert_eq!(world.other.text("notes"), "three");
        assert_eq!(world.other.keys(), ["notes"]);
        let log = world.proxy.since(start);
        let is_unlucky = log.of(Op::Put).iter().any(|put| put.ends_with_a_word());
        assert!(is_unlucky || changes(&world, start) == (2, 0), "{log}");
        !is_unlucky
    });
    assert!(lucky, "random names are random");
    // The same name made in another way is a key, also a copy that is for its owner alone.
    fs::write(world.file("sedAAAAAA"), "a key").unwrap();
    assert_eq!(world.other.text("sedAAAAAA"), "a key");
    let secret = tempfile::tempdir().unwrap();
    let from = secret.path().join(".env.stage2");
    fs::write(&from, "secret").unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).unwrap();
    let from = from.display();
    world.sh(&format!(
        "umask 077; cp -p '{from}' .; cp '{from}' .env.Stage3; install -m 600 '{from}' .env.Stage4"
    ));
    world.sh(&format!(
        "cd '{}'; tar cf - .env.stage2 | (cd '{}' && rm .env.stage2 && tar xpf -)",
        secret.path().display(),
        world.mount.path().display()
    ));
    for name in [".env.stage2", ".env.Stage3", ".env.Stage4"] {
        assert_eq!(world.other.text(name), "secret", "{name}");
    }
}

/// Any other temporary file is a file like all others: it is saved when it is closed, and its rename
/// over a key costs a PUT and a DELETE.
#[test]
fn w9_other_temporaries_are_keys() {
    let (world, start) = or_skip!(begin());
    world.other.put("notes", "one");
    fs::write(world.file("notes.tmp"), "two").unwrap();
    assert_eq!(world.other.text("notes.tmp"), "two");
    fs::rename(world.file("notes.tmp"), world.file("notes")).unwrap();
    assert_eq!(world.other.text("notes"), "two");
    assert_eq!(
        (world.other.keys(), changes(&world, start)),
        (vec!["notes".into()], (2, 1))
    );
}

/// A key that is in the bucket is a key, whatever its name: a scratch file with its name gives way when
/// it is not open, and is kept as a rescue.
#[test]
fn w9_a_key_of_a_scratch_name_is_a_key() {
    let world = or_skip!(world_with(&["--flat", "--ttl", "0"]));
    world.other.put("key~", "theirs");
    assert_eq!(fs::read_to_string(world.file("key~")).unwrap(), "theirs");
    fs::write(world.file("key~"), "mine").unwrap();
    assert_eq!(world.other.text("key~"), "mine");

    fs::write(world.file("later~"), "scratch").unwrap();
    world.other.put("later~", "a key");
    // The kernel tells of the last close when the last copy of the descriptor is closed, and a child that
    // another test forks has one for a moment.
    wait::until("the scratch file gives way", wait::SOON, || {
        fs::read_to_string(world.file("later~")).unwrap() == "a key"
    });
    assert_eq!(world.rescues(), 1);
}

/// The option `--scratch` sets which names are scratch; `.etagfs/status` shows them, with the existing
/// scratch files.
#[test]
fn w9_which_names_are_scratch_is_an_option() {
    let world = or_skip!(world_with(&["--flat", "--scratch", "*.part,tmp-?"]));
    for (name, is_key) in [("a.part", false), ("tmp-1", false), ("notes~", true)] {
        fs::write(world.file(name), "x").unwrap();
        assert_eq!(
            world.other.keys().contains(&name.to_owned()),
            is_key,
            "{name}"
        );
    }
    let status = world.mount_status();
    assert!(
        status.contains("*.part") && status.contains("tmp-1"),
        "{status}"
    );
}

impl World {
    fn mount_status(&self) -> String {
        fs::read_to_string(self.file(".etagfs/status")).unwrap()
    }
}
