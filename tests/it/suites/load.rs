//! Load: `fio` writes and verifies, `dbench` plays what a file server's clients did, `stress-ng`
//! presses the calls that make and remove names. All bounded: each new file and each close is a save.

use std::time::Duration;

use super::{Ground, packaged};
use crate::world::procs::{Output, Script};
use crate::world::report;

/// Generous: each takes a few seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(900);

/// Runs a command of a program of Debian's in the mount.
fn run(ground: &Ground, command: &str) -> Output {
    // fio leaves its state files where it is started: not in the mount.
    let own = tempfile::tempdir().unwrap();
    Script::bash(command)
        .env("MNT", ground.mount.path())
        .within(own.path())
        .deadline(DEADLINE)
        .run()
        .ok()
}

/// The value of a field in fio's terse output, version 3 (fio(1): "Terse Output").
fn terse(out: &Output, field: usize) -> u64 {
    let line = out.stdout.lines().find(|line| line.starts_with("3;"));
    let line = line.unwrap_or_else(|| panic!("{out:#?}"));
    line.split(';').nth(field).unwrap().parse().unwrap()
}

const ERROR: usize = 4;
const KIB_READ: usize = 5;
const KIB_WRITTEN: usize = 46;

#[test]
fn fio_reads_back_what_it_wrote_at_random_places() {
    or_skip!(packaged("fio"));
    let ground = or_skip!(Ground::mount(|mount| mount));
    let out = run(
        &ground,
        "exec fio --name=random --directory=$MNT --size=4m --nrfiles=8 --rw=randwrite --bs=4k \
         --randseed=1 --verify=crc32c --do_verify=1 --verify_fatal=1 --end_fsync=1 \
         --fallocate=none --ioengine=psync --output-format=terse --terse-version=3",
    );
    assert_eq!(terse(&out, ERROR), 0, "{out:#?}");
    let (read, written) = (terse(&out, KIB_READ), terse(&out, KIB_WRITTEN));
    assert_eq!((read, written), (4096, 4096), "{out:#?}");
    assert_eq!(ground.other.keys().len(), 8);
    ground.end(0);
    let line = "fio, random writes: 8 files, 1024 blocks of 4 KiB written and verified";
    report::append_line("suites", line);
}

#[test]
fn fio_reads_back_many_small_files() {
    or_skip!(packaged("fio"));
    let ground = or_skip!(Ground::mount(|mount| mount));
    let out = run(
        &ground,
        "exec fio --name=small --directory=$MNT --rw=write --bs=1k --filesize=1k --nrfiles=120 \
         --openfiles=1 --file_service_type=sequential --create_on_open=1 --verify=sha256 \
         --verify_fatal=1 --fallocate=none --ioengine=psync --output-format=terse \
         --terse-version=3",
    );
    assert_eq!(terse(&out, ERROR), 0, "{out:#?}");
    let (read, written) = (terse(&out, KIB_READ), terse(&out, KIB_WRITTEN));
    assert_eq!((read, written), (120, 120), "{out:#?}");
    assert_eq!(ground.other.keys().len(), 120);
    ground.end(0);
    let line = "fio, small files: 120 files of 1 KiB written and verified";
    report::append_line("suites", line);
}

#[test]
fn dbench_plays_two_clients_of_a_file_server() {
    or_skip!(packaged("dbench"));
    let ground = or_skip!(Ground::mount(|mount| mount));
    // As root, as if nobody had made a semaphore since this machine was started. Such a one has the number 0,
    // which dbench 4 takes for a failure; it says so, and goes on. (If there is really none, it ends.)
    let fresh = match rustix::process::geteuid().is_root() {
        true => "unshare --ipc ",
        false => "",
    };
    let out = run(&ground, &format!("exec {fresh}dbench -D $MNT -t 3 2"));
    let throughput = out
        .stdout
        .lines()
        .find(|line| line.starts_with("Throughput"));
    let throughput = throughput.unwrap_or_else(|| panic!("{out:#?}"));
    // It goes on after an error, and tells it.
    let failures: Vec<_> = out
        .stdout
        .lines()
        .chain(out.stderr.lines())
        .filter(|line| line.contains("failed") || line.contains("ERROR"))
        .filter(|line| line.trim() != "failed to create barrier semaphore")
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    // It stops somewhere, and leaves what it has made: all of that is in the bucket.
    let here = run(
        &ground,
        "cd $MNT && find . -type f -printf '%P %s\\n' | LC_ALL=C sort",
    );
    let objects = ground.other.list("").into_iter();
    let there = objects
        .filter(|object| !object.key.ends_with('/'))
        .map(|object| format!("{} {}\n", object.key, object.size));
    assert_eq!(here.stdout, there.collect::<String>());
    ground.end(0);
    report::append_line("suites", &format!("dbench, 2 clients, 3 s: {throughput}"));
}

/// `utime` is left out: it verifies times, which are not stored (V5). So is `getdent`, which reads /proc, /dev and
/// /tmp instead of the directory that it is given, and with that the mounts of other tests.
#[test]
fn stress_ng_makes_renames_and_removes_names() {
    or_skip!(packaged("stress-ng"));
    let ground = or_skip!(Ground::mount(|mount| mount));
    let stressors = [
        ("rename", 60),
        ("open", 100),
        ("dentry", 60),
        ("dir", 30),
        ("flock", 100),
        ("fstat", 200),
        ("seek", 300),
        ("hdd", 300),
    ];
    let asked: Vec<_> = stressors
        .iter()
        .map(|(name, operations)| format!("--{name} 1 --{name}-ops {operations}"))
        .collect();
    let out = run(
        &ground,
        &format!(
            "exec stress-ng --temp-path $MNT --timeout 800 --verify --hdd-bytes 4m --fstat-dir $MNT --metrics-brief {}",
            asked.join(" ")
        ),
    );
    let text = format!("{}{}", out.stdout, out.stderr);
    assert!(text.contains("successful run completed"), "{out:#?}");
    assert!(!text.contains("fail:"), "{out:#?}");
    for (name, operations) in stressors {
        // "stress-ng: metrc: [PID] NAME OPERATIONS ..."
        let done = text.lines().find_map(|line| {
            let mut words = line.split_whitespace().skip(3);
            (words.next()? == name).then(|| words.next()?.parse::<u64>().ok())?
        });
        assert!(
            done.is_some_and(|done| done >= operations),
            "{name}: {out:#?}"
        );
    }
    assert_eq!(ground.other.keys(), [""; 0]);
    ground.end(0);
    let all: Vec<_> = stressors
        .iter()
        .map(|(name, operations)| format!("{name} {operations}"))
        .collect();
    report::append_line("suites", &format!("stress-ng: {}", all.join(", ")));
}
