//! Requests that something between a mount and the store sends twice (W6, W15): a PUT and a DELETE are
//! idempotent by HTTP, so that proxies may do so, and pass on the second answer. What is done is done
//! once, whoever does it knows it, and nobody else is told that it was him. Counters and appends are in
//! `counter` and `appends`, the real nginx in `nginx`.

use std::fs;

use serde_json::json;
use uuid::Uuid;

use super::actor::{Actor, errno};
use super::exclusive::{at_once, four, only_one};
use super::kept::{self, Lost};
use crate::world::client::{Client, Put};
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Injected, Op, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};
use crate::world::wait;

/// A mount whose every put and delete is sent twice, and the rest of the world.
struct Machine {
    actor: Actor,
    mount: Mounted,
    proxy: Proxy,
    twice: Injected,
    other: Client,
    bucket: Bucket,
}

impl Machine {
    fn on(kind: Kind) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(kind)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let twice = proxy.inject(When::write(), Fault::ForwardTwice);
        // The probe of a first mount goes by that proxy too.
        let mount = Mount::of(&bucket).flat().through(&proxy).start();
        Ok(Self {
            other: bucket.client(),
            actor: Actor::within(mount.path()),
            mount,
            proxy,
            twice,
            bucket,
        })
    }
}

/// Without any competitor nothing is refused and nothing is done twice.
fn one_machine(kind: Kind) {
    const TIMES: usize = 10;
    let mut m = or_skip!(Machine::on(kind));
    let mut saves = 0;
    for n in 0..TIMES {
        let (new, text) = (format!("new-{n}"), format!("{n}\n"));
        m.actor.create(&new, "created\n").unwrap();
        m.actor.save(&new, &text).unwrap();
        let fd = m.actor.open(&new, "r+");
        m.actor.write(fd, "edited\n").unwrap();
        m.actor.fsync(fd).unwrap();
        m.actor.close(fd).unwrap();
        assert_eq!(m.other.text(&new), "edited\n");
        m.actor.save("moved", &text).unwrap();
        m.actor.rename("moved", &new).unwrap();
        assert_eq!(m.other.text(&new), text);
        saves += 5;
    }
    for n in 0..TIMES {
        m.actor.unlink(&format!("new-{n}")).unwrap();
    }
    assert_eq!(m.other.keys(), [""; 0]);
    kept::only(&m.mount, &[]);
    assert!(m.twice.struck() >= saves + TIMES);
    let line = format!(
        "{kind:?}, every write sent twice, one machine: {saves} saves and {TIMES} deletes, 0 refused"
    );
    println!("{line}");
    report::append_line("doubled", &line);
}

#[test]
fn what_is_sent_twice_is_saved_and_deleted_once_on_the_embedded_server() {
    one_machine(Kind::Embedded);
}

#[test]
fn what_is_sent_twice_is_saved_and_deleted_once_on_ministack() {
    one_machine(Kind::Ministack);
}

#[test]
fn what_is_sent_twice_is_saved_and_deleted_once_on_seaweedfs() {
    one_machine(Kind::Seaweed);
}

/// Four processes on two mounts whose every write is sent twice: of each directory, store and new file
/// one of them is told that it made it.
#[test]
fn a_lock_that_is_asked_for_twice_is_held_by_who_was_told_so() {
    const ROUNDS: usize = 12;
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    proxy.inject(When::write(), Fault::ForwardTwice);
    let start = || Mount::of(&bucket).through(&proxy).start();
    let mounts = [start(), start()];
    let mut actors = four(&mounts);
    for round in 0..ROUNDS {
        let store = Uuid::new_v4().to_string();
        only_one(&at_once(&mut actors, &json!(["mkdir", store])), &["EEXIST"]);
        let lock = format!("{store}/lock-{round}");
        only_one(&at_once(&mut actors, &json!(["mkdir", lock])), &["EEXIST"]);
        let file = format!("{store}/file-{round}");
        let results = at_once(&mut actors, &json!(["create", file]));
        only_one(&results, &["EEXIST", "EAGAIN"]);
        let winner = results.iter().position(Result::is_ok).unwrap();
        let text = bucket.client().text(&file);
        assert_eq!(text, actors[winner].pid().to_string());
    }
    let line = format!(
        "every write sent twice, 4 processes on 2 machines: {ROUNDS} stores, {ROUNDS} mkdir locks and {ROUNDS} O_EXCL locks, each with one winner who knows it"
    );
    println!("{line}");
    report::append_line("doubled", &line);
}

/// Taken, freed and taken again by two machines, each of whose writes is sent twice.
#[test]
fn a_lock_made_of_a_directory_keeps_two_machines_apart() {
    const TIMES: usize = 12;
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    proxy.inject(When::write(), Fault::ForwardTwice);
    let start = || Mount::of(&bucket).flat().through(&proxy).start();
    let mounts = [start(), start()];
    bucket.client().put("counter", "0");
    let text = format!(
        "for i in $(seq {TIMES}); do
            until mkdir lock 2> /dev/null; do sleep 0.0$(shuf -i 1-9 -n 1); done
            n=$(cat counter); echo $((n + 1)) > counter || exit
            rmdir lock || exit
        done"
    );
    let running: Vec<_> = mounts
        .iter()
        .map(|mount| Script::bash(&text).within(mount.path()).start())
        .collect();
    for script in running {
        let out = script.finish().ok();
        assert_eq!(out.stderr, "", "{out:#?}");
    }
    let count = bucket.client().text("counter");
    let line = format!(
        "every write sent twice, mkdir as a lock of 2 machines: {} sections, counter {}",
        2 * TIMES,
        count.trim()
    );
    println!("{line}");
    report::append_line("doubled", &line);
    assert_eq!(count.trim(), (2 * TIMES).to_string());
}

/// The answer of the second copy is a refusal; before the look another machine has saved over the first.
#[test]
fn a_save_that_was_sent_twice_and_saved_over_is_no_conflict() {
    let mut m = or_skip!(Machine::on(Kind::Embedded));
    let far = Mount::of(&m.bucket).flat().start();
    m.actor.save("key", "old\n").unwrap();
    let gate = Gate::new();
    m.proxy.inject(
        When::op(Op::Head).key("key").once(),
        Fault::HoldRequest(gate.clone()),
    );
    m.actor.begin(&json!(["append", "key", "mine\n"]));
    gate.wait_for(1);
    let read = fs::read_to_string(far.file("key")).unwrap();
    assert_eq!(read, "old\nmine\n");
    fs::write(far.file("key"), "theirs\n").unwrap();
    gate.open();
    m.actor.end().unwrap();
    // Appended once, and not again behind what replaced it.
    assert_eq!(m.other.text("key"), "theirs\n");
    kept::only(&m.mount, &[]);
}

/// What cannot be told apart: who saves in between is no mount, and leaves no trace of what was there.
#[test]
fn a_save_that_was_sent_twice_and_saved_over_by_another_program_is_a_conflict() {
    let mut m = or_skip!(Machine::on(Kind::Embedded));
    m.actor.save("key", "old\n").unwrap();
    let old = m.other.head("key").unwrap().etag;
    let fd = m.actor.open("key", "r+");
    m.actor.write(fd, "mine\n").unwrap();
    let gate = Gate::new();
    m.proxy.inject(
        When::op(Op::Head).key("key").once(),
        Fault::HoldRequest(gate.clone()),
    );
    m.actor.begin(&json!(["close", fd]));
    gate.wait_for(1);
    assert_eq!(m.other.text("key"), "mine\n");
    let theirs = m.other.put("key", "theirs\n");
    gate.open();
    assert_eq!(m.actor.end().map(drop), errno("EAGAIN"));
    assert_eq!(m.other.text("key"), "theirs\n");
    let loss = Lost {
        op: "flush",
        key: "key",
        expected: &old,
        found: &theirs,
        text: Some("mine\n"),
        pid: m.actor.pid(),
    };
    kept::only(&m.mount, &[loss]);
}

/// A copy that comes late, after the answer, changes nothing that was saved since; only a key that was
/// deleted it makes again.
#[test]
fn a_late_copy_of_a_save_is_refused_and_that_of_a_new_key_makes_it_again() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let mount = Mount::of(&bucket).flat().through(&proxy).start();
    let other = bucket.client();
    let mut actor = Actor::within(mount.path());
    let late = |key: &str, statuses: &[u16]| {
        let record = || proxy.log().key(key).of(Op::Put).first().cloned();
        wait::until("the copy has arrived", wait::SOON, || {
            record().is_some_and(|record| record.upstream.len() == 2)
        });
        assert_eq!(record().unwrap().upstream, statuses);
    };
    for (key, base) in [("kept", Some("old\n")), ("made", None), ("gone", None)] {
        let gate = Gate::new();
        proxy.inject(
            When::op(Op::Put).key(key).once(),
            Fault::ForwardAgain(gate.clone()),
        );
        if let Some(base) = base {
            other.put(key, base);
        }
        actor.save(key, "mine\n").unwrap();
        let statuses: &[u16] = match key {
            "gone" => {
                actor.unlink(key).unwrap();
                &[200, 200]
            }
            _ => {
                let etag = other.head(key).unwrap().etag;
                assert!(matches!(
                    other.put_if_match(key, "newer\n", &etag),
                    Put::Saved(_)
                ));
                &[200, 412]
            }
        };
        gate.open();
        late(key, statuses);
    }
    assert_eq!(other.text("kept"), "newer\n");
    assert_eq!(other.text("made"), "newer\n");
    // The limit that W6 names.
    assert_eq!(other.text("gone"), "mine\n");
}
