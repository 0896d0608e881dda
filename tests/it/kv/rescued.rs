//! `rescue diff` and `rescue apply`: what was refused in a mount is saved after all.

use std::fs;
use std::thread;

use super::{Desk, fails};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::rescues;

/// A writer in a mount opens `key` like this, and loses it to another machine: the id of the rescue with
/// its bytes.
fn lost(desk: &Desk, how: &str) -> String {
    desk.other.put(&desk.object("key"), "old\n");
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .state_dir(desk.state.path())
        .arg("--append-retries=1")
        .start();
    let put = || When::op(Op::Put).key(&desk.object("key"));
    let gate = Gate::new();
    desk.proxy
        .inject(put().once(), Fault::HoldRequest(gate.clone()));
    // An append would merge.
    desk.proxy
        .inject(put(), Fault::Answer(412, "PreconditionFailed"));
    let script = format!(
        "f = os.open('key', {how})\nif not {how} & os.O_WRONLY: os.read(f, 9)\nos.write(f, b'mine\\n')\nos.close(f)"
    );
    let told = thread::scope(|scope| {
        let writer = scope.spawn(|| attempt(mount.path(), &script));
        gate.wait_for(1);
        desk.other.put(&desk.object("key"), "theirs\n");
        gate.open();
        writer.join().unwrap()
    });
    assert_eq!(told, "EAGAIN");
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
    let id = lost(&desk, "os.O_RDWR");
    let diff = desk.says(&format!("etagfs rescue diff {id}"));
    let changes: Vec<_> = diff.lines().skip(3).collect();
    assert_eq!(changes, ["-theirs", "+old", "+mine"], "{diff}");
    // Whoever has read enough leaves.
    desk.other
        .put(&desk.object("key"), "theirs\n".repeat(100_000));
    desk.says(&format!(
        "set -o pipefail; etagfs rescue diff {id} | head -n 1"
    ));
    desk.other.put(&desk.object("key"), "theirs\n");
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
    let id = lost(&desk, "os.O_RDWR");
    let newest = desk.other.put(&desk.object("key"), "newer\n");
    let refused = desk.run(&format!("etagfs rescue apply {id}"));
    fails(
        &refused,
        75,
        &["is not the version", &newest, "rescue diff"],
    );
    assert_eq!(desk.other.text(&desk.object("key")), "newer\n");
    assert_eq!(rescues::of(desk.state.path()).len(), 1);
    desk.says(&format!("etagfs rescue apply --if-match '{newest}' {id}"));
    assert_eq!(desk.other.text(&desk.object("key")), "old\nmine\n");
    let gone = desk.run(&format!("etagfs rescue apply {id}"));
    fails(&gone, 1, &["there is no rescue"]);
}

#[test]
fn what_a_refused_rescue_recommends_when_its_key_is_gone_brings_the_key_back() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "os.O_RDWR");
    desk.other.delete(&desk.object("key"));
    let refused = desk.run(&format!("etagfs rescue apply {id}"));
    fails(&refused, 75, &["create it again: "]);
    let told = refused.stderr.split_once("create it again: ").unwrap().1;
    let (create, drop) = told.trim_end().split_once("; then: ").unwrap();
    desk.says(create);
    assert_eq!(desk.other.text(&desk.object("key")), "old\nmine\n");
    desk.says(drop);
    assert_eq!(rescues::of(desk.state.path()).len(), 0);
}

#[test]
fn what_was_to_be_appended_is_appended() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "(os.O_WRONLY | os.O_APPEND)");
    let diff = desk.says(&format!("etagfs rescue diff {id}"));
    let changes: Vec<_> = diff.lines().skip(3).collect();
    assert_eq!(changes, [" theirs", "+mine"], "{diff}");
    desk.says(&format!("etagfs rescue apply {id}"));
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\nmine\n");
}

/// Six processes at once, of which one does it.
#[test]
fn a_rescue_is_applied_once_however_many_try() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "(os.O_WRONLY | os.O_APPEND)");
    // All have begun when the first one writes.
    let gate = Gate::new();
    desk.proxy
        .inject(When::op(Op::Put).once(), Fault::HoldRequest(gate.clone()));
    let apply = format!("etagfs rescue apply {id}");
    let first = desk.script(&apply).start();
    gate.wait_for(1);
    for _ in 0..5 {
        fails(
            &desk.run(&apply),
            75,
            &["another process is saving the rescue"],
        );
    }
    gate.open();
    first.finish().ok();
    fails(&desk.run(&apply), 1, &["there is no rescue"]);
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\nmine\n");
    // And without any order.
    let id = lost(&desk, "(os.O_WRONLY | os.O_APPEND)");
    desk.other.put(&desk.object("key"), "theirs\n");
    let race = format!(
        "for i in 1 2 3 4 5 6; do (etagfs rescue apply {id} 2>/dev/null; echo $?) & done; wait"
    );
    let codes = desk.says(&race);
    assert_eq!(
        codes.lines().filter(|code| *code == "0").count(),
        1,
        "{codes}"
    );
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\nmine\n");
}

#[test]
fn a_kill_between_saving_and_forgetting_saves_nothing_twice() {
    or_skip!(mounts::possible());
    for how in ["os.O_RDWR", "(os.O_WRONLY | os.O_APPEND)"] {
        let desk = or_skip!(Desk::new());
        let id = lost(&desk, how);
        let apply = format!("etagfs rescue apply {id}");
        let kill_after_the_save = || {
            let gate = Gate::new();
            desk.proxy
                .inject(When::op(Op::Put).once(), Fault::HoldReply(gate.clone()));
            let applying = desk.script(&format!("exec {apply}")).start();
            gate.wait_for(1);
            applying.kill();
            applying.finish();
            gate.open();
            desk.proxy.settle();
        };
        kill_after_the_save();
        let once = desk.other.text(&desk.object("key"));
        assert!(once.ends_with("mine\n"), "{once}");
        let mark = desk.proxy.mark();
        desk.run(&apply).ok();
        assert_eq!(desk.proxy.since(mark).counts().of(Op::Put), 0, "{how}");
        assert_eq!(desk.other.text(&desk.object("key")), once);
        assert_eq!(rescues::of(desk.state.path()).len(), 0);
    }
}

#[test]
fn lines_that_may_be_there_are_not_appended_again_unasked() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "(os.O_WRONLY | os.O_APPEND)");
    let apply = format!("etagfs rescue apply {id}");
    let kill = |fault: fn(Gate) -> Fault| {
        let gate = Gate::new();
        let held = desk
            .proxy
            .inject(When::op(Op::Put).once(), fault(gate.clone()));
        let applying = desk.script(&format!("exec {apply}")).start();
        gate.wait_for(1);
        applying.kill();
        applying.finish();
        held.remove();
        gate
    };
    // It never arrived, and nothing else did: it is known that it has not happened.
    kill(Fault::BlackHole).open();
    kill(Fault::HoldReply).open();
    desk.proxy.settle();
    let theirs = format!("{}more\n", desk.other.text(&desk.object("key")));
    let etag = desk.other.put(&desk.object("key"), theirs.clone());
    fails(
        &desk.run(&apply),
        1,
        &["its lines may be there", "rescue drop", "--if-match"],
    );
    assert_eq!(desk.other.text(&desk.object("key")), theirs);
    assert_eq!(rescues::of(desk.state.path()).len(), 1);
    fails(
        &desk.run(&format!("{apply} --if-match x")),
        75,
        &["does not have"],
    );
    desk.says(&format!("{apply} --if-match '{etag}'"));
    assert_eq!(
        desk.other.text(&desk.object("key")),
        format!("{theirs}mine\n")
    );
}

#[test]
fn a_rescue_that_cannot_be_forgotten_is_saved_once_and_that_is_said() {
    or_skip!(mounts::possible());
    for how in ["os.O_RDWR", "(os.O_WRONLY | os.O_APPEND)"] {
        let desk = or_skip!(Desk::new());
        let id = lost(&desk, how);
        let apply = format!("etagfs rescue apply {id}");
        let record = desk.state.path().join("rescue").join(format!("{id}.json"));
        let aside = desk.state.path().join("aside");
        let gate = Gate::new();
        desk.proxy
            .inject(When::op(Op::Put).once(), Fault::HoldRequest(gate.clone()));
        let applying = desk.script(&apply).start();
        gate.wait_for(1);
        fs::rename(&record, &aside).unwrap();
        fs::create_dir_all(record.join("full")).unwrap();
        gate.open();
        let told = ["was saved", "cannot be forgotten", "not be saved twice"];
        fails(&applying.finish(), 1, &told);
        fs::remove_dir_all(&record).unwrap();
        fs::rename(&aside, &record).unwrap();
        // Somebody else goes on; so does whoever tries again.
        let theirs = format!("{}more\n", desk.other.text(&desk.object("key")));
        desk.other.put(&desk.object("key"), theirs.clone());
        let mark = desk.proxy.mark();
        desk.run(&apply).ok();
        assert_eq!(desk.proxy.since(mark).counts().of(Op::Put), 0, "{how}");
        assert_eq!(desk.other.text(&desk.object("key")), theirs);
        assert_eq!(theirs.matches("mine").count(), 1, "{theirs}");
        let left = fs::read_dir(desk.state.path().join("rescue")).unwrap();
        assert_eq!(left.count(), 0, "{how}");
    }
}

#[test]
fn a_note_that_cannot_be_read_or_written_stops_an_append_in_words() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "(os.O_WRONLY | os.O_APPEND)");
    let dir = desk.state.path().join("rescue");
    let named = dir.display().to_string();
    let apply = format!("timeout 30 etagfs rescue apply {id}");
    for litter in ["mkfifo", "mkdir", "ln -s /dev/zero"] {
        let put = format!("{litter} {named}/{id}.applying");
        let out = desk.run(&format!("{put} && {apply}"));
        fails(
            &out,
            1,
            &[&id, "cannot be recorded in", &named, "rescue show"],
        );
        desk.run(&format!("rm -r {named}/{id}.applying")).ok();
    }
    // No room: a file can hold nothing.
    let out = desk.run(&format!(
        "set -o pipefail; (ulimit -f 0; trap '' XFSZ; {apply} 2>&1) | cat >&2"
    ));
    fails(
        &out,
        1,
        &[&id, "cannot be recorded in", &named, "make room"],
    );
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\n");
    desk.says(&apply);
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\nmine\n");
}

#[test]
fn a_rescue_goes_to_the_server_that_it_is_from_and_to_no_other() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "os.O_RDWR");
    let here = &desk.bucket.endpoint;
    // A bucket of this name is on another server, too.
    let elsewhere = Proxy::to(here).endpoint();
    for variable in ["ETAGFS_ENDPOINT_URL", "AWS_ENDPOINT_URL"] {
        for command in ["diff", "apply"] {
            let out = desk.run(&format!(
                "unset ETAGFS_ENDPOINT_URL; {variable}={elsewhere} etagfs rescue {command} {id}"
            ));
            fails(&out, 2, &[here, &elsewhere, "rescue show"]);
        }
    }
    assert_eq!(desk.other.text(&desk.object("key")), "theirs\n");
    assert_eq!(rescues::of(desk.state.path()).len(), 1);
    let diff = desk.says(&format!(
        "unset ETAGFS_ENDPOINT_URL AWS_REGION; etagfs rescue diff {id}"
    ));
    assert!(diff.contains("-theirs"), "{diff}");
    desk.says(&format!(
        "unset ETAGFS_ENDPOINT_URL AWS_REGION; etagfs rescue apply {id}"
    ));
    assert_eq!(desk.other.text(&desk.object("key")), "old\nmine\n");
}

#[test]
fn a_rescue_of_an_older_etagfs_goes_to_the_server_that_is_given() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let id = lost(&desk, "os.O_RDWR");
    let path = desk.state.path().join(format!("rescue/{id}.json"));
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("server").unwrap();
    fs::write(&path, record.to_string()).unwrap();
    desk.says(&format!("etagfs rescue apply {id}"));
    assert_eq!(desk.other.text(&desk.object("key")), "old\nmine\n");
}
