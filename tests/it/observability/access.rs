//! `.etagfs/access`: each operation is one line, for everybody who reads along.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Stdio;

use super::{ground, own};
use crate::world::mounts::Mounted;
use crate::world::procs::Script;
use crate::world::tied::{self, OnOurDeath, Tied};
use crate::world::wait;

/// A line of the log, in its columns: time, operation, process, errno, bytes, milliseconds, path.
fn columns(line: &str) -> [&str; 7] {
    let columns: Vec<_> = line.splitn(7, ' ').collect();
    columns.try_into().unwrap_or_else(|_| panic!("{line:?}"))
}

/// The operations on a path, with their errnos and bytes.
fn operations(log: &str, path: &str) -> Vec<String> {
    let lines = log
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(columns);
    lines
        .filter(|columns| columns[6] == path)
        .map(|[_, op, _, errno, bytes, ..]| format!("{op} {errno} {bytes}"))
        .collect()
}

#[test]
fn each_operation_is_a_line_with_errno_bytes_process_and_path() {
    let ground = or_skip!(ground());
    ground.other.put("a dir/key", "value");
    let out = ground.run(Script::bash(
        "read -r line < 'a dir/key'; echo $$; cat missing",
    ));
    let pid = out.stdout.trim();
    let log = own(&ground.mount, "access");
    let key = operations(&log, "a dir/key");
    for expected in ["lookup OK 0", "open OK 0", "read OK 5", "flush OK 0"] {
        assert!(key.iter().any(|it| it == expected), "{expected}: {log}");
    }
    assert_eq!(operations(&log, "missing"), ["lookup ENOENT 0"]);
    let read = log
        .lines()
        .map(columns)
        .find(|columns| columns[1] == "read");
    let [time, _, reader, .., ms, _] = read.unwrap();
    assert_eq!(reader, pid, "{log}");
    assert!(ms.parse::<f64>().unwrap() > 0.0);
    let format = &time::format_description::well_known::Rfc3339;
    assert!(time::OffsetDateTime::parse(time, format).is_ok(), "{time}");
}

#[test]
fn a_rename_tells_both_names_and_a_newline_in_a_name_is_no_new_line() {
    let ground = or_skip!(ground());
    ground.other.put("from", "value");
    fs::rename(ground.mount.file("from"), ground.mount.file("to\nthere")).unwrap();
    let log = own(&ground.mount, "access");
    assert_eq!(
        operations(&log, "from -> to\\u{a}there"),
        ["rename OK 0"],
        "{log}"
    );
}

#[test]
fn reading_the_log_is_not_logged() {
    let ground = or_skip!(ground());
    fs::write(ground.mount.file("key"), "1").unwrap();
    let once = own(&ground.mount, "access");
    assert!(!once.is_empty() && !once.contains(".etagfs"), "{once}");
    // The release of `key` may come after its close returned.
    let settled = |log: &str| operations(log, "key").iter().any(|it| it == "release OK 0");
    wait::until("the release of key", wait::SOON, || {
        settled(&own(&ground.mount, "access"))
    });
    let twice = own(&ground.mount, "access");
    assert_eq!(own(&ground.mount, "access"), twice);
}

/// `tail -f` of the log.
struct Follower {
    out: tempfile::NamedTempFile,
    _tail: Tied,
}

impl Follower {
    fn of(mount: &Mounted) -> Self {
        let out = tempfile::NamedTempFile::new().unwrap();
        let mut tail = tied::command("tail", OnOurDeath::Kill);
        tail.args(["-n", "100", "-s", "0.1", "-f"])
            .arg(mount.file(".etagfs/access"))
            .stdin(Stdio::null())
            .stdout(out.reopen().unwrap())
            .stderr(out.reopen().unwrap());
        let _tail = tied::spawn(tail);
        Self { out, _tail }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.out.path()).unwrap()
    }

    /// Whether it was told that a file was written and closed.
    fn told(&self, path: &str) -> bool {
        self.log().contains(&format!(" {path}\n"))
    }
}

#[test]
fn tail_follows_what_happens_after_it_began() {
    let ground = or_skip!(ground());
    fs::write(ground.mount.file("before"), "1").unwrap();
    let followers = [Follower::of(&ground.mount), Follower::of(&ground.mount)];
    for path in ["after", "later"] {
        for follower in &followers {
            wait::until("what was before", wait::SOON, || follower.told("before"));
        }
        fs::write(ground.mount.file(path), "1").unwrap();
        for follower in &followers {
            wait::until(path, wait::SOON, || follower.told(path));
        }
    }
    for follower in followers {
        let all = follower.log();
        for path in ["before", "after", "later"] {
            let operations = operations(&all, path);
            let writes = operations.iter().filter(|it| *it == "write OK 1").count();
            assert_eq!(writes, 1, "{path}: {all}");
        }
    }
    ground.unmount();
}

/// Reads a file that grows to its present end.
fn rest(file: &mut File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

/// How many times `path` was written, by the log.
fn writes(log: &str, path: &str) -> usize {
    let operations = operations(log, path);
    operations
        .iter()
        .filter(|it| it.starts_with("write"))
        .count()
}

fn write_often(mount: &Mounted, times: usize) {
    let mut file = File::create(mount.file("busy")).unwrap();
    for _ in 0..times {
        file.write_all(b"x").unwrap();
    }
}

#[test]
fn a_reader_that_lags_is_told_how_much_it_lost_and_holds_nobody_up() {
    const TIMES: usize = 6000;
    let ground = or_skip!(ground());
    let access = ground.mount.file(".etagfs/access");
    let (mut slow, mut quick) = (File::open(&access).unwrap(), File::open(&access).unwrap());
    let (mut from_slow, mut from_quick) = (rest(&mut slow), rest(&mut quick));
    for _ in 0..10 {
        // Nobody reads what the slow one should.
        write_often(&ground.mount, TIMES / 10);
        from_quick += &rest(&mut quick);
    }
    from_slow += &rest(&mut slow);
    let lost = |log: &str| -> usize {
        let told = log.lines().filter_map(|line| line.strip_prefix("# "));
        told.map(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap())
            .sum()
    };
    assert_eq!((writes(&from_quick, "busy"), lost(&from_quick)), (TIMES, 0));
    let (read, gone) = (from_slow.lines().count() - 1, lost(&from_slow));
    assert!(gone > 0, "{} lines", read);
    // Together they are all there were, but for what happened after the quick one's last look.
    let all = from_quick.lines().count();
    assert!(
        (all..=all + 2).contains(&(read + gone)),
        "{read} + {gone}, {all}"
    );
    assert!(
        from_slow
            .lines()
            .all(|line| line.starts_with('#') || columns(line)[6] == "busy" || !line.is_empty())
    );
}
