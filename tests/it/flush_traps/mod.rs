//! When a save happens (W2, W3 of `docs/semantics.md`): programs close descriptors at surprising
//! moments, and each of those is a FLUSH. Whatever a program does, one value is one PUT, with the
//! whole value. Every change of an object is a request that the proxy sees, so the list of the
//! bodies is everything that anybody could ever have read.

mod empty;
mod heard;
mod unseen;

use crate::world::counted::{Counted, Ended};
use crate::world::mounts;
use crate::world::procs::Script;
use crate::world::proxy::Op;
use crate::world::servers::{self, Kind};

/// Something a program does to one file.
struct Trap {
    key: &'static str,
    /// What the object is before.
    before: Option<&'static str>,
    script: Script,
    /// How the program ends: exit code 0, or this signal.
    signal: Option<i32>,
    /// The values that are sent, in order.
    puts: &'static [&'static str],
}

impl Trap {
    fn new(key: &'static str, script: Script) -> Self {
        Self {
            key,
            before: None,
            script: script.env("F", key),
            signal: None,
            puts: &[],
        }
    }

    fn over(self, before: &'static str) -> Self {
        Self {
            before: Some(before),
            ..self
        }
    }

    fn killed(self) -> Self {
        Self {
            signal: Some(9),
            ..self
        }
    }

    fn puts(self, puts: &'static [&'static str]) -> Self {
        Self { puts, ..self }
    }
}

/// Runs the traps one after another in one mount.
#[track_caller]
fn spring(traps: Vec<Trap>) -> Result<Ended, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    // Before the mount is there: a listing that it remembers may be a second old.
    for trap in &traps {
        if let Some(before) = trap.before {
            bucket.client().put(trap.key, before);
        }
    }
    let ground = Counted::of(&bucket, |mount| mount.flat());
    let mut expected = Vec::new();
    for trap in traps {
        let out = ground.run(trap.script);
        assert_eq!(out.signal, trap.signal, "{out:#?}");
        assert!(out.code.is_none_or(|code| code == 0), "{out:#?}");
        ground.wait_for_puts(trap.key, trap.puts.len());
        expected.push((trap.key, trap.before, trap.puts));
    }
    let ended = ground.unmount();
    for (key, before, puts) in expected {
        let requests = ended.requests.key(key);
        assert_eq!(ended.puts(key), puts, "{key}:\n{requests}");
        for put in requests.of(Op::Put) {
            assert!(
                put.if_match().is_some() || put.if_none_match() == Some("*"),
                "{put}"
            );
            assert_eq!(put.status, Some(200), "{put}");
        }
        let others: Vec<_> = requests
            .0
            .iter()
            .filter(|request| !matches!(request.op, Op::Put | Op::Get | Op::Head))
            .collect();
        assert!(others.is_empty(), "{others:?}");
        let now = ended.other.get(key).map(|object| object.text().to_owned());
        let last = puts.last().copied().or(before);
        assert_eq!(now.as_deref(), last, "{key}");
    }
    Ok(ended)
}

#[test]
fn a_redirection_of_a_shell_is_one_save() {
    let mut traps = Vec::new();
    for (new, old, echo) in [
        ("bash-new", "bash-old", Script::bash as fn(&str) -> Script),
        ("dash-new", "dash-old", Script::dash),
    ] {
        let text = "echo hi > $F";
        traps.push(Trap::new(new, echo(text)).puts(&["hi\n"]));
        traps.push(Trap::new(old, echo(text)).over("before").puts(&["hi\n"]));
    }
    traps.push(Trap::new("program", Script::bash("/bin/echo hi > $F")).puts(&["hi\n"]));
    or_skip!(spring(traps));
}

#[test]
fn a_redirected_group_of_commands_is_one_save() {
    let group = "(date -u -d @0 +%F; true; /bin/echo b) > $F";
    let braces = "{ date -u -d @0 +%F; true; /bin/echo b; echo c; } > $F";
    let pipe = "printf 'b\\na\\n' | (sort; /bin/echo end) > $F";
    or_skip!(spring(vec![
        Trap::new("bash", Script::bash(group)).puts(&["1970-01-01\nb\n"]),
        Trap::new("dash", Script::dash(group)).puts(&["1970-01-01\nb\n"]),
        Trap::new("old", Script::bash(group))
            .over("before")
            .puts(&["1970-01-01\nb\n"]),
        Trap::new("braces", Script::bash(braces)).puts(&["1970-01-01\nb\nc\n"]),
        Trap::new("dash-braces", Script::dash(braces)).puts(&["1970-01-01\nb\nc\n"]),
        Trap::new("pipe", Script::bash(pipe)).puts(&["a\nb\nend\n"]),
    ]));
}

#[test]
fn a_descriptor_that_stays_open_over_other_commands_is_one_save() {
    let script = "exec 3>$F; /bin/true; echo x >&3; exec 3>&-";
    or_skip!(spring(vec![
        Trap::new("bash", Script::bash(script)).puts(&["x\n"]),
        Trap::new("dash", Script::dash(script)).puts(&["x\n"]),
        Trap::new("old", Script::bash(script))
            .over("before")
            .puts(&["x\n"]),
    ]));
}

/// The shell closes a copy of the descriptor after each redirected command, and nothing tells that
/// from its last close: what it wrote so far is saved, and it is whole as far as it goes.
#[test]
fn a_shell_that_redirects_twice_to_a_descriptor_saves_after_each() {
    let script = "exec 3>$F; echo x >&3; /bin/true; echo y >&3; exec 3>&-";
    or_skip!(spring(vec![
        Trap::new("bash", Script::bash(script)).puts(&["x\n", "x\ny\n"]),
        Trap::new("dash", Script::dash(script)).puts(&["x\n", "x\ny\n"]),
    ]));
}

#[test]
fn tools_that_write_a_file_save_it_once() {
    let source = "S=$(mktemp); echo value > $S;";
    let with = |text: &str| Script::bash(&format!("{source} {text}; R=$?; rm $S; exit $R"));
    or_skip!(spring(vec![
        Trap::new("dd", with("dd if=$S of=$F conv=fsync status=none")).puts(&["value\n"]),
        Trap::new("dd-old", with("dd if=$S of=$F conv=fsync status=none"))
            .over("before the end")
            .puts(&["value\n"]),
        Trap::new(
            "dd-blocks",
            with("dd if=$S of=$F bs=2 conv=fsync status=none")
        )
        .puts(&["value\n"]),
        Trap::new("cp", with("cp $S $F")).puts(&["value\n"]),
        Trap::new("cp-p", with("cp -p $S $F"))
            .over("before the end")
            .puts(&["value\n"]),
        Trap::new("install", with("install -m 600 $S $F")).puts(&["value\n"]),
        Trap::new("tee", with("tee $F < $S > /dev/null")).puts(&["value\n"]),
        Trap::new("tee-old", with("tee $F < $S > /dev/null"))
            .over("before the end")
            .puts(&["value\n"]),
        Trap::new("rsync", with("rsync --inplace $S $F")).puts(&["value\n"]),
        Trap::new(
            "rsync-old",
            with("rsync --inplace --times --checksum $S $F")
        )
        .over("before the end")
        .puts(&["value\n"]),
        Trap::new("sort", Script::bash("sort -o $F $F"))
            .over("b\na\n")
            .puts(&["a\nb\n"]),
    ]));
}

#[test]
fn an_append_and_an_edit_in_place_send_the_whole_value_once() {
    let edit = "import os\nf = open(os.environ['F'], 'r+')\nf.seek(2)\nf.write('XY')\nf.close()";
    let appends = "import os\nf = open(os.environ['F'], 'a', buffering=1)\nf.write('b\\n')\nf.write('c\\n')\nf.close()";
    or_skip!(spring(vec![
        Trap::new("bash", Script::bash("echo b >> $F"))
            .over("a\n")
            .puts(&["a\nb\n"]),
        Trap::new("dash", Script::dash("echo b >> $F"))
            .over("a\n")
            .puts(&["a\nb\n"]),
        Trap::new("new", Script::bash("echo b >> $F")).puts(&["b\n"]),
        Trap::new("two-writes", Script::python(appends))
            .over("a\n")
            .puts(&["a\nb\nc\n"]),
        Trap::new("edit", Script::python(edit))
            .over("abcdef")
            .puts(&["abXYef"]),
        Trap::new(
            "dd",
            Script::bash("printf XY | dd of=$F bs=1 seek=2 conv=notrunc status=none")
        )
        .over("abcdef")
        .puts(&["abXYef"]),
    ]));
}

#[test]
fn a_file_changed_through_memory_is_saved_once() {
    let script = "
import mmap, os
fd = os.open(os.environ['F'], os.O_RDWR)
with mmap.mmap(fd, 0) as pages:
    pages[2:4] = b'XY'
    pages.flush()
os.close(fd)";
    or_skip!(spring(vec![
        Trap::new("mapped", Script::python(script))
            .over("abcdef")
            .puts(&["abXYef"]),
    ]));
}

#[test]
fn a_child_of_a_writer_saves_no_half_of_its_file() {
    let begin =
        "import os, subprocess\nf = open(os.environ['F'], 'w')\nf.write('half, ')\nf.flush()\n";
    let end = "f.write('and half')\nf.close()\n";
    let python = |middle: &str| Script::python(&format!("{begin}{middle}{end}"));
    let whole: &'static [&'static str] = &["half, and half"];
    or_skip!(spring(vec![
        Trap::new("run", python("subprocess.run(['true'])\n")).puts(whole),
        Trap::new(
            "inherited",
            python("os.set_inheritable(f.fileno(), True)\nsubprocess.run(['true'], close_fds=False)\n")
        )
        .over("before")
        .puts(whole),
        Trap::new("shell", python("os.system('true; /bin/true')\n"))
            .over("before")
            .puts(whole),
        Trap::new(
            "fork",
            python("pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0)\n")
        )
        .puts(whole),
        Trap::new(
            "fork-old",
            python("pid = os.fork()\nif pid == 0:\n  os.close(f.fileno())\n  os._exit(0)\nos.waitpid(pid, 0)\n")
        )
        .over("before")
        .puts(whole),
        Trap::new(
            "killed-child",
            python("pid = os.fork()\nif pid == 0: os.kill(os.getpid(), 9)\nos.waitpid(pid, 0)\n")
        )
        .over("before")
        .puts(whole),
    ]));
}

#[test]
fn a_child_that_outlives_the_opener_saves_what_it_wrote() {
    // The script ends when its grandchild has: whatever is left of its group is killed.
    let daemon = "
import os
over, running = os.pipe()
if os.fork() == 0:
    opener = os.getpid()
    fd = os.open(os.environ['F'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if os.fork() == 0:
        os.chdir('/')
        while os.getppid() == opener: pass
        os.write(fd, b'late')
        os.close(fd)
    os._exit(0)
os.close(running)
os.wait()
os.read(over, 1)";
    or_skip!(spring(vec![
        Trap::new("new", Script::python(daemon)).puts(&["late"]),
        Trap::new("old", Script::python(daemon))
            .over("before")
            .puts(&["late"]),
    ]));
}

/// The flush comes from inside of execve(2), where the caller's `/proc` entries must not be read.
#[test]
fn a_program_that_replaces_itself_saves_the_file_it_had_open() {
    let script = "
import os
fd = os.open(os.environ['F'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
os.write(fd, b'value')
os.execv('/bin/true', ['true'])";
    let threads = "
import os, threading
fd = os.open(os.environ['F'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
os.write(fd, b'value')
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.execv('/bin/true', ['true'])";
    or_skip!(spring(vec![
        Trap::new("new", Script::python(script)).puts(&["value"]),
        Trap::new("old", Script::python(script))
            .over("before")
            .puts(&["value"]),
        Trap::new("threads", Script::python(threads))
            .over("before")
            .puts(&["value"]),
    ]));
}

/// A killed process closes its descriptors like any other: the kernel flushes for it, and a flush
/// does not tell why. As on a local file system, what was written is there; and it is one save.
#[test]
fn what_a_killed_writer_wrote_is_saved_once() {
    let begin = "import os\nf = open(os.environ['F'], 'w')\n";
    let kill = |text: &str| Script::python(&format!("{begin}{text}os.kill(os.getpid(), 9)\n"));
    let group = "
f.write('half')
f.flush()
if os.fork() == 0:
    while True: pass
os.killpg(0, 9)
";
    let edit = "
import os
f = open(os.environ['F'], 'r+b', buffering=0)
f.write(b'XY')
os.kill(os.getpid(), 9)";
    or_skip!(spring(vec![
        Trap::new("new", kill("f.write('half')\nf.flush()\n"))
            .killed()
            .puts(&["half"]),
        Trap::new("old", kill("f.write('half')\nf.flush()\n"))
            .over("before")
            .killed()
            .puts(&["half"]),
        Trap::new("group", Script::python(&format!("{begin}{group}")))
            .over("before")
            .killed()
            .puts(&["half"]),
        Trap::new("edit", Script::python(edit))
            .over("abcdef")
            .killed()
            .puts(&["XYcdef"]),
        // Truncated and nothing written: that too is what the file was when it was closed.
        Trap::new("nothing", kill(""))
            .over("before")
            .killed()
            .puts(&[""]),
        // What never left the process was never written.
        Trap::new(
            "edit-nothing",
            Script::python(&edit.replace("f.write(b'XY')", ""))
        )
        .over("before")
        .killed(),
    ]));
}

#[test]
fn a_writer_that_changes_nothing_saves_nothing() {
    let reads =
        "import os\nf = open(os.environ['F'], 'r+')\nf.read()\nos.fsync(f.fileno())\nf.close()";
    or_skip!(spring(vec![
        Trap::new("read", Script::python(reads)).over("before"),
        Trap::new(
            "cat",
            Script::bash("cat $F; cat < $F > /dev/null; cat <> $F")
        )
        .over("before"),
    ]));
}

/// With `--sync` a save is at the write, and not again at the close.
#[test]
fn a_redirection_in_a_mount_that_saves_every_write_is_one_save_too() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--sync")));
    for (key, script) in [
        ("bash", Script::bash("echo hi > bash")),
        ("dash", Script::dash("echo hi > dash")),
        ("append", Script::bash("echo hi >> append")),
        (
            "cp",
            Script::bash("S=$(mktemp); echo hi > $S; cp $S cp; rm $S"),
        ),
    ] {
        ground.run(script).ok();
        assert_eq!(ground.puts(key), ["hi\n"], "{key}");
    }
    ground
        .run(Script::bash(
            "echo a > two; echo b > two; (echo c; echo d) >> two",
        ))
        .ok();
    let saved = ["a\n", "b\n", "b\nc\n", "b\nc\nd\n"];
    assert_eq!(ground.unmount().puts("two"), saved);
}

#[test]
fn a_value_that_is_synced_and_closed_is_one_save() {
    let script = "
import os
f = open(os.environ['F'], 'w')
f.write('value')
f.flush()
os.fsync(f.fileno())
os.fsync(f.fileno())
f.close()";
    let twice = script.replace("f.close()", "f.write(', more')\nf.close()");
    or_skip!(spring(vec![
        Trap::new("once", Script::python(script)).puts(&["value"]),
        Trap::new("twice", Script::python(&twice))
            .over("before")
            .puts(&["value", "value, more"]),
    ]));
}
