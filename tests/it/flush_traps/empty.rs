//! Files that are created or emptied. To which nothing is written at all, they are saved empty, once, by the
//! last close; to which something is written later, never empty before.

use std::time::{Duration, Instant};

use super::{Trap, spring};
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::{report, wait};

#[test]
fn a_file_that_is_emptied_and_closed_is_one_save_of_nothing() {
    or_skip!(spring(vec![
        Trap::new("bash-new", Script::bash(": > $F")).puts(&[""]),
        Trap::new("bash-old", Script::bash(": > $F"))
            .over("before")
            .puts(&[""]),
        Trap::new("dash-old", Script::dash(": > $F"))
            .over("before")
            .puts(&[""]),
        Trap::new("truncate", Script::bash("truncate -s 0 $F"))
            .over("before")
            .puts(&[""]),
        Trap::new("shorten", Script::bash("truncate -s 3 $F"))
            .over("before")
            .puts(&["bef"]),
    ]));
}

#[test]
fn touch_creates_and_otherwise_saves_nothing() {
    or_skip!(spring(vec![
        Trap::new("new", Script::bash("touch $F")).puts(&[""]),
        Trap::new("old", Script::bash("touch $F")).over("before"),
        Trap::new("appended", Script::bash(": >> $F")).over("before"),
        Trap::new("opened", Script::bash("exec 3<>$F; exec 3>&-")).over("before"),
    ]));
}

/// The kernel does not wait for the release that saves the emptiness; the next command must find it
/// all the same.
#[test]
fn a_file_that_was_just_emptied_or_created_is_empty_for_the_next_command() {
    let append = ": > $F; echo a >> $F";
    let look = ": > $F; test ! -s $F && ! grep -q . $F";
    or_skip!(spring(vec![
        Trap::new("bash-new", Script::bash(append)).puts(&["", "a\n"]),
        Trap::new("dash-new", Script::dash(append)).puts(&["", "a\n"]),
        Trap::new("bash-old", Script::bash(append))
            .over("before")
            .puts(&["", "a\n"]),
        Trap::new("dash-old", Script::dash(append))
            .over("before")
            .puts(&["", "a\n"]),
        Trap::new("look", Script::bash(look))
            .over("before")
            .puts(&[""]),
        Trap::new("touch", Script::bash("touch $F; echo a > $F")).puts(&["", "a\n"]),
        Trap::new("python", Script::python("import os; os.close(os.open(os.environ['F'], os.O_CREAT | os.O_EXCL | os.O_WRONLY)); open(os.environ['F'], 'w').write('b')")).puts(&["", "b"]),
    ]));
}

#[test]
fn tools_that_leave_an_empty_file_save_it_once() {
    or_skip!(spring(vec![
        Trap::new("install", Script::bash("install /dev/null $F")).puts(&[""]),
        Trap::new("cp", Script::bash("cp /dev/null $F")).puts(&[""]),
        Trap::new("cp-old", Script::bash("cp /dev/null $F"))
            .over("before")
            .puts(&[""]),
        Trap::new("cat", Script::bash("cat /dev/null > $F")).puts(&[""]),
        Trap::new("tee", Script::bash("true | tee $F")).puts(&[""]),
        Trap::new("true", Script::dash("true > $F")).puts(&[""]),
        Trap::new("sed", Script::bash("sed -n p /dev/null > $F")).puts(&[""]),
        Trap::new("noclobber", Script::bash("set -C; : > $F")).puts(&[""]),
        Trap::new(
            "descriptor",
            Script::bash("exec 3>$F; /bin/true; exec 3>&-")
        )
        .puts(&[""]),
        Trap::new(
            "python",
            Script::python("import os; open(os.environ['F'], 'w').close()")
        )
        .over("before")
        .puts(&[""]),
        Trap::new(
            "node",
            Script::bash("node -e 'require(\"fs\").writeFileSync(process.env.F, \"\")'")
        )
        .puts(&[""]),
    ]));
}

/// Each of these has a moment at which the file is open, empty, and one of its descriptors is closed.
#[test]
fn nobody_ever_sees_a_file_empty_that_its_command_fills() {
    let popen = |command: &str| {
        Script::python(&format!(
            "
import os, subprocess
out = open(os.environ['F'], 'w')
child = subprocess.Popen(['sh', '-c', '{command}'], stdin=subprocess.PIPE, stdout=out)
out.close()
child.communicate(b'late\\n')"
        ))
    };
    let threads = "
import os, subprocess, threading
out = open(os.environ['F'], 'w')
children = []
def start():
    children.append(subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=out))
    started.set()
    over.wait()
started, over = threading.Event(), threading.Event()
thread = threading.Thread(target=start)
thread.start()
started.wait()
out.close()
children[0].communicate(b'late\\n')
over.set()
thread.join()";
    let copies = "
import os
one = os.open(os.environ['F'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
others = [os.dup(one) for _ in range(9)]
os.close(one)
for other in others[1:]: os.close(other)
os.write(others[0], b'late\\n')
os.close(others[0])";
    let late: &'static [&'static str] = &["late\n"];
    or_skip!(spring(vec![
        Trap::new("sed", Script::bash("printf 'late\\n' | sed -n p > $F")).puts(late),
        Trap::new("sed-old", Script::dash("printf 'late\\n' | sed -n p > $F"))
            .over("before")
            .puts(late),
        Trap::new("child", popen("cat")).puts(late),
        Trap::new("child-old", popen("cat"))
            .over("before")
            .puts(late),
        Trap::new("grandchild", popen("(cat; true); true")).puts(late),
        Trap::new("thread", Script::python(threads)).puts(late),
        Trap::new("copies", Script::python(copies))
            .over("before")
            .puts(late),
        Trap::new("nested", Script::bash("( ( ( cat ) ) ) <<< late > $F")).puts(late),
        Trap::new(
            "background",
            Script::bash("(/bin/true; echo late) > $F & wait")
        )
        .puts(late),
        Trap::new(
            "moved",
            Script::bash("exec 3>$F 4>&3 3>&-; echo late >&4; exec 4>&-")
        )
        .puts(late),
        Trap::new(
            "two",
            Script::bash("exec 3>$F; : > $F.other; echo late >&3; exec 3>&-")
        )
        .puts(late),
    ]));
}

/// A process with many descriptors is looked at for a short time only; what was not seen in it is saved
/// a little later.
#[test]
fn a_process_with_thousands_of_descriptors_saves_its_empty_file_once() {
    let script = "
import os, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
others = [os.open('/dev/null', os.O_WRONLY) for _ in range(min(10000, hard - 100))]
open(os.environ['F'], 'w').close()";
    or_skip!(spring(vec![
        Trap::new("new", Script::python(script)).puts(&[""]),
        Trap::new("old", Script::python(script))
            .over("before")
            .puts(&[""]),
    ]));
}

/// execve(2) closes what is O_CLOEXEC, and waits for each flush; a daemon that waited for a look at
/// that process would never answer.
#[test]
fn a_program_that_replaces_itself_with_empty_files_open_goes_on_and_they_are_saved() {
    const FILES: usize = 50;
    const PROGRAMS: usize = 24;
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let script = |opened: &str| {
        let text = format!(
            "
import fcntl, os
how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
{opened}
os.execv('/bin/true', ['true'])"
        );
        Script::python(&text).within(ground.mount.path())
    };
    let began = Instant::now();
    let copies = "
fd = os.open('copies', how)
for _ in range(9): fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)";
    script(copies).run().ok();
    let exclusive = "os.open('exclusive', how | os.O_EXCL)";
    script(exclusive).run().ok();
    let many = format!("for n in range({FILES}): os.open(f'many-{{n}}', how)");
    script(&many).run().ok();
    let running: Vec<_> = (0..PROGRAMS)
        .map(|n| {
            script(&format!(
                "for n in range(4): os.open(f'program-{n}-{{n}}', how)"
            ))
            .start()
        })
        .collect();
    // Somebody else is served meanwhile.
    ground
        .run(Script::bash("touch other && test -f other"))
        .ok();
    for program in running {
        program.finish().ok();
    }
    let took = began.elapsed();
    let of_programs = (0..PROGRAMS).flat_map(|n| (0..4).map(move |m| format!("program-{n}-{m}")));
    let mut keys: Vec<_> = (0..FILES)
        .map(|n| format!("many-{n}"))
        .chain(of_programs)
        .collect();
    keys.extend(["copies", "exclusive", "other"].map(str::to_owned));
    for key in &keys {
        wait::until(&format!("{key} is saved"), wait::SOON, || {
            ground.other.get(key).is_some()
        });
        assert_eq!(ground.puts(key), [""], "{key}");
    }
    report::append_line(
        "empty-files",
        &format!(
            "{} empty files closed by execve: {took:.1?}",
            keys.len() - 1
        ),
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
}
