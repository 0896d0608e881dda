//! A key that was moved to a scratch name is put there in the bucket while somebody writes to it.

use std::fs::{self, File};
use std::io::Write;

use crate::world::counted::Counted;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait;

/// Moves a key away, and appends to it while it is put into the bucket.
fn append_meanwhile(ground: &Counted, key: &str) -> File {
    let moved = format!("{key}~");
    ground.other.put(key, "old");
    let gate = Gate::new();
    let put = When::op(Op::Put).key(&moved);
    ground
        .proxy
        .inject(put.once(), Fault::HoldRequest(gate.clone()));
    fs::rename(ground.mount.file(key), ground.mount.file(&moved)).unwrap();
    gate.wait_for(1);
    let mut file = File::options()
        .append(true)
        .open(ground.mount.file(&moved))
        .unwrap();
    file.write_all(b", and more").unwrap();
    gate.open();
    file
}

#[test]
fn what_is_written_to_a_moved_file_while_it_is_put_into_the_bucket_gets_there_too() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    drop(append_meanwhile(&ground, "notes"));
    wait::until("the move", wait::SOON, || ground.other.keys() == ["notes~"]);
    wait::until("what was appended", wait::SOON, || {
        ground.other.text("notes~") == "old, and more"
    });
    let shown = fs::read_to_string(ground.mount.file("notes~")).unwrap();
    assert_eq!(shown, "old, and more");
}

#[test]
fn who_writes_to_a_moved_file_while_it_is_put_into_the_bucket_goes_on() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let mut file = append_meanwhile(&ground, "notes");
    wait::until("the move", wait::SOON, || ground.other.keys() == ["notes~"]);
    file.write_all(b", at last").unwrap();
    file.sync_all().unwrap();
    // Perhaps it was still scratch: then it was made durable here.
    wait::until("all that was written", wait::SOON, || {
        ground.other.text("notes~") == "old, and more, at last"
    });
    file.write_all(b"!").unwrap();
    file.sync_all().unwrap();
    drop(file);
    wait::until("the last of it", wait::SOON, || {
        ground.other.text("notes~") == "old, and more, at last!"
    });
}

#[test]
fn who_deletes_a_name_that_it_moved_away_and_created_anew_deletes_nothing_that_others_saved() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let (notes, backup) = (ground.mount.file("notes"), ground.mount.file("notes~"));
    ground.other.put("notes", "old");
    fs::rename(&notes, &backup).unwrap();
    let draft = File::create(&notes).unwrap();
    fs::remove_file(&backup).unwrap();
    ground.other.put("notes", "winner");
    let error = fs::remove_file(&notes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
    assert_eq!(ground.other.text("notes"), "winner");
    drop(draft);
    assert_eq!(fs::read_to_string(&notes).unwrap(), "winner");
    assert_eq!(ground.other.text("notes"), "winner");
}
