//! The numbers of files (`st_ino`, V5): made of store and key, the same for good, on every mount. Programs
//! remember them to see whether a file is still that file: whoever finds another one gives up, or reads
//! everything again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::mount::{MountFlags, mount_remount};
use rustix::process::Signal;

use crate::world::counted::Counted;
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::proxy::Op;
use crate::world::report;
use crate::world::wait::{self, SOON};

/// The kernel forgets all names and inodes of a mount that nobody uses, as it does when it is short of
/// memory (or by /proc/sys/vm/drop_caches, which all mounts of the machine would feel). Only root can ask
/// for it.
fn forget_names(mount: &Path) -> Result<(), String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount_remount(mount, flags, c"").map_err(|error| format!("remount: {error}"))
}

/// Does something while the kernel forgets all the time; how often it did.
fn while_forgetting<T>(mount: &Path, work: impl FnOnce() -> T) -> (T, u32) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let forgetting = scope.spawn(|| {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                forget_names(mount).unwrap();
                times += 1;
                thread::sleep(Duration::from_millis(2));
            }
            times
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, forgetting.join().unwrap())
    })
}

/// What every name below a directory shows, by its path; each listing agrees with `stat`.
fn numbers(top: &Path) -> BTreeMap<String, u64> {
    let mut numbers = BTreeMap::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.path().symlink_metadata().unwrap();
            assert_eq!(entry.ino(), meta.ino(), "{}", entry.path().display());
            let path = entry.path().strip_prefix(top).unwrap().to_owned();
            numbers.insert(path.to_str().unwrap().to_owned(), meta.ino());
            if meta.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    numbers
}

const KEYS: [&str; 5] = ["key", "other", "dir/key", "dir/below/key", "dir2/key"];

fn tree() -> Result<Counted, String> {
    let ground = Counted::mount(|mount| mount.flat())?;
    for key in KEYS {
        ground.other.put(key, "first\n");
    }
    Ok(ground)
}

#[test]
fn a_name_shows_one_number_whatever_the_kernel_and_the_mount_forget() {
    let mut ground = or_skip!(tree());
    let top = ground.mount.path().to_owned();
    or_skip!(forget_names(&top));
    let before = numbers(&top);
    let own = |name: &str| fs::metadata(top.join(".etagfs").join(name)).unwrap().ino();
    let status = own("status");
    let mut different: Vec<_> = before
        .values()
        .copied()
        .chain([status, own("stats")])
        .collect();
    different.push(fs::metadata(&top).unwrap().ino());
    different.push(fs::metadata(top.join(".etagfs")).unwrap().ino());
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), before.len() + 4);

    for _ in 0..5 {
        forget_names(&top).unwrap();
        assert_eq!(numbers(&top), before);
        assert_eq!(own("status"), status);
    }
    for times in 1..=3 {
        ground.mount.signal(Signal::HUP);
        wait::until("the caches are dropped", SOON, || {
            ground.mount.log().matches("caches dropped").count() == times
        });
        assert_eq!(numbers(&top), before);
    }
    // Two mounts at the same time, and the next one at the same place.
    let second = Mount::of(&ground.bucket).flat().start();
    assert_eq!(numbers(second.path()), before);
    ground.unmount();
    second.unmount();
}

#[test]
fn a_name_shows_one_number_whoever_saves_it_and_however() {
    let ground = or_skip!(tree());
    let top = ground.mount.path().to_owned();
    let before = numbers(&top);
    ground.other.put("key", "foreign\n");
    wait::until("the foreign value", SOON, || {
        fs::read_to_string(top.join("key")).unwrap() == "foreign\n"
    });
    assert_eq!(numbers(&top), before);
    let saves = [
        "echo again > key",
        "echo more >> key",
        "sed -i s/again/other/ key",
        "echo new > new; mv new key",
        "cp key copy; rm key; mv copy key",
        "mv key key~; echo anew > key; rm key~",
        "mv key key~; mv key~ key",
        "rm key; echo anew > key",
        "exec 3<key; rm key; echo anew > key; [ $(stat -c %i key) = $(stat -Lc %i /dev/fd/3) ]; cat <&3",
        "perl -i -pe s/anew/by-perl/ key",
        "exec 3>>new; echo x >&3; mv new key; ls -l > /dev/null; echo y >&3",
        "rm -r dir2; mkdir dir2; echo again > dir2/key",
        "vim -es -N -u NONE -i NONE -c 'set backupcopy=no' -c 's/.*/vim/' -c wq key",
        "vim -es -N -u NONE -i NONE -c 'set backupcopy=yes' -c 's/.*/vim/' -c wq key",
        "vim -es -N -u NONE -i NONE -c 'set backupcopy=auto' -c 's/.*/vim/' -c wq key",
    ];
    for save in saves {
        ground.run(Script::bash(&format!("set -e; {save}"))).ok();
        // Once as the kernel knows it now, and once as it is told by the listing.
        for _ in 0..2 {
            assert_eq!(numbers(&top), before, "after {save}");
        }
    }
    // A file that moves is known by where it is, and comes back to the same number.
    ground.run(Script::bash("mv key moved")).ok();
    let moved = numbers(&top);
    assert_ne!(moved["moved"], before["key"]);
    ground.run(Script::bash("mv moved key")).ok();
    assert_eq!(numbers(&top), before);
    ground.unmount();
}

/// An editor remembers its temporary file, and looks whether that is what it finds before it saves again.
#[test]
fn who_moves_a_file_over_another_knows_it_again_and_everybody_else_sees_the_number_of_the_name() {
    let ground = or_skip!(tree());
    let top = ground.mount.path();
    or_skip!(forget_names(top));
    let before = numbers(top);
    let script = "import os
for round in range(3):
    fd = os.open('.key.XYZabc', os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, b'saved %d' % round)
    os.fsync(fd)
    temporary = os.fstat(fd).st_ino
    os.close(fd)
    os.rename('.key.XYZabc', 'key')
    os.listdir('.')
    assert os.stat('key').st_ino == temporary
    number = int(os.popen('stat -c %i key').read())
    assert number != temporary
    assert os.stat('key').st_ino == temporary
    print(number)
";
    let seen = ground.run(Script::python(script)).ok().stdout;
    assert_eq!(seen, format!("{}\n", before["key"]).repeat(3));
    assert_eq!(numbers(top), before);
    let (seen, times) = while_forgetting(top, || ground.run(Script::python(script)).ok().stdout);
    assert_eq!(seen, format!("{}\n", before["key"]).repeat(3));
    assert!(times > 1);
}

#[test]
fn a_thousand_names_have_a_thousand_numbers() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    for n in 0..1000 {
        ground.other.put(&format!("key-{n}"), "x");
    }
    let numbers = numbers(ground.mount.path());
    let different: std::collections::BTreeSet<_> = numbers.values().collect();
    assert_eq!((numbers.len(), different.len()), (1000, 1000));
    assert!(
        different
            .iter()
            .all(|number| i64::try_from(**number).is_ok())
    );
    ground.unmount();
}

/// A tree of some files in some directories.
fn forest(ground: &Counted, files: usize) {
    for n in 0..files {
        let key = format!("tree/{}/{}/file-{n}", n % 5, n % 7);
        ground.other.put(&key, format!("{n}\n").repeat(100));
    }
}

#[test]
fn a_tree_is_copied_by_rsync_while_the_kernel_is_short_of_memory() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let top = ground.mount.path();
    or_skip!(forget_names(top));
    forest(&ground, 210);
    let copies = tempfile::tempdir().unwrap();
    let copy = |nth: u32| {
        let to = copies.path().join(nth.to_string());
        let script = format!(
            "rsync -a tree/ {to}/ && diff -r tree {to} && find {to} -type f | wc -l",
            to = to.display()
        );
        ground.run(Script::bash(&script))
    };
    let (copied, forgot) = while_forgetting(top, || (0..3).map(copy).collect::<Vec<_>>());
    for copied in copied {
        assert_eq!(copied.ok().stdout.trim(), "210");
    }
    let line =
        format!("rsync of 210 files, 3 of 3 whole, while the kernel forgot all {forgot} times");
    println!("{line}");
    report::append_line("inode-numbers", &line);
    assert!(forgot > 3);
}

/// Until the time that is remembered for a tree is later than any of its files.
fn let_a_second_pass() {
    let second = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let now = second();
    wait::until("the next second but one", SOON, || second() > now + 1);
}

#[test]
fn git_reads_nothing_again_after_another_mount() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    forest(&ground, 40);
    let outside = tempfile::tempdir().unwrap();
    let git = format!(
        "git --git-dir={}/git --work-tree=. -c user.name=x -c user.email=x@localhost",
        outside.path().display()
    );
    let script = format!("{git} init -q . && {git} add tree && {git} commit -qm first");
    ground.run(Script::bash(&script)).ok();
    let_a_second_pass();
    let status = format!("{git} status --porcelain");
    // What was saved in the second of the index is read once more.
    assert_eq!(ground.run(Script::bash(&status)).ok().stdout, "");
    let (bucket, at) = (ground.bucket.clone(), tempfile::tempdir().unwrap());
    let point = at.path().canonicalize().unwrap();
    ground.unmount();
    let mut gets = Vec::new();
    for _ in 0..2 {
        let again = Counted::of(&bucket, |mount| mount.flat().at(&point));
        assert_eq!(again.run(Script::bash(&status)).ok().stdout, "");
        gets.push(again.counts().of(Op::Get));
        again.unmount();
    }
    let line = format!("git status of 40 files on two further mounts: {gets:?} GETs");
    println!("{line}");
    report::append_line("inode-numbers", &line);
    assert_eq!(gets, [0, 0]);
}

#[test]
fn an_incremental_backup_holds_nothing_that_did_not_change() {
    let mut ground = or_skip!(Counted::mount(|mount| mount.flat()));
    or_skip!(forget_names(ground.mount.path()));
    forest(&ground, 40);
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().display().to_string();
    let_a_second_pass();
    let backup = |level: &str| {
        format!(
            "tar -c --no-check-device --listed-incremental={at}/snapshot -f {at}/{level}.tar tree; \
             tar -tf {at}/{level}.tar | grep -vc /$ || true"
        )
    };
    let whole = ground.run(Script::bash(&backup("0"))).ok().stdout;
    assert_eq!(whole.trim(), "40");
    forget_names(ground.mount.path()).unwrap();
    ground.mount.signal(Signal::HUP);
    wait::until("the caches are dropped", SOON, || {
        ground.mount.log().contains("caches dropped")
    });
    assert_eq!(
        ground.run(Script::bash(&backup("1"))).ok().stdout.trim(),
        "0"
    );
    let bucket = ground.bucket.clone();
    ground.unmount();
    let again = Counted::of(&bucket, |mount| mount.flat());
    assert_eq!(
        again.run(Script::bash(&backup("2"))).ok().stdout.trim(),
        "0"
    );
    let_a_second_pass();
    again.other.put("tree/1/1/file-1", "changed");
    wait::until("the change is seen", SOON, || {
        fs::metadata(again.mount.file("tree/1/1/file-1"))
            .unwrap()
            .len()
            == 7
    });
    let changed = again.run(Script::bash(&backup("3"))).ok().stdout;
    assert_eq!(changed.trim(), "1");
    again.unmount();
}
