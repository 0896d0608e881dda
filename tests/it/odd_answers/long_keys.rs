//! Keys as long as keys may be: the name of an object has 1024 bytes, and the store's own part of it is
//! among them.

use std::fs;
use std::path::PathBuf;

use rustix::io::Errno;

use super::{World, came_to};
use crate::world::mounts::Mounted;

/// What the name of a store takes, with its slash.
const OWN: usize = 37;

/// A key of so many bytes, in parts that are file names.
fn key(bytes: usize) -> String {
    let mut key = String::new();
    while bytes - key.len() > 200 {
        key.push_str(&"d".repeat(199));
        key.push('/');
    }
    key.push_str(&"k".repeat(bytes - key.len()));
    key
}

fn file(mount: &Mounted, key: &str) -> PathBuf {
    mount.file(key)
}

#[test]
fn a_key_fits_if_it_fits_behind_the_name_of_its_store() {
    let world = or_skip!(World::new());
    let longest = 1024 - OWN;
    world.put(&key(longest), "theirs");
    let mount = world.mount().start();
    let directory = key(longest);
    let (directory, _) = directory.rsplit_once('/').unwrap();
    // The longest is a key like any other.
    assert_eq!(fs::read(file(&mount, &key(longest))).unwrap(), b"theirs");
    fs::write(file(&mount, &key(longest)), "mine").unwrap();
    assert_eq!(world.other.text(&world.object(&key(longest))), "mine");
    fs::remove_file(file(&mount, &key(longest))).unwrap();
    fs::write(file(&mount, &key(longest)), "again").unwrap();
    assert_eq!(fs::read_dir(file(&mount, directory)).unwrap().count(), 1);
    for bytes in [longest + 1, longest + 2, 1000, 1023, 1024] {
        let mark = world.proxy.mark();
        let long = file(&mount, &key(bytes));
        let told = [
            ("stat", came_to(fs::metadata(&long)).map(drop)),
            ("open", came_to(fs::read(&long)).map(drop)),
            ("create", came_to(fs::write(&long, "x"))),
            ("mkdir", came_to(fs::create_dir(&long))),
            ("unlink", came_to(fs::remove_file(&long))),
            ("rename", came_to(fs::rename(mount.file("key"), &long))),
        ];
        for (call, told) in told {
            assert_eq!(told, Err(Errno::NAMETOOLONG), "{call}, {bytes} bytes");
        }
        let sent = world.proxy.since(mark);
        assert!(
            !sent
                .0
                .iter()
                .any(|asked| asked.key.len() + asked.bucket.len() > 1024 + 64),
            "{sent}"
        );
        let asked_for_it = |asked: &crate::world::proxy::Record| {
            let prefix = asked.query.iter().find(|(name, _)| name == "prefix");
            prefix.is_some_and(|(_, prefix)| prefix.len() > 1024) || asked.key.len() > 1024
        };
        assert!(!sent.0.iter().any(asked_for_it), "{sent}");
    }
    // A directory needs room for what is in it.
    let full = file(&mount, &key(longest - 1));
    assert_eq!(
        came_to(fs::create_dir(file(&mount, &(key(longest - 1) + "d")))),
        Err(Errno::NAMETOOLONG)
    );
    fs::create_dir(&full).unwrap();
    assert_eq!(
        came_to(fs::write(full.join("x"), "")),
        Err(Errno::NAMETOOLONG)
    );
    assert_eq!(fs::read_dir(&full).unwrap().count(), 0);
    fs::remove_dir(&full).unwrap();
    assert_eq!(fs::read(file(&mount, &key(longest))).unwrap(), b"again");
    mount.unmount();
}

#[test]
fn commands_say_that_a_key_is_too_long_and_send_nothing() {
    let world = or_skip!(World::new());
    let longest = key(1024 - OWN);
    world.says(&format!("echo 1 | etagfs put $S/{longest} > /dev/null"));
    assert_eq!(world.says(&format!("etagfs get $S/{longest}")), "1\n");
    for bytes in [1024 - OWN + 1, 1000, 1024, 1025, 3000] {
        let long = key(bytes);
        for script in [
            "etagfs get $S/$K",
            "echo 1 | etagfs put $S/$K",
            "echo 1 | etagfs create $S/$K",
            "etagfs rm $S/$K",
            "etagfs rm -f $S/$K",
            "etagfs stat $S/$K",
            "etagfs cp $S/key $S/$K",
            "etagfs mv $S/key $S/$K",
            "etagfs append $S/$K <<< line",
            "etagfs update $S/$K -- cat",
        ] {
            let mark = world.proxy.mark();
            let out = world.run(&format!("K={long}; {script}"));
            assert!(
                matches!(out.code, Some(1 | 2)),
                "{bytes}, {script}: {out:#?}"
            );
            assert!(
                out.stderr.contains("too long"),
                "{bytes}, {script}: {out:#?}"
            );
            let sent = world.proxy.since(mark);
            let writes = sent
                .0
                .iter()
                .filter(|asked| asked.header("if-match").is_some() || asked.sent > 0);
            assert_eq!(writes.count(), 0, "{bytes}, {script}: {sent}");
        }
    }
    assert_eq!(world.other.text(&world.object("key")), "value");
}

#[test]
fn a_prefix_that_leaves_no_room_is_told_before_anything_is_sent() {
    let world = or_skip!(World::new());
    let long = "p".repeat(1100);
    for script in [
        "etagfs stores ls $B/$P",
        "etagfs ls $B/$P",
        "mkdir m; etagfs mount $B/$P m",
    ] {
        let state = tempfile::tempdir().unwrap();
        let out = world.run(&format!(
            "cd {}; P={long}; {script}",
            state.path().display()
        ));
        assert!(matches!(out.code, Some(1 | 2)), "{script}: {out:#?}");
        assert!(
            out.stderr.contains("room") || out.stderr.contains("too la"),
            "{script}: {out:#?}"
        );
    }
    assert_eq!(world.proxy.log().0.len(), 0, "{}", world.proxy.log());
}
