//! `rescue diff` and `rescue apply`: what was refused in a mount is saved after all.

use std::fs::File;
use std::io::{Read, Write};

use super::{Desk, fails};
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Op, When};
use crate::world::rescues;

/// A writer in a mount loses `key` to another machine: the id of the rescue with its bytes.
fn lost(desk: &Desk, how: &mut std::fs::OpenOptions, bytes: &str) -> String {
    desk.other.put(&desk.object("key"), "old\n");
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .state_dir(desk.state.path())
        .arg("--append-retries=1")
        .start();
    let mut file: File = how.open(mount.file("key")).unwrap();
    let mut old = String::new();
    // A file that is open for appending alone cannot be read.
    let _ = file.read_to_string(&mut old);
    desk.other.put(&desk.object("key"), "theirs\n");
    // An append would merge.
    desk.proxy.inject(
        When::op(Op::Put).key(&desk.object("key")),
        Fault::Answer(412, "PreconditionFailed"),
    );
    file.write_all(bytes.as_bytes()).unwrap();
    assert!(file.sync_all().is_err());
    drop(file);
    mount.unmount();
    desk.proxy.heal();
    let kept = rescues::of(desk.state.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    kept[0].id.clone()
}

#[test]
fn a_rescue_is_compared_and_replaces_the_winner_that_its_writer_was_told_of() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, File::options().read(true).write(true), "mine\n");
    let diff = desk.says(&format!("etagfs rescue diff {id}"));
    let changes: Vec<_> = diff.lines().skip(3).collect();
    assert_eq!(changes, ["-theirs", "+old", "+mine"], "{diff}");
    let etag = desk.says(&format!("etagfs rescue apply {id}"));
    let object = desk.other.get(&desk.object("key")).unwrap();
    assert_eq!(object.text(), "old\nmine\n");
    assert_eq!(etag, format!("{}\n", object.etag));
    assert_eq!(desk.says("etagfs rescue ls"), "");
}

#[test]
fn a_rescue_replaces_nothing_newer_unless_that_is_said() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, File::options().read(true).write(true), "mine\n");
    let newest = desk.other.put(&desk.object("key"), "newer\n");
    let refused = desk.run(&format!("etagfs rescue apply {id}"));
    fails(&refused, 75, &["is not what", &newest, "rescue diff"]);
    assert_eq!(desk.other.text(&desk.object("key")), "newer\n");
    assert_eq!(rescues::of(desk.state.path()).len(), 1);
    desk.says(&format!("etagfs rescue apply --if-match '{newest}' {id}"));
    assert_eq!(desk.other.text(&desk.object("key")), "old\nmine\n");
    let gone = desk.run(&format!("etagfs rescue apply {id}"));
    fails(&gone, 1, &["there is no rescue"]);
}

#[test]
fn what_was_to_be_appended_is_appended() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, File::options().append(true), "mine\n");
    let diff = desk.says(&format!("etagfs rescue diff {id}"));
    let changes: Vec<_> = diff.lines().skip(3).collect();
    assert_eq!(changes, [" theirs", "+mine"], "{diff}");
    desk.says(&format!("etagfs rescue apply {id}"));
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\nmine\n");
}
