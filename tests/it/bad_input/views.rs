//! The views of a bucket: a prefix of it, one store, the objects themselves, read-only, and whose all
//! of it is.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{bucket, errno};
use crate::world::counted::Counted;
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::proxy::Op;

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
const OTHER: &str = "00000000-0000-4000-8000-000000000000";

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_prefix_is_mounted_as_a_bucket_of_its_own() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put(&format!("team/a/{STORE}/key"), "in");
    for outside in [
        format!("{OTHER}/key"),
        format!("team/{OTHER}/key"),
        format!("team/ab/{OTHER}/key"),
    ] {
        other.put(&outside, "out");
    }
    let mount = Mount::of(&bucket).prefix("team/a").start();
    assert_eq!(names(mount.path()), [STORE]);
    assert_eq!(
        fs::read_to_string(mount.file(STORE).join("key")).unwrap(),
        "in"
    );
    fs::write(mount.file(STORE).join("new"), "value").unwrap();
    assert_eq!(other.text(&format!("team/a/{STORE}/new")), "value");
    fs::create_dir(mount.file(OTHER)).unwrap();
    assert!(other.get(&format!("team/a/{OTHER}/")).is_some());
    mount.unmount();

    let mount = Mount::of(&bucket).prefix("team/a").flat().start();
    assert_eq!(names(mount.path()), [OTHER, STORE]);
    fs::write(mount.file("key"), "flat").unwrap();
    assert_eq!(other.text("team/a/key"), "flat");
    mount.unmount();
}

#[test]
fn one_store_is_mounted_at_the_root() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put(&format!("{STORE}/dir/key"), "value");
    other.put(&format!("{OTHER}/key"), "other");
    let mount = Mount::of(&bucket).store(STORE).start();
    assert_eq!(names(mount.path()), ["dir"]);
    assert_eq!(fs::read_to_string(mount.file("dir/key")).unwrap(), "value");
    fs::write(mount.file("new"), "new").unwrap();
    assert_eq!(other.text(&format!("{STORE}/new")), "new");
    mount.unmount();

    let missing = "11111111-1111-4111-8111-111111111111";
    let failed = Mount::of(&bucket).store(missing).try_start().unwrap_err();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(1));
    assert!(failed.log.contains(missing), "{}", failed.log);
    let failed = Mount::of(&bucket)
        .store("nonsense")
        .try_start()
        .unwrap_err();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(2));
}

#[test]
fn a_read_only_mount_refuses_every_change_and_sends_none() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().read_only()));
    ground.other.put("key", "value");
    ground.other.put("dir/key", "value");
    let at = |name: &str| ground.mount.file(name);
    assert_eq!(fs::read_to_string(at("key")).unwrap(), "value");
    let write = File::options().write(true).open(at("key")).map(drop);
    let changes = [
        ("create", File::create(at("new")).map(drop)),
        ("replace", fs::write(at("key"), "x")),
        ("open to write", write),
        ("remove", fs::remove_file(at("key"))),
        ("rename", fs::rename(at("key"), at("new"))),
        ("make a directory", fs::create_dir(at("new"))),
        ("remove a directory", fs::remove_dir(at("dir"))),
        (
            "change the mode",
            fs::set_permissions(at("key"), fs::Permissions::from_mode(0o600)),
        ),
    ];
    for (what, change) in changes {
        assert_eq!(
            change.unwrap_err().raw_os_error(),
            Some(libc::EROFS),
            "{what}"
        );
    }
    for script in [
        "truncate -s 0 key",
        "touch key",
        "echo x >> key",
        "ln -s key l",
    ] {
        let out = ground.run(Script::dash(script));
        assert!(out.stderr.contains("Read-only file system"), "{out:#?}");
    }
    assert_eq!(errno(fs::read(at("missing"))), libc::ENOENT);
    let ended = ground.unmount();
    for op in [Op::Put, Op::Delete, Op::Copy, Op::DeleteMany] {
        assert_eq!(ended.requests.counts().of(op), 0);
    }
    assert_eq!(ended.other.keys(), ["dir/key", "key"]);
}

#[test]
fn everything_has_the_owner_and_the_modes_of_the_options() {
    let bucket = or_skip!(bucket());
    bucket.client().put("dir/key", "value");
    let options = [
        "--uid=1234",
        "--gid=4321",
        "--file-mode=640",
        "--dir-mode=750",
    ];
    let mount = options
        .iter()
        .fold(Mount::of(&bucket).flat(), |mount, option| {
            mount.arg(*option)
        })
        .start();
    for (path, mode) in [("", 0o040_750), ("dir", 0o040_750), ("dir/key", 0o100_640)] {
        let meta = fs::metadata(mount.file(path)).unwrap();
        assert_eq!(
            (meta.uid(), meta.gid(), meta.mode()),
            (1234, 4321, mode),
            "{path:?}"
        );
    }
    // Accepted, and not stored (V5).
    fs::set_permissions(mount.file("dir/key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(
        fs::metadata(mount.file("dir/key")).unwrap().mode(),
        0o100_640
    );
    mount.unmount();

    let failed = Mount::of(&bucket)
        .arg("--file-mode=888")
        .try_start()
        .unwrap_err();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(2));
}
