//! Signals and the time: whatever a command waits for, they are heard; what was to be ignored is; and a command
//! that has the terminal has its signals too.

use rustix::process::Signal;

use super::updates::{running, seconds};
use super::{Desk, fails};
use crate::world::mounts::{self, Mount};
use crate::world::procs::Running;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait;

/// Runs a program with all signals as they are by default: the `&` of a shell would ignore some.
const FRESH: &str = "fresh() { exec python3 -c 'import os, signal, sys
for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP): signal.signal(s, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \"$@\"; }
";

fn fresh(desk: &Desk, command: &str) -> Running {
    desk.script(&format!("{FRESH} fresh {command}")).start()
}

/// Whether a process has come to its own program, and listens to signals.
fn catches(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[test]
fn what_is_no_regular_file_is_no_value_to_update() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    for target in ["fifo", "/dev/null", "/dev/zero", "/dev/tty", "socket"] {
        let out = desk
            .script(&format!(
                "mkfifo fifo 2> /dev/null
                 python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")' 2> /dev/null
                 timeout 20 etagfs update --timeout 10 {target} -- cat"
            ))
            .within(dir.path())
            .run();
        assert_eq!(out.code, Some(1), "{target}: {out:#?}");
        assert!(out.stderr.starts_with("etagfs: "), "{target}: {out:#?}");
    }
}

#[test]
fn a_pipe_can_be_copied_from() {
    let desk = or_skip!(Desk::new());
    desk.says(
        "etagfs cp <(printf piped) $S/key; etagfs cp $S/key /dev/stdout > out; cat out; rm out",
    );
    assert_eq!(desk.other.text(&desk.object("key")), "piped");
}

#[test]
fn signals_and_the_time_are_heard_while_a_mount_does_not_answer() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    let mount = Mount::of(&desk.bucket)
        .store(&desk.store)
        .arg("--ttl=0")
        .arg("--deadline=60")
        .start();
    let hole = Gate::new();
    let silent = desk
        .proxy
        .inject(When::any(), Fault::BlackHole(hole.clone()));
    let key = mount.file("key");
    let update = |timeout: u32| {
        let key = key.display();
        fresh(
            &desk,
            &format!("etagfs update --timeout {timeout} {key} -- cat"),
        )
    };
    let out = update(1).finish();
    fails(
        &out,
        75,
        &["time was up while", "left as it was", "--timeout"],
    );
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
    ] {
        let started = update(50);
        // The last one that it listens to; before it, Python listens to others.
        let listens = || catches(started.pid(), Signal::HUP);
        wait::until("it listens", wait::SOON, listens);
        started.signal(signal);
        wait::until("it ends", wait::SOON, || started.ended());
        fails(
            &started.finish(),
            code,
            &["ended by signal", "key was left as it was"],
        );
    }
    silent.remove();
    hole.open();
    mount.unmount();
    assert_eq!(desk.other.text(&desk.object("key")), "old");
}

/// A command that says when it is ready, waits for a file, and goes on whatever signal comes.
const EDITOR: &str = "python3 -c 'import os, signal, sys, time
for s in (signal.SIGINT, signal.SIGQUIT): signal.signal(s, lambda *_: sys.stderr.write(\"hears \"))
open(\"ready\", \"w\").close()
while not os.path.exists(\"go\"): time.sleep(0.01)
print(\"edited\")'";

#[test]
fn what_the_terminal_sends_is_for_the_command_that_has_it() {
    let desk = or_skip!(Desk::new());
    for (number, signal) in [Signal::INT, Signal::QUIT].into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let key = format!("key{number}");
        desk.other.put(&desk.object(&key), "old");
        // No --timeout: whoever edits has all the time it takes.
        let update = format!("{FRESH} fresh etagfs update --foreground $S/{key} -- {EDITOR}");
        let started = desk.script(&update).within(dir.path()).start();
        let at = |name: &str| dir.path().join(name);
        wait::until("the command runs", wait::SOON, || at("ready").exists());
        // The terminal sends it to all that are in the foreground.
        started.signal(signal);
        std::fs::write(at("go"), "").unwrap();
        let out = started.finish().ok();
        assert!(out.stderr.contains("hears"), "{out:#?}");
        assert_eq!(
            desk.other.text(&desk.object(&key)),
            "edited\n",
            "{signal:?}"
        );
    }
}

#[test]
fn a_command_in_the_foreground_has_no_time_limit_but_a_given_one() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    let late = "etagfs update --foreground --timeout 1 $S/key -- sleep 100";
    fails(&desk.run(late), 75, &["time was up"]);
    let by_variable = "ETAGFS_TIMEOUT=1 etagfs update --foreground $S/key -- sleep 100";
    fails(&desk.run(by_variable), 75, &["time was up"]);
    let out = desk.says("etagfs update --help");
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("may take as long as it likes, unless --timeout is given"),
        "{out}"
    );
}

#[test]
fn a_signal_that_was_to_be_ignored_is_ignored() {
    let desk = or_skip!(Desk::new());
    for (number, (signal, ignoring)) in [
        (Signal::HUP, "nohup"),
        (Signal::INT, "env --ignore-signal=INT"),
        (Signal::QUIT, "env --ignore-signal=QUIT"),
        (Signal::TERM, "env --ignore-signal=TERM"),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("key{number}");
        desk.other.put(&desk.object(&key), "old");
        let gate = Gate::new();
        let held = When::op(Op::Put).key(&desk.object(&key)).once();
        desk.proxy.inject(held, Fault::HoldRequest(gate.clone()));
        let started = fresh(
            &desk,
            &format!("{ignoring} etagfs update $S/{key} -- sh -c 'cat; echo new'"),
        );
        gate.wait_for(1);
        let pid = started.pid();
        desk.run(&format!("kill -{} {pid}", signal.as_raw())).ok();
        gate.open();
        let out = started.finish();
        assert_eq!(out.code, Some(0), "{signal:?}: {out:#?}");
        assert_eq!(
            desk.other.text(&desk.object(&key)),
            "oldnew\n",
            "{signal:?}"
        );
    }
}

#[test]
fn a_mount_and_a_server_ignore_what_was_to_be_ignored() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let mount =
        "mkdir m; exec env --ignore-signal=INT --ignore-signal=HUP etagfs mount $B m --log info";
    let mounted = desk.script(mount).within(dir.path()).start();
    wait::until("it is mounted", wait::SOON, || {
        dir.path().join("m/.etagfs/status").exists()
    });
    let serve = "exec env --ignore-signal=INT etagfs serve data --listen 127.0.0.1:0";
    let served = desk.script(serve).within(dir.path()).start();
    wait::until("it listens", wait::SOON, || {
        served.stdout_so_far().contains("listening")
    });
    for running in [&mounted, &served] {
        assert!(!catches(running.pid(), Signal::INT));
        running.signal(Signal::INT);
    }
    mounted.signal(Signal::HUP);
    // Both still answer, and end by the signal that was not to be ignored.
    assert!(std::fs::read(dir.path().join("m/.etagfs/status")).is_ok());
    for running in [&mounted, &served] {
        assert!(catches(running.pid(), Signal::TERM));
        running.signal(Signal::TERM);
    }
    mounted.finish().ok();
    served.finish().ok();
}

#[test]
fn what_a_watch_has_started_ends_with_it() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "1");
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129), ("QUIT", 131)] {
        let long = seconds();
        let started = fresh(
            &desk,
            &format!("etagfs watch --initial $S/key -- sh -c 'sleep {long} & sleep {long}'"),
        );
        wait::until("the command runs", wait::SOON, || {
            running(&format!("sleep\0{long}")) == 2
        });
        // To the watch alone.
        desk.run(&format!("kill -{signal} {}", started.pid())).ok();
        wait::until("it ends", wait::SOON, || started.ended());
        wait::until("all have ended", wait::SOON, || running(&long) == 0);
        let out = started.finish();
        assert_eq!(
            (out.code, &*out.stderr),
            (Some(code), ""),
            "{signal}: {out:#?}"
        );
    }
    // Between two commands too.
    let started = fresh(&desk, "etagfs watch --interval 60 $S/key -- true");
    wait::until("it listens", wait::SOON, || {
        catches(started.pid(), Signal::HUP)
    });
    started.signal(Signal::TERM);
    wait::until("it ends", wait::SOON, || started.ended());
    assert_eq!(started.finish().code, Some(143));
}
