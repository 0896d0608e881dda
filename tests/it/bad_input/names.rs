//! Names from the mount's side: those that no key can have are refused, with the right errno.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use super::{bucket, errno, flat};
use crate::world::mounts::Mount;
use crate::world::procs::Script;

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

#[test]
fn a_name_of_255_bytes_is_a_name_and_one_of_256_is_too_long() {
    let bucket = or_skip!(bucket());
    let mount = flat(&bucket);
    let (fits, too_long) = ("n".repeat(255), "n".repeat(256));
    fs::write(mount.file(&fits), "value").unwrap();
    assert_eq!(bucket.client().text(&fits), "value");
    let path = mount.file(&too_long);
    assert_eq!(errno(fs::write(&path, "x")), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::metadata(&path)), libc::ENAMETOOLONG);
    assert_eq!(errno(fs::create_dir(&path)), libc::ENAMETOOLONG);
    assert_eq!(
        errno(fs::rename(mount.file(&fits), &path)),
        libc::ENAMETOOLONG
    );
    assert_eq!(errno(fs::remove_file(&path)), libc::ENAMETOOLONG);
    // Letters of several bytes are counted in bytes.
    assert_eq!(
        errno(File::create(mount.file("\u{e9}".repeat(128)))),
        libc::ENAMETOOLONG
    );
    assert_eq!(bucket.client().keys(), [fits]);
    mount.unmount();
}

#[test]
fn a_key_of_more_than_1024_bytes_is_too_long() {
    let bucket = or_skip!(bucket());
    let dir = [
        "d".repeat(250),
        "d".repeat(250),
        "d".repeat(250),
        "d".repeat(250),
    ]
    .join("/");
    bucket.client().put(&format!("{dir}/x"), "value");
    let mount = flat(&bucket);
    let in_dir = |length: usize| mount.file(&dir).join("k".repeat(length));
    fs::write(in_dir(1024 - 1004), "fits").unwrap();
    assert_eq!(
        errno(fs::write(in_dir(1024 - 1003), "x")),
        libc::ENAMETOOLONG
    );
    assert_eq!(bucket.client().keys().len(), 2);
    mount.unmount();
}

#[test]
fn names_that_no_key_has_are_refused() {
    let bucket = or_skip!(bucket());
    bucket.client().put("key", "value");
    let mount = flat(&bucket);
    let names: [&[u8]; 6] = [
        b"\xff",
        b"a\xc3",
        b"\xed\xa0\x80",
        b"a%2Fb",
        b"short%+",
        b"new%.",
    ];
    for name in names {
        let path = mount.path().join(OsStr::from_bytes(name));
        assert_eq!(errno(fs::metadata(&path)), libc::ENOENT, "{path:?}");
        assert_eq!(errno(File::create(&path)), libc::EINVAL, "{path:?}");
        assert_eq!(errno(fs::create_dir(&path)), libc::EINVAL, "{path:?}");
        if name != b"new%." {
            assert_eq!(
                errno(fs::rename(mount.file("key"), &path)),
                libc::EINVAL,
                "{path:?}"
            );
        }
    }
    assert_eq!(bucket.client().keys(), ["key"]);
    mount.unmount();
}

#[test]
fn what_is_no_file_and_no_directory_cannot_be_made() {
    let bucket = or_skip!(bucket());
    bucket.client().put("key", "value");
    let mount = flat(&bucket);
    assert_eq!(errno(symlink("key", mount.file("symlink"))), libc::EPERM);
    assert_eq!(
        errno(fs::hard_link(mount.file("key"), mount.file("link"))),
        libc::EPERM
    );
    let fifo = Script::dash("mkfifo fifo").within(mount.path()).run();
    assert!(fifo.stderr.contains("not permitted"), "{fifo:?}");
    // The mount's own directory is nobody's.
    assert_eq!(errno(fs::create_dir(mount.file(".etagfs"))), libc::EEXIST);
    assert_eq!(errno(File::create(mount.file(".etagfs"))), libc::EISDIR);
    assert_eq!(errno(File::create(mount.file(".etagfs/new"))), libc::EPERM);
    assert_eq!(
        errno(fs::remove_file(mount.file(".etagfs/status"))),
        libc::EPERM
    );
    assert_eq!(bucket.client().keys(), ["key"]);
    mount.unmount();
}

#[test]
fn the_root_of_a_bucket_holds_stores_and_nothing_else() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put("README", "no store");
    let mount = Mount::of(&bucket).start();
    let listed = || fs::read_dir(mount.path()).unwrap().count();
    assert_eq!(listed(), 0);
    for name in [
        "nonsense",
        &STORE.to_uppercase(),
        &STORE.replace('-', ""),
        &STORE[1..],
    ] {
        assert_eq!(
            errno(fs::create_dir(mount.file(name))),
            libc::EINVAL,
            "{name}"
        );
        assert_eq!(errno(File::create(mount.file(name))), libc::EPERM, "{name}");
    }
    assert_eq!(errno(File::create(mount.file(STORE))), libc::EPERM);
    fs::create_dir(mount.file(STORE)).unwrap();
    assert_eq!(other.keys(), [&format!("{STORE}/"), "README"]);
    assert_eq!(other.get(&format!("{STORE}/")).unwrap().size, 0);
    assert_eq!(listed(), 1);
    assert_eq!(errno(fs::create_dir(mount.file(STORE))), libc::EEXIST);

    fs::write(mount.file(STORE).join("key"), "value").unwrap();
    assert_eq!(other.text(&format!("{STORE}/key")), "value");
    assert_eq!(errno(fs::remove_dir(mount.file(STORE))), libc::ENOTEMPTY);
    fs::remove_file(mount.file(STORE).join("key")).unwrap();
    fs::remove_dir(mount.file(STORE)).unwrap();
    assert_eq!(other.keys(), ["README"]);
    assert_eq!(listed(), 0);
    mount.unmount();
}

#[test]
fn a_directory_with_keys_is_not_removed_and_is_moved_by_copying() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    for key in ["dir/a", "dir/sub/b", "else/c"] {
        other.put(key, key);
    }
    let mount = flat(&bucket);
    assert_eq!(errno(fs::remove_dir(mount.file("dir"))), libc::ENOTEMPTY);
    assert_eq!(errno(fs::remove_dir(mount.file("dir/a"))), libc::ENOTDIR);
    assert_eq!(errno(fs::remove_file(mount.file("dir"))), libc::EISDIR);
    assert_eq!(
        errno(fs::rename(mount.file("dir"), mount.file("new"))),
        libc::EXDEV
    );
    assert_eq!(
        errno(fs::rename(mount.file("dir/a"), mount.file("else"))),
        libc::EISDIR
    );
    Script::dash("mv dir moved").within(mount.path()).run().ok();
    assert_eq!(other.text("moved/a"), "dir/a");
    assert_eq!(other.text("moved/sub/b"), "dir/sub/b");
    assert!(!mount.file("dir").exists());
    let left: Vec<_> = other
        .keys()
        .into_iter()
        .filter(|key| !key.ends_with('/'))
        .collect();
    assert_eq!(left, ["else/c", "moved/a", "moved/sub/b"]);
    mount.unmount();
}

#[test]
fn a_directory_stays_when_this_mount_removed_its_last_file() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    for key in ["rm/x", "mv/x", "top"] {
        other.put(key, "value");
    }
    let mount = flat(&bucket);
    Script::dash("rm rm/x && mv mv/x moved")
        .within(mount.path())
        .run()
        .ok();
    assert_eq!(other.keys(), ["moved", "top"]);
    for dir in ["rm", "mv"] {
        assert!(mount.file(dir).is_dir(), "{dir}");
        assert_eq!(fs::read_dir(mount.file(dir)).unwrap().count(), 0);
    }
    let mut names: Vec<_> = fs::read_dir(mount.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["moved", "mv", "rm", "top"]);
    fs::write(mount.file("rm/again"), "value").unwrap();
    fs::remove_file(mount.file("rm/again")).unwrap();
    for dir in ["rm", "mv"] {
        fs::remove_dir(mount.file(dir)).unwrap();
        assert_eq!(errno(fs::metadata(mount.file(dir))), libc::ENOENT);
    }
    mount.unmount();
}

#[test]
fn an_attribute_with_a_value_that_the_store_does_not_take_is_invalid() {
    let bucket = or_skip!(bucket());
    bucket.client().put("key", "value");
    let mount = flat(&bucket);
    let set = Script::python(
        "import os, errno
try:
    os.setxattr('key', 'user.expires', b'garbage')
except OSError as error:
    print(errno.errorcode[error.errno])",
    );
    assert_eq!(set.within(mount.path()).run().ok().stdout, "EINVAL\n");
    assert_eq!(bucket.client().text("key"), "value");
    mount.unmount();
}
