//! Machines without /proc, /dev, /etc, threads, descriptors; programs without standard streams.

use super::{ended_in_order, refused};
use crate::world::cli;
use crate::world::namespace::ALONE;
use crate::world::report;
use crate::world::servers::{self, Kind};

/// What somebody does, with `$B` and a directory `m`. None of them has to succeed.
const COMMANDS: [&str; 16] = [
    "--version",
    "--help",
    "nonsense",
    "man",
    "stores ls $B",
    "ls --flat $B",
    "put --flat $B/key",
    "get --flat $B/key",
    "append --flat $B/key line",
    "update --flat $B/key -- cat",
    "mget --flat $B",
    "rescue ls",
    "alive m",
    "umount m",
    "top m",
    "serve served --listen 127.0.0.1:0",
];

/// Where they are run: a line of a shell before the command. The ones with a mount namespace need root.
const ANYWHERE: [(&str, &str); 14] = [
    ("no standard input", "exec <&-"),
    ("no standard output", "exec >&-"),
    ("no standard error", "exec 2>&-"),
    ("no standard streams", "exec <&- >&- 2>&-"),
    ("a full disk for output", "exec > /dev/full"),
    ("four descriptors", "ulimit -n 4"),
    ("six descriptors", "ulimit -n 6"),
    ("seven descriptors", "ulimit -n 7"),
    ("ten descriptors", "ulimit -n 10"),
    ("fourteen descriptors", "ulimit -n 14"),
    ("no room for files", "ulimit -f 0"),
    ("no HOME", "unset HOME XDG_STATE_HOME ETAGFS_STATE_DIR"),
    ("no TMPDIR", "export TMPDIR=/nonexistent"),
    (
        "a directory that is gone",
        "mkdir gone && cd gone && rmdir ../gone",
    ),
];
const FOR_ROOT: [(&str, &str); 5] = [
    ("no /proc", "mount -t tmpfs none /proc"),
    ("no /dev", "mount -t tmpfs none /dev"),
    ("no /sys", "mount -t tmpfs none /sys"),
    ("no /etc", "mount -t tmpfs none /etc"),
    (
        "no /tmp to write in",
        "mkdir r && mount -t tmpfs -o ro none r && export TMPDIR=$PWD/r ETAGFS_STATE_DIR=$PWD/r",
    ),
];

#[test]
fn no_machine_makes_a_command_panic() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let is_root = rustix::process::geteuid().is_root();
    let mut runs = 0;
    let machines = ANYWHERE.iter().map(|machine| (false, machine));
    let machines = machines.chain(FOR_ROOT.iter().map(|machine| (true, machine)));
    for (own, (what, line)) in machines.filter(|(own, _)| is_root || !own) {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        // One shell for each machine: its commands write what they say into files.
        let each: String = COMMANDS
            .iter()
            .enumerate()
            .map(|(at, command)| {
                format!(
                    "( {line}\n exec timeout --signal TERM 20 etagfs {command} ) \
                     < input > out.{at} 2> err.{at}; echo $? > code.{at}\n"
                )
            })
            .collect();
        // `serve` is stopped after it has begun.
        let each = each.replace(
            "timeout --signal TERM 20 etagfs serve",
            "timeout --signal TERM 2 etagfs serve",
        );
        let script = format!("mkdir m; echo line > input\n{each}");
        let outer = match own {
            true => "exec unshare --mount --propagation private bash -c \"$SCRIPT\"",
            false => "exec bash -c \"$SCRIPT\"",
        };
        let script = match own {
            true => format!("{ALONE}\n{script}"),
            false => script,
        };
        let out = cli::script(&bucket, &state, outer)
            .env("SCRIPT", script)
            .env("B", format!("s3://{}", bucket.name))
            .env("ETAGFS_DEADLINE", "5")
            .within(place.path())
            .run();
        ended_in_order(what, &out);
        for (at, command) in COMMANDS.iter().enumerate() {
            let read = |name: &str| {
                let bytes = std::fs::read(place.path().join(format!("{name}.{at}")));
                String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
            };
            let (code, said) = (read("code"), read("out") + &read("err"));
            let what = format!("{what}: etagfs {command}: {code} {said}");
            assert!(
                !said.contains("panicked") && !said.contains("fatal runtime error"),
                "{what}"
            );
            // 101 is a panic, 134 an abort.
            let code: i32 = code
                .trim()
                .parse()
                .unwrap_or_else(|_| panic!("{what} {out:#?}"));
            assert!(![101, 134, 137].contains(&code), "{what}");
            runs += 1;
        }
    }
    let line = format!("{runs} commands on machines that lack something, none of which panicked");
    report::write("lacking-machines", &line);
}

#[test]
fn a_user_who_may_start_no_more_threads_is_told_so() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    if !rustix::process::geteuid().is_root() {
        skip!("only root can become nobody");
    }
    let place = tempfile::tempdir().unwrap();
    let script = "chmod 755 . && cp \"$(command -v etagfs)\" ./own && \
        exec setpriv --reuid 65534 --regid 65534 --clear-groups \
        prlimit --nproc=1:1 ./own stores ls $B";
    let out = cli::script(&bucket, place.path(), script)
        .env("B", format!("s3://{}", bucket.name))
        .within(place.path())
        .run();
    refused(
        "no threads",
        &out,
        &["no threads can be started", "ulimit -u"],
    );
}
