//! What is said of a server that cannot be written to, and of answers that are none.

use super::{Ground, is_lived_with};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::habit::Odd;
use crate::world::proxy::{Fault, Op, When};

const PUTS: &[Op] = &[Op::Put];
const DELETES: &[Op] = &[Op::Delete];
const GETS: &[Op] = &[Op::Get];
const LISTS: &[Op] = &[Op::List];
const READS: &[Op] = &[Op::Get, Op::Head];

/// What is said of servers that ignore conditions, or have none.
const VERDICT: &str = "does not do conditional writes";

#[test]
fn a_server_that_says_501_does_not_do_conditional_writes() {
    for (status, code) in [
        (501, "NotImplemented"),
        (501, "Unknown"),
        (400, "NotImplemented"),
    ] {
        let ground = or_skip!(Ground::with(&[Odd::AnswersConditions(PUTS, status, code)]));
        let found = ground.probe();
        assert_eq!(found["conditional"], "none", "{status} {code}: {found}");
        for script in ["etagfs probe $B", "mkdir mnt; etagfs mount $B mnt"] {
            let out = ground.run(script);
            assert_eq!(out.code, Some(1), "{status} {code}: {out:#?}");
            for word in [VERDICT, code, "--read-only"] {
                assert!(out.stderr.contains(word), "{word} is not in {out:#?}");
            }
        }
        assert_eq!(ground.other.keys(), [ground.object("")]);
    }
}

#[test]
fn every_other_refusal_is_told_in_the_servers_own_words() {
    for (status, code) in [
        (400, "InvalidRequest"),
        (400, "InvalidArgument"),
        (403, "AccessDenied"),
        (403, "InvalidObjectState"),
        (405, "MethodNotAllowed"),
        (409, "InvalidBucketState"),
        (507, "XMinioStorageFull"),
    ] {
        let ground = or_skip!(Ground::with(&[Odd::Answers(PUTS, status, code)]));
        for script in [
            "etagfs probe --deadline 2 $B",
            "mkdir mnt; etagfs mount --deadline 2 $B mnt",
        ] {
            let out = ground.run(script);
            assert_eq!(out.code, Some(1), "{status} {code}: {out:#?}");
            assert!(!out.stderr.contains(VERDICT), "{status} {code}: {out:#?}");
            let in_doubt = status == 507 && out.stderr.contains("no certain answer");
            assert!(
                in_doubt || out.stderr.contains(code),
                "{status} {code}: {out:#?}"
            );
        }
        assert_eq!(ground.other.keys(), [ground.object("")], "{status} {code}");
    }
}

#[test]
fn what_a_probe_left_behind_is_named() {
    or_skip!(mounts::possible());
    for (status, code) in [
        (501, "NotImplemented"),
        (403, "AccessDenied"),
        (400, "InvalidArgument"),
    ] {
        let ground = or_skip!(Ground::with(&[Odd::Answers(DELETES, status, code)]));
        let out = ground.run("etagfs probe $B");
        let told = format!("{}{}", out.stdout, out.stderr);
        let left = ground.other.keys();
        let left = left.iter().find(|key| key.contains(".etagfs-probe-"));
        let left = left.unwrap_or_else(|| panic!("{status} {code}: nothing was left; {told}"));
        assert!(
            told.contains(left.as_str()),
            "{status} {code}: {left} is not in {told}"
        );
        assert!(told.contains("delete it"), "{told}");
        assert!(!told.contains(VERDICT), "{told}");
        println!("{status} {code}: {told}");
        if status == 501 {
            // It can be written to; what was left is in the log.
            let mount = ground.mount().start();
            assert_eq!(
                attempt(mount.path(), "with open('k', 'w') as f: f.write('x')"),
                "ok"
            );
            let log = mount.unmount();
            assert!(log.contains("could not be removed: delete it"), "{log}");
        }
    }
    // Half way through: what was made is removed, whatever is said.
    for nth in 1..=5 {
        let ground = or_skip!(Ground::new());
        let put = When::op(Op::Put).nth(nth);
        ground
            .proxy
            .inject(put, Fault::Answer(400, "InvalidRequest"));
        let out = ground.run("etagfs probe $B");
        assert!(out.stderr.contains("InvalidRequest"), "{nth}: {out:#?}");
        assert_eq!(ground.other.keys(), [ground.object("")], "{nth}");
    }
}

#[test]
fn an_archived_object_is_to_be_restored_first() {
    or_skip!(mounts::possible());
    let ground = or_skip!(Ground::new());
    ground.other.put(&ground.object("key"), "value");
    let mount = ground.mount().start();
    ground
        .proxy
        .behave_as(Odd::Answers(GETS, 403, "InvalidObjectState"));
    for script in [
        "etagfs get $S/key",
        "etagfs cp $S/key $S/other",
        "etagfs update $S/key -- cat",
    ] {
        let out = ground.run(script);
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        for word in [
            "archived: restore it first",
            "InvalidObjectState",
            "restore-object",
        ] {
            assert!(
                out.stderr.contains(word),
                "{script}: {word} is not in {out:#?}"
            );
        }
    }
    assert_eq!(attempt(mount.path(), "open('key').read()"), "EIO");
    assert_eq!(attempt(mount.path(), "os.stat('key')"), "ok");
    let log = mount.unmount();
    assert!(log.contains("archived: restore it first"), "{log}");
    assert_eq!(ground.other.text(&ground.object("key")), "value");
}

#[test]
fn an_answer_that_cannot_be_read_is_damaged_and_was_reached() {
    or_skip!(mounts::possible());
    let ground = or_skip!(Ground::new());
    ground.other.put(&ground.object("key"), "value");
    ground.proxy.behave_as(Odd::Gibberish(LISTS));
    for script in ["etagfs ls $S", "etagfs stores ls $B"] {
        let out = ground.run(script);
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        assert!(out.stderr.contains("damaged"), "{script}: {out:#?}");
        assert!(
            !out.stderr.contains("could not be reached"),
            "{script}: {out:#?}"
        );
    }
    ground.proxy.heal();
    let mount = Mount::of(&ground.bucket)
        .store(&ground.store)
        .arg("--ttl=0")
        .start();
    ground.proxy.behave_as(Odd::Gibberish(LISTS));
    assert_eq!(attempt(mount.path(), "os.listdir('.')"), "EIO");
    let log = mount.unmount();
    assert!(log.contains("is damaged"), "{log}");
    // The body of a PUT's success is no answer of S3's: it is looked whether it happened.
    let ground = or_skip!(Ground::with(&[Odd::Gibberish(PUTS)]));
    is_lived_with(&ground);
}

#[test]
fn hints_come_from_causes_and_not_from_names() {
    let ground = or_skip!(Ground::with(&[Odd::Answers(READS, 400, "InvalidRequest")]));
    for (name, hint) in [
        ("certificate", "--ca-bundle"),
        ("Connection refused", "nothing listens"),
        ("dns error", "getent"),
        ("ExpiredToken", "have expired"),
        ("region was not", "AWS_REGION"),
        ("the bucket is in the region mars: it is", "mars,"),
        ("a temporary file: x", "TMPDIR"),
        ("RequestTimeTooSkewed", "clock"),
        ("no answer about", "firewall"),
    ] {
        let out = ground.run(&format!("etagfs get $S/'{name}'"));
        assert_eq!(out.code, Some(1), "{name}: {out:#?}");
        assert!(out.stderr.contains("InvalidRequest"), "{name}: {out:#?}");
        let said = out.stderr.lines().nth(1).unwrap_or_default();
        assert!(!said.contains(hint), "{name}: {said}");
    }
}
