//! Listings that lost a part and close their root all the same, and names that nobody asked for: an error,
//! never an empty directory, and nothing is done to anybody else's objects.

use std::fs;

use rustix::io::Errno;

use super::{World, came_to, names};
use crate::world::proxy::{Fault, Op, When};

/// A listing in which this becomes that, once. In one that has only common prefixes, the same becomes of
/// them.
fn changed(from: &'static str, to: impl Into<String>) -> Fault {
    let to = to.into();
    Fault::edit(move |_, body| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        let of_prefix = |tag: &str| {
            let tag = tag.replace("Contents", "CommonPrefixes");
            tag.replace("Key>", "Prefix>")
        };
        // Before them it says which prefix was asked for.
        let names = text.find("<CommonPrefixes>").unwrap_or(0);
        *body = match text.contains(from) {
            true => text.replacen(from, &to, 1),
            false => {
                let (head, names) = text.split_at(names);
                format!(
                    "{head}{}",
                    names.replacen(&of_prefix(from), &of_prefix(&to), 1)
                )
            }
        }
        .into();
    })
}

/// A listing in which this is added.
fn added(xml: &str) -> Fault {
    changed("</ListBucketResult>", format!("{xml}</ListBucketResult>"))
}

fn object(name: &str) -> String {
    format!(
        "<Contents><Key>{name}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
         <ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>1</Size></Contents>"
    )
}

#[test]
fn a_listing_that_lost_a_part_and_closes_its_root_is_no_empty_directory() {
    let world = or_skip!(World::new());
    let mount = world.mount().start();
    let cut_to_root = Fault::edit(|_, body| {
        let text = std::str::from_utf8(body).unwrap();
        let inside = text.find("<Key>").or_else(|| text.rfind("<Prefix>"));
        *body = format!("{}</ListBucketResult>", &text[..inside.unwrap()]).into();
    });
    let nameless = Fault::edit(|_, body| {
        let text = String::from_utf8(body.to_vec())
            .unwrap()
            .replace("Key>", "Kee>");
        let names = text.find("<CommonPrefixes>").unwrap_or(text.len());
        let (head, names) = text.split_at(names);
        *body = format!("{head}{}", names.replace("Prefix>", "Prefik>")).into();
    });
    for (label, fault) in [
        ("cut, and its root closed", cut_to_root),
        ("an end is missing", changed("</Contents>", "")),
        (
            "an end comes too early",
            changed("<Key>", "</Contents><Key>"),
        ),
        ("a tag is broken", changed("<Contents>", "<Contents <")),
        ("an object without a name", nameless),
        ("an object without a size", changed("<Size>5</Size>", "")),
        (
            "nothing is said of more",
            changed("<IsTruncated>false</IsTruncated>", ""),
        ),
        (
            "another root",
            changed("<ListBucketResult", "<ListVersionsResult"),
        ),
        (
            "two roots",
            changed("<ListBucketResult", "<ListBucketResult/><ListBucketResult"),
        ),
    ] {
        world.proxy.inject(When::op(Op::List), fault);
        let listed = names(&mount);
        assert!(
            matches!(listed, Err(Errno::IO | Errno::TIMEDOUT)),
            "{label}: {listed:?}"
        );
        // Nothing that is there is missed, and nothing is made in its place.
        let found = came_to(fs::read(mount.file("key"))).map(drop);
        assert!(
            !matches!(found, Ok(()) | Err(Errno::NOENT)),
            "{label}: {found:?}"
        );
        let made = came_to(fs::create_dir(mount.file("key")));
        assert!(
            !matches!(made, Ok(()) | Err(Errno::NOENT)),
            "{label}: {made:?}"
        );
        for script in [
            "etagfs ls $S",
            "etagfs stores exists $B $STORE",
            "etagfs stores rm --recursive $B $STORE",
            "etagfs stores create $B $STORE",
        ] {
            // Prefixes have no size.
            if label == "an object without a size" && !script.contains("--recursive") {
                continue;
            }
            let out = world.run(script);
            assert_eq!(out.code, Some(1), "{label}, {script}: {out:#?}");
            assert!(
                out.stderr.contains("damaged"),
                "{label}, {script}: {out:#?}"
            );
        }
        world.proxy.heal();
        assert_eq!(names(&mount).unwrap(), ["key"], "{label}");
        assert_eq!(world.other.keys(), [world.object("key")], "{label}");
    }
}

#[test]
fn a_name_that_nobody_asked_for_is_neither_shown_nor_copied_nor_deleted() {
    let world = or_skip!(World::new());
    let mount = world.mount().start();
    for outside in ["other", "a", "k/y", "zz/key"] {
        world.other.put(outside, "x");
    }
    let theirs = ["a", "k/y", "other", "zz/key"];
    let etag = world
        .other
        .head("other")
        .unwrap()
        .etag
        .replace('"', "&quot;");
    let real = object("other").replace("&quot;0123456789abcdef0123456789abcdef&quot;", &etag);
    let prefix = |name: &str| format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>");
    for (label, xml) in [
        ("an object outside", real),
        ("a short one", object("a")),
        ("one that is empty", object("")),
        ("a prefix outside", prefix("zz/")),
        ("a short prefix", prefix("k/")),
        (
            "a prefix that is the one that was asked for",
            prefix(&format!("{}/", world.store)),
        ),
        (
            "a prefix that is none",
            prefix(&format!("{}/x", world.store)),
        ),
    ] {
        let is_of_store = |asked: &crate::world::proxy::Record| {
            let prefix = asked.query.iter().find(|(name, _)| name == "prefix");
            prefix.is_some_and(|(_, prefix)| prefix.ends_with('/'))
        };
        world
            .proxy
            .inject(When::op(Op::List).and(is_of_store), added(&xml));
        assert_eq!(names(&mount), Err(Errno::IO), "{label}");
        for script in [
            "etagfs ls $S",
            "etagfs stores rm --recursive $B $STORE",
            "etagfs stores copy $S $B/6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e",
        ] {
            let out = world.run(script);
            assert_eq!(out.code, Some(1), "{label}, {script}: {out:#?}");
            assert!(
                out.stderr.contains("not asked for"),
                "{label}, {script}: {out:#?}"
            );
            assert!(
                !out.stderr.contains("panicked"),
                "{label}, {script}: {out:#?}"
            );
        }
        world.proxy.heal();
        // The copy that failed, empty.
        world.says("etagfs stores rm $B 6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e");
        let mut there = world.other.keys();
        there.retain(|key| !key.starts_with(&world.store));
        assert_eq!(there, theirs, "{label}");
        assert_eq!(world.other.text(&world.object("key")), "value", "{label}");
        assert_eq!(names(&mount).unwrap(), ["key"], "{label}");
    }
}

#[test]
fn a_listing_of_stores_that_goes_back_is_an_error_and_no_loop() {
    let world = or_skip!(World::new());
    // A server that ignores start-after answers the first page again, for ever.
    for n in 0..3 {
        let store = uuid::Uuid::new_v4();
        world
            .other
            .put(&format!("{store}_{}.ksv", uuid::Uuid::new_v4()), "x");
        world.other.put(&format!("0{n}"), "x");
    }
    let back = Fault::compose(|_| {
        let names = object("00") + &object("01");
        let xml = format!(
            "<ListBucketResult><Name>b</Name><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>t</NextContinuationToken>{names}</ListBucketResult>"
        );
        (200, xml)
    });
    let asked = world.proxy.inject(When::op(Op::List), back);
    let out = world.run("etagfs stores ls $B");
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(asked.struck() < 5, "{}", asked.struck());
}
