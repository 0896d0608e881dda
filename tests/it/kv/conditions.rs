//! Conditions: who is first wins, and everybody else is told by the exit code.

use super::{Desk, fails};
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::servers::Kind;

#[test]
fn put_if_match_is_compare_and_set() {
    for kind in Kind::CONDITIONAL {
        let desk = or_skip!(Desk::on(kind));
        let first = desk.says("echo 1 | etagfs create $S/key");
        let first = first.trim();
        let second = desk.says(&format!("echo 2 | etagfs put $S/key --if-match '{first}'"));
        let lost = desk.run(&format!("echo 3 | etagfs put $S/key --if-match '{first}'"));
        fails(
            &lost,
            75,
            &["/key", first, "somebody else", "etagfs get --etag"],
        );
        assert_eq!(lost.stdout, "");
        assert_eq!(desk.other.text(&desk.object("key")), "2\n");
        // An ETag may be written without its quotes.
        let bare = second.trim().trim_matches('"');
        desk.says(&format!("echo 4 | etagfs put $S/key --if-match {bare}"));
        let said = format!("echo 5 | etagfs put $S/key --if-match {bare} --content-type a/b");
        fails(&desk.run(&said), 75, &["/key"]);
        desk.other.delete(&desk.object("key"));
        fails(&desk.run(&said), 75, &["/key"]);
    }
}

#[test]
fn create_succeeds_for_one() {
    for kind in Kind::CONDITIONAL {
        let desk = or_skip!(Desk::on(kind));
        let race = "for i in 1 2 3 4; do (echo $i | etagfs create $S/key >/dev/null 2>&1; echo $?) & done; wait";
        let codes = desk.says(race);
        let mut codes: Vec<_> = codes.lines().collect();
        codes.sort_unstable();
        assert_eq!(codes, ["0", "75", "75", "75"], "{kind:?}");
        for script in [
            "echo x | etagfs create $S/key",
            "echo x | etagfs put --if-none-match $S/key",
            "etagfs cp --no-clobber - $S/key < /dev/null",
        ] {
            fails(&desk.run(script), 75, &["/key exists already"]);
        }
    }
}

#[test]
fn get_is_conditional_both_ways() {
    let desk = or_skip!(Desk::new());
    let old = desk.other.put(&desk.object("key"), "1");
    assert_eq!(
        desk.says(&format!("etagfs get --if-match '{old}' $S/key")),
        "1"
    );
    let same = desk.run(&format!("etagfs get --if-none-match '{old}' $S/key"));
    assert_eq!((same.code, &*same.stdout, &*same.stderr), (Some(3), "", ""));
    desk.other.put(&desk.object("key"), "2");
    assert_eq!(
        desk.says(&format!("etagfs get --if-none-match '{old}' $S/key")),
        "2"
    );
    let gone = desk.run(&format!("etagfs get --if-match '{old}' $S/key"));
    fails(&gone, 75, &["/key"]);
    assert_eq!(gone.stdout, "");
}

#[test]
fn rm_is_conditional() {
    let desk = or_skip!(Desk::new());
    let old = desk.other.put(&desk.object("key"), "1");
    desk.other.put(&desk.object("key"), "2");
    fails(
        &desk.run(&format!("etagfs rm --if-match '{old}' $S/key")),
        75,
        &["/key"],
    );
    assert_eq!(desk.other.text(&desk.object("key")), "2");
    fails(
        &desk.run(&format!("etagfs rm --if-match '{old}' $S/never")),
        75,
        &["/never"],
    );
    desk.other.put(&desk.object("other"), "x");
    desk.says("etagfs rm $S/key $S/other");
    assert_eq!(desk.other.keys(), [desk.object("")]);
}

#[test]
fn a_put_without_a_condition_replaces_what_is_there_even_when_others_are_faster() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    let gate = Gate::new();
    let held = When::op(Op::Put).once();
    desk.proxy.inject(held, Fault::HoldRequest(gate.clone()));
    let running = desk.script("echo mine | etagfs put $S/key").start();
    gate.wait_for(1);
    desk.other.put(&desk.object("key"), "theirs");
    gate.open();
    running.finish().ok();
    assert_eq!(desk.other.text(&desk.object("key")), "mine\n");
}

#[test]
fn every_command_works_under_a_policy_that_demands_conditions() {
    let desk = or_skip!(Desk::new());
    desk.proxy.require_conditions();
    desk.says(
        "set -e; echo 1 | etagfs put $S/a >/dev/null; echo 2 | etagfs put $S/a >/dev/null
         etagfs cp $S/a $S/b; etagfs mv $S/b $S/c; echo 3 | etagfs append $S/c
         etagfs update $S/c -- sort; etagfs rm $S/a",
    );
    assert_eq!(desk.other.text(&desk.object("c")), "2\n3\n");
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("c")]);
}

#[test]
fn a_lost_answer_is_no_lost_race() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "1");
    desk.proxy
        .inject(When::op(Op::Put).once(), Fault::LoseReply);
    desk.says(&format!("echo 2 | etagfs put $S/key --if-match '{etag}'"));
    desk.proxy
        .inject(When::op(Op::Put).once(), Fault::LoseReply);
    desk.says("etagfs update $S/key -- echo 3");
    assert_eq!(desk.other.text(&desk.object("key")), "3\n");
}

#[test]
fn a_large_value_that_changes_under_the_reader_is_read_anew() {
    let desk = or_skip!(Desk::new());
    let large = |byte: u8| vec![byte; 65 << 20];
    let old = desk.other.put(&desk.object("large"), large(b'a'));
    let gate = Gate::new();
    let pieces = When::op(Op::Get).and(|get| get.header("range").is_some());
    let hold = desk
        .proxy
        .inject(pieces.once(), Fault::HoldRequest(gate.clone()));
    let script = "etagfs get $S/large | tr -s ab";
    let newest = desk.script(script).start();
    gate.wait_for(1);
    desk.other.put(&desk.object("large"), large(b'b'));
    gate.open();
    assert_eq!(newest.finish().ok().stdout, "b");
    drop(hold);
    // And nothing of it is printed when only that version will do.
    let gone = desk.run(&format!("etagfs get --if-match '{old}' $S/large"));
    fails(&gone, 75, &["/large"]);
    assert_eq!(gone.stdout, "");
}

#[test]
fn targets_that_make_no_sense_are_wrong_usage() {
    let desk = or_skip!(Desk::new());
    for (script, words) in [
        ("etagfs get s3://bucket/key", "names no store"),
        ("etagfs get $S", "names no key"),
        ("etagfs get $S/", "names no key"),
        ("etagfs get -", "names no key"),
        ("etagfs get s3:///x", "names no bucket"),
        ("etagfs rm --if-match x $S/a $S/b", "one key only"),
        ("etagfs mv - $S/a", "cannot be moved"),
        ("etagfs get --if-match x /etc/hostname", "has no version"),
    ] {
        fails(&desk.run(script), 2, &[words]);
    }
    let nowhere = "echo | etagfs create $B/6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e/key";
    fails(
        &desk.run(nowhere),
        66,
        &["has no store 6d1a3c5e", "etagfs stores create"],
    );
}
