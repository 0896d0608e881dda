//! How long an answer is: servers that do not say it, and servers that say two things. What ends properly
//! is whole; a value is never shorter than it is.

use std::fs;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;

use super::{INLINE, World, came_to, names};
use crate::world::proxy::{Fault, Framing, Op, Record, When};

fn is_part(record: &Record) -> bool {
    record.header("range").is_some()
}

fn large() -> Vec<u8> {
    (0..5 * INLINE)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

#[test]
fn a_server_that_tells_no_length_is_as_good_as_any() {
    let world = or_skip!(World::new());
    world.put("large", large());
    world.put("empty", "");
    world.put("limit", vec![b'l'; INLINE]);
    for (framing, when) in [
        (Framing::Chunked, When::any()),
        // To whom only a part of it tells how long it is.
        (
            Framing::None,
            When::any().and(|record| matches!(record.op, Op::Get | Op::Head | Op::List)),
        ),
    ] {
        world.put("key", "value");
        world.proxy.inject(when, Fault::Framed(framing));
        let mount = world.mount().start();
        assert_eq!(
            names(&mount).unwrap(),
            ["empty", "key", "large", "limit"],
            "{framing:?}"
        );
        assert_eq!(
            fs::read(mount.file("key")).unwrap(),
            b"value",
            "{framing:?}"
        );
        assert_eq!(fs::read(mount.file("empty")).unwrap(), b"", "{framing:?}");
        assert_eq!(
            fs::read(mount.file("limit")).unwrap().len(),
            INLINE,
            "{framing:?}"
        );
        assert!(
            fs::read(mount.file("large")).unwrap() == large(),
            "{framing:?}"
        );
        assert_eq!(
            fs::metadata(mount.file("large")).unwrap().len(),
            large().len() as u64
        );
        // An edit, an append to what is large, a new key, a removal.
        fs::write(mount.file("key"), "mine").unwrap();
        let file = fs::File::options()
            .write(true)
            .open(mount.file("large"))
            .unwrap();
        file.write_at(b"edited", 3 * INLINE as u64).unwrap();
        drop(file);
        fs::write(mount.file("new"), "new").unwrap();
        fs::remove_file(mount.file("empty")).unwrap();
        mount.unmount();
        let object = |key| world.other.get(&world.object(key));
        assert_eq!(object("key").unwrap().text(), "mine", "{framing:?}");
        let mut edited = large();
        edited[3 * INLINE..][..6].copy_from_slice(b"edited");
        assert!(object("large").unwrap().bytes == edited, "{framing:?}");
        assert_eq!(object("new").unwrap().text(), "new", "{framing:?}");
        assert_eq!(object("empty"), None, "{framing:?}");
        // The commands, of which `stat` asks by HEAD.
        assert!(world.says("etagfs stat $S/key").contains("size: 4\n"));
        assert_eq!(
            world.says(
                "etagfs get $S/key; echo put | etagfs put $S/key > /dev/null; etagfs get $S/key"
            ),
            "mineput\n"
        );
        assert_eq!(
            world.says("etagfs get --range 2-3 $S/new; etagfs rm $S/new; etagfs ls $S"),
            "wkey\nlarge\nlimit\n"
        );
        world.put("empty", "");
        assert!(
            world.says("etagfs stat $S/empty").contains("size: 0\n"),
            "{framing:?}"
        );
        world.put("large", large());
        world.proxy.heal();
    }
}

#[test]
fn a_value_that_breaks_off_is_an_error_whatever_its_end_looks_like() {
    let world = or_skip!(World::new());
    world.put("large", large());
    for framing in [Framing::ChunkedAndCut, Framing::NoneAndCut, Framing::Both] {
        // Of a value that was read it is only asked whether it is another one.
        let mount = world.mount().start();
        world
            .proxy
            .inject(When::op(Op::Get), Fault::Framed(framing));
        for key in ["key", "large"] {
            let read = came_to(fs::read(mount.file(key)));
            assert_eq!(read.err(), Some(Errno::IO), "{framing:?} {key}");
        }
        let out = world.run("etagfs get $S/key");
        assert_eq!(
            (out.code, &*out.stdout),
            (Some(1), ""),
            "{framing:?}: {out:#?}"
        );
        world.proxy.heal();
        world
            .proxy
            .inject(When::op(Op::List), Fault::Framed(framing));
        let listed = names(&mount);
        assert!(
            matches!(listed, Err(Errno::IO | Errno::TIMEDOUT)),
            "{framing:?}: {listed:?}"
        );
        assert_eq!(world.run("etagfs ls $S").code, Some(1), "{framing:?}");
        world.proxy.heal();
        assert_eq!(
            fs::read(mount.file("key")).unwrap(),
            b"value",
            "{framing:?}"
        );
    }
}

#[test]
fn a_save_whose_answer_contradicts_itself_is_looked_at() {
    let world = or_skip!(World::new());
    let mount = world.mount().start();
    for (framing, op) in [(Framing::Both, Op::Put), (Framing::ChunkedAndCut, Op::Put)] {
        let struck = world
            .proxy
            .inject(When::op(op).once(), Fault::Framed(framing));
        let text = format!("{framing:?}");
        fs::write(mount.file("key"), &text).unwrap();
        assert_eq!(struck.struck(), 1);
        assert_eq!(world.other.text(&world.object("key")), text);
        world.proxy.heal();
    }
}

#[test]
fn a_wrong_length_in_the_first_answer_shortens_no_file() {
    let world = or_skip!(World::new());
    world.put("large", large());
    let size = isize::try_from(large().len()).unwrap();
    let whole = |record: &Record| {
        record.op == Op::Get && record.key.ends_with("/large") && !is_part(record)
    };
    for off in [-1, 1, -2 * INLINE as isize, 7 * INLINE as isize, size] {
        world
            .proxy
            .inject(When::any().and(whole), Fault::WrongLength(off));
        let mount = world.mount().start();
        let read = came_to(fs::read(mount.file("large")));
        assert_eq!(read.err(), Some(Errno::IO), "{off}");
        // Whoever edits it would save a shorter one.
        let opened = came_to(fs::File::options().append(true).open(mount.file("large")));
        let edited = opened.and_then(|file| came_to(std::io::Write::write(&mut &file, b"more")));
        assert_eq!(edited.err(), Some(Errno::IO), "{off}");
        mount.unmount();
        let out = world.run("etagfs get $S/large > got; wc -c < got");
        let got: usize = out.stdout.trim().parse().unwrap();
        assert!(got == 0 || got == large().len(), "{off}: {out:#?}");
        world.proxy.heal();
        assert!(world.other.get(&world.object("large")).unwrap().bytes == large());
    }
}

#[test]
fn every_part_of_a_value_tells_the_same_of_the_whole() {
    let world = or_skip!(World::new());
    world.put("large", vec![b'x'; 20 << 20]);
    let range_to = |record: &Record| {
        is_part(record)
            && record
                .header("range")
                .is_some_and(|range| !range.starts_with("bytes=0-"))
    };
    let total = |change: i64| {
        Fault::edit(move |head, _| {
            let range = head.headers["content-range"].to_str().unwrap().to_owned();
            let (part, size) = range.split_once('/').unwrap();
            let size = size.parse::<i64>().unwrap() + change;
            head.headers
                .insert("content-range", format!("{part}/{size}").parse().unwrap());
        })
    };
    let other_etag = Fault::edit(|head, _| {
        head.headers.insert(
            "etag",
            "\"0123456789abcdef0123456789abcdef\"".parse().unwrap(),
        );
    });
    for (label, fault, errno) in [
        ("a shorter whole", total(-1), Errno::IO),
        ("a longer whole", total(1), Errno::IO),
        ("another version", other_etag, Errno::STALE),
    ] {
        let mount = world.mount().start();
        let file = fs::File::open(mount.file("large")).unwrap();
        let mut byte = [0];
        assert_eq!(file.read_at(&mut byte, 0).unwrap(), 1);
        world.proxy.inject(When::op(Op::Get).and(range_to), fault);
        let read = came_to(file.read_at(&mut byte, 10 << 20));
        assert_eq!(read, Err(errno), "{label}");
        drop(file);
        world.proxy.heal();
        mount.unmount();
    }
}
