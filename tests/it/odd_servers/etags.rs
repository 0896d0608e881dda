//! How servers tell versions: in other spellings, otherwise in listings, or not.

use super::{Ground, is_lived_with};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::habit::{ALL, Odd, Spelled};
use crate::world::proxy::{Fault, Gate, Op, When};

const LISTS: &[Op] = &[Op::List];
const READS: &[Op] = &[Op::Head, Op::Get];
const PUTS: &[Op] = &[Op::Put];

#[test]
fn an_etag_is_one_version_in_every_spelling() {
    or_skip!(mounts::possible());
    for spelled in Spelled::TRUE {
        for ops in [ALL, LISTS, READS, PUTS] {
            let ground = or_skip!(Ground::with(&[Odd::Etags(ops, spelled)]));
            let found = ground.probe();
            assert_eq!(
                found["conditional"], "full",
                "{spelled:?} in {ops:?}: {found}"
            );
            assert_eq!(
                found["lists_versions"], true,
                "{spelled:?} in {ops:?}: {found}"
            );
            println!("{spelled:?} in {ops:?}: {found}");
            is_lived_with(&ground);
        }
    }
}

#[test]
fn listings_that_tell_other_versions_than_the_objects_carry_none() {
    or_skip!(mounts::possible());
    for spelled in [Spelled::Otherwise].into_iter().chain(Spelled::NONE) {
        let ground = or_skip!(Ground::with(&[Odd::Etags(LISTS, spelled)]));
        let found = ground.probe();
        assert_eq!(found["conditional"], "full", "{spelled:?}: {found}");
        assert_eq!(found["lists_versions"], false, "{spelled:?}: {found}");
        println!("{spelled:?} in listings: {found}");
        is_lived_with(&ground);
    }
}

#[test]
fn what_wants_etags_without_quotes_is_asked_without() {
    or_skip!(mounts::possible());
    const PUT_AND_DELETE: &[Op] = &[Op::Put, Op::Delete];
    const EVERYWHERE: &[Op] = &[Op::Put, Op::Delete, Op::Get];
    for ops in [PUTS, PUT_AND_DELETE, EVERYWHERE] {
        let ground = or_skip!(Ground::with(&[Odd::WantsUnquoted(ops)]));
        let found = ground.probe();
        assert_eq!(found["conditional"], "full", "{ops:?}: {found}");
        assert_eq!(found["quotes_etags"], false, "{ops:?}: {found}");
        println!("If-Match without quotes in {ops:?}: {found}");
        is_lived_with(&ground);
        // The next mount remembers it: no request is refused.
        ground.other.put(&ground.object("again"), "1");
        let mark = ground.proxy.mark();
        let mount = ground.mount().start();
        let edit = "x = open('again').read()\nwith open('again', 'w') as f: f.write(x + '2')";
        assert_eq!(attempt(mount.path(), edit), "ok");
        assert_eq!(attempt(mount.path(), "os.unlink('again')"), "ok");
        mount.unmount();
        let log = ground.proxy.since(mark);
        let refused = log
            .0
            .iter()
            .filter(|asked| asked.status == Some(412))
            .count();
        assert_eq!(refused, 0, "{ops:?}: {log:?}");
        println!("remembered: {}", log.counts().line());
    }
}

#[test]
fn what_is_refused_though_it_is_there_is_sent_once_more_and_only_by_who_does_not_know_better() {
    let ground = or_skip!(Ground::new());
    let etag = ground.other.put(&ground.object("key"), "1");
    let put = format!("printf 2 | etagfs put --if-match '{etag}' $S/key > /dev/null");
    ground.proxy.behave_as(Odd::WantsUnquoted(PUTS));
    let mark = ground.proxy.mark();
    ground.says(&put);
    assert_eq!(ground.other.text(&ground.object("key")), "2");
    let log = ground.proxy.since(mark);
    let sent: Vec<_> = log
        .of(Op::Put)
        .iter()
        .map(|put| put.if_match().map(str::to_owned))
        .collect();
    let bare = etag.trim_matches('"');
    assert_eq!(sent, [Some(etag.clone()), Some(bare.to_owned())]);
}

#[test]
fn what_is_refused_since_it_is_another_version_is_sent_once() {
    let ground = or_skip!(Ground::new());
    let etag = ground.other.put(&ground.object("key"), "1");
    let gate = Gate::new();
    let put = When::op(Op::Put).key(&ground.object("key")).once();
    ground.proxy.inject(put, Fault::HoldRequest(gate.clone()));
    let mark = ground.proxy.mark();
    let late = ground.script(&format!("printf 2 | etagfs put --if-match '{etag}' $S/key"));
    let late = late.start();
    gate.wait_for(1);
    ground.other.put(&ground.object("key"), "3");
    gate.open();
    assert_eq!(late.finish().code, Some(75));
    let counts = ground.proxy.since(mark).counts();
    // One look before it, and one after the refusal.
    assert_eq!((counts.of(Op::Put), counts.of(Op::Head)), (1, 2));
    assert_eq!(ground.other.text(&ground.object("key")), "3");
}

#[test]
fn answers_without_a_version_are_damaged_and_nothing_is_based_on_them() {
    or_skip!(mounts::possible());
    for spelled in Spelled::NONE {
        // Of the objects themselves: nothing can be read or saved safely.
        let ground = or_skip!(Ground::with(&[Odd::Etags(READS, spelled)]));
        ground.other.put(&ground.object("key"), "value");
        let out = ground.run("etagfs get $S/key");
        assert_eq!(out.code, Some(1), "{spelled:?}: {out:#?}");
        assert!(
            out.stderr.contains("damaged") && out.stderr.contains("ETag"),
            "{out:#?}"
        );
        let out = ground.run("etagfs rm $S/key");
        assert_eq!(out.code, Some(1), "{spelled:?}: {out:#?}");
        let mount = Mount::of(&ground.bucket)
            .store(&ground.store)
            .read_only()
            .start();
        assert_eq!(
            attempt(mount.path(), "open('key').read()"),
            "EIO",
            "{spelled:?}"
        );
        mount.unmount();
        // Of a put alone: the version is asked for.
        let ground = or_skip!(Ground::with(&[Odd::Etags(PUTS, spelled)]));
        let found = ground.probe();
        assert_eq!(found["conditional"], "full", "{spelled:?}: {found}");
        is_lived_with(&ground);
    }
}

#[test]
fn a_star_is_no_version_for_anybody() {
    let ground = or_skip!(Ground::new());
    ground.other.put(&ground.object("key"), "value");
    for none in ["*", "\"*\"", "", "\"\"", "W/", "null", "a b"] {
        for script in [
            format!("printf x | etagfs put --if-match '{none}' $S/key"),
            format!("etagfs rm --if-match '{none}' $S/key"),
            format!("etagfs get --if-match '{none}' $S/key"),
        ] {
            let out = ground.run(&script);
            assert_eq!(out.code, Some(2), "{script}: {out:#?}");
        }
    }
    assert_eq!(ground.other.text(&ground.object("key")), "value");
    assert_eq!(ground.proxy.log().counts().total(), 0);
}

#[test]
fn a_read_only_mount_learns_by_looking_that_listings_tell_other_versions() {
    or_skip!(mounts::possible());
    let ground = or_skip!(Ground::with(&[Odd::Etags(LISTS, Spelled::Otherwise)]));
    ground.other.put(&ground.object("key"), "value");
    // Two answers about one object, both later than the second in which it was written.
    let written = std::time::Instant::now();
    crate::world::wait::until(
        "the object is old",
        std::time::Duration::from_secs(20),
        || written.elapsed() > std::time::Duration::from_secs(7),
    );
    let mount = Mount::of(&ground.bucket)
        .store(&ground.store)
        .read_only()
        .arg("--ttl=0")
        .start();
    assert_eq!(attempt(mount.path(), "open('key').read()"), "ok");
    let first = super::mtime(&mount, "key");
    for _ in 0..3 {
        assert_eq!(
            attempt(mount.path(), "os.listdir('.')\nopen('key').read()"),
            "ok"
        );
        assert_eq!(super::mtime(&mount, "key"), first, "the time flips");
    }
    let log = mount.unmount();
    assert!(
        log.contains("listings report other versions than its objects do"),
        "{log}"
    );
}
