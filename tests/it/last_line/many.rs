//! Many rescues: who lists them reads no bytes of theirs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use super::{Ground, metric, status};
use crate::world::procs::Script;

const MANY: usize = 5000;
/// The bytes of each; holes, on this disk.
const SIZE: u64 = 1 << 20;

/// Puts rescues of this size into a state directory.
fn plant(state: &Path, source: &str, count: usize, size: u64) {
    let dir = state.join("rescue");
    fs::create_dir_all(&dir).unwrap();
    for n in 0..count {
        let id = format!("20260101T000000.000-{n:08x}");
        let record = serde_json::json!({
            "format": 1, "id": id, "time": "2026-01-01T00:00:00Z", "source": source, "store": "flat",
            "key": format!("key{n}"), "expected": "\"1\"", "found": "\"2\"", "reason": "conflict",
            "message": "somebody else saved first", "appended": false, "size": size, "pid": 1,
        });
        fs::write(dir.join(format!("{id}.json")), record.to_string()).unwrap();
        let value = File::create(dir.join(format!("{id}.value"))).unwrap();
        value.set_len(size).unwrap();
    }
}

/// How many bytes a process has read until now (proc(5): with the messages of the kernel).
fn read_by(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn five_thousand_rescues_are_listed_without_reading_their_bytes() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    plant(
        state.path(),
        &format!("s3://{}", ground.bucket.name),
        MANY,
        SIZE,
    );
    let mount = ground.mount(state.path()).log_level("info").start();
    let dir = mount.file(".etagfs/rescue");
    let list = || {
        let (before, begun) = (read_by(mount.pid()), Instant::now());
        let script =
            "import os; print(sum(1 for e in os.scandir('.') if e.stat().st_size == 1 << 20))";
        let out = Script::python(script).within(&dir).run().ok().stdout;
        assert_eq!(out.trim().parse(), Ok(MANY));
        let read = read_by(mount.pid()) - before;
        println!(
            "ls -l of {MANY} rescues, {SIZE} bytes each: {:?}, {read} bytes read",
            begun.elapsed()
        );
        read
    };
    let (first, second) = (list(), list());
    // The records and the kernel's requests; the bytes would be 5 GiB, one value alone 1 MiB.
    assert!(first < 2000 * MANY as u64, "{first}");
    assert!(second < 500 * MANY as u64, "{second}");
    let before = read_by(mount.pid());
    let one = dir.join(format!("20260101T000000.000-{:08x}", 17));
    assert_eq!(fs::metadata(&one).unwrap().len(), SIZE);
    assert!(read_by(mount.pid()) - before < SIZE / 10);

    // From so many on, somebody should look.
    let told = status(&mount);
    assert_eq!(
        (&told["rescues"], &told["rescue_bytes"]),
        (&5000.into(), &(5000 * SIZE).into())
    );
    let warning = told["rescues_warning"].as_str().unwrap();
    assert!(
        warning.contains("5000 rescues") && warning.contains("--rescue-count"),
        "{warning}"
    );
    assert_eq!(metric(&mount, "etagfs_rescues_warning"), 1);
    assert_eq!(metric(&mount, "etagfs_kept_rescues{place=\"disk\"}"), 5000);

    let begun = Instant::now();
    let out = ground.etagfs(state.path(), "rescue ls").ok();
    println!("etagfs rescue ls: {:?}", begun.elapsed());
    assert_eq!(out.stdout.lines().count(), MANY);
    let out = ground.etagfs(state.path(), "rescue drop --all").ok();
    assert_eq!((out.stdout, out.stderr), (String::new(), String::new()));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    assert!(fs::metadata(&one).is_err());
    assert_eq!(status(&mount)["rescues_warning"], serde_json::Value::Null);
    mount.unmount();
}

#[test]
fn a_rescue_that_is_larger_than_the_memory_is_read_in_pieces() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let size = 1 << 40;
    plant(
        state.path(),
        &format!("s3://{}", ground.bucket.name),
        1,
        size,
    );
    let mount = ground.mount(state.path()).start();
    let one = File::open(mount.file(".etagfs/rescue/20260101T000000.000-00000000"));
    let one = one.unwrap();
    let mut piece = [1; 4096];
    for at in [0, size / 2, size - 4096] {
        one.read_exact_at(&mut piece, at).unwrap();
        assert_eq!(piece, [0; 4096]);
        piece = [1; 4096];
    }
    assert_eq!(one.read_at(&mut piece, size).unwrap(), 0);
    drop(one);
    mount.unmount();
}
