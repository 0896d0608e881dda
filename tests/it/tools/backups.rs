//! Programs that copy a key aside just before they write over it (W1). A copy is no reading: who holds a
//! text that is older than the copy is refused, whatever the copy is called and however it is made. And
//! who only keeps backups, or works on the copy, is refused for no reason.

use std::fmt::Write as _;

use super::bench::{Bench, THEIRS, said};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::wait::{self, SOON};

/// What every program in Python begins with: it reads the key, and has a way to let the other machine
/// save. `check` is for what comes before the last save.
const BEGIN: &str = "
import os, shutil, subprocess, sys
F = os.environ['F']
def theirs(): subprocess.run([os.environ['THEIRS'], F], check=True)
def read(name): return open(name).read()
def write(name, text):
    with open(name, 'w') as file: file.write(text)
old = read(F)
";

/// Copies the newest version and then saves an older text: refused.
const COPIERS: &[(&str, &str)] = &[
    (
        "Jupyter: copyfile to .~NAME",
        "theirs(); shutil.copyfile(F, '.~' + F); write(F, old + 'mine')",
    ),
    (
        "copy to NAME.bak",
        "theirs(); shutil.copy(F, F + '.bak'); write(F, old + 'mine')",
    ),
    (
        "copy to NAME.orig, closed, fsync",
        "
theirs()
shutil.copy2(F, F + '.orig')
os.fsync(os.open(F + '.orig', os.O_RDONLY))
write(F, old + 'mine')",
    ),
    (
        "copy to NAME~",
        "theirs(); shutil.copy(F, F + '~'); write(F, old + 'mine')",
    ),
    (
        "copy into a directory",
        "os.mkdir(F + '.d'); theirs(); shutil.copy(F, F + '.d/' + F); write(F, old + 'mine')",
    ),
    (
        "copy to a hidden scratch file",
        "theirs(); shutil.copy(F, '.' + F + '.swp'); write(F, old + 'mine')",
    ),
    (
        "copy in pieces, unbuffered",
        "
theirs()
a, b = os.open(F, os.O_RDONLY), os.open(F + '.1', os.O_CREAT | os.O_WRONLY)
while piece := os.read(a, 3): os.write(b, piece)
os.close(b); os.close(a)
write(F, old + 'mine')",
    ),
    (
        "copy that is still open",
        "
theirs()
a, b = os.open(F, os.O_RDONLY), os.open(F + '.2', os.O_CREAT | os.O_WRONLY)
os.write(b, os.read(a, 99))
write(F, old + 'mine')",
    ),
    (
        "scratch copy that is still open",
        "
theirs()
a, b = os.open(F, os.O_RDONLY), os.open(F + '~', os.O_CREAT | os.O_WRONLY)
os.write(b, os.read(a, 99))
write(F, old + 'mine')",
    ),
    (
        "copy_file_range",
        "
theirs()
a, b = os.open(F, os.O_RDONLY), os.open(F + '.3', os.O_CREAT | os.O_WRONLY)
os.fstat(a)
try:
    while os.copy_file_range(a, b, 4): pass
except OSError:
    os.write(b, os.read(a, 99))
os.close(b); os.close(a)
write(F, old + 'mine')",
    ),
    (
        "sendfile",
        "
theirs()
a, b = os.open(F, os.O_RDONLY), os.open(F + '.4', os.O_CREAT | os.O_WRONLY)
os.fstat(a)
while os.sendfile(b, a, None, 5): pass
os.close(a); os.close(b)
write(F, old + 'mine')",
    ),
    (
        "read, closed, then written",
        "theirs(); new = read(F); write(F + '.bak', new); write(F, old + 'mine')",
    ),
    (
        "read through r+",
        "theirs(); new = open(F, 'r+').read(); write(F + '.bak', new); write(F, old + 'mine')",
    ),
    (
        "a thread copies",
        "
import threading
theirs()
thread = threading.Thread(target=shutil.copy, args=(F, F + '.bak'))
thread.start(); thread.join()
write(F, old + 'mine')",
    ),
    (
        "a child copies: cp",
        "theirs(); subprocess.run(['cp', F, F + '.bak'], check=True); write(F, old + 'mine')",
    ),
    (
        "a child in a session of its own copies",
        "
theirs()
subprocess.run(['cp', F, F + '.bak'], check=True, start_new_session=True)
write(F, old + 'mine')",
    ),
    (
        "two copies",
        "theirs(); shutil.copy(F, F + '.a'); shutil.copy(F, F + '.b'); write(F, old + 'mine')",
    ),
    (
        "copied, moved over",
        "
theirs()
shutil.copy(F, F + '.bak')
write(F + '.new', old + 'mine')
os.replace(F + '.new', F)",
    ),
    (
        "copied, deleted and made anew",
        "theirs(); shutil.copy(F, F + '.bak'); os.unlink(F); write(F, old + 'mine')",
    ),
    (
        "copied, emptied through r+",
        "
theirs()
shutil.copy(F, F + '.bak')
file = open(F, 'r+')
file.truncate(0); file.write(old + 'mine'); file.close()",
    ),
    (
        "code-server: truncates and writes",
        "theirs(); write(F, old + 'mine')",
    ),
    (
        "code-server, by r+ and ftruncate",
        "
theirs()
file = open(F, 'r+'); file.truncate(0); file.write(old + 'mine'); file.close()",
    ),
    (
        "JetBrains: safe write",
        "
theirs()
write(F + '___jb_tmp___', old + 'mine')
os.rename(F, F + '___jb_old___')
os.rename(F + '___jb_tmp___', F)
os.unlink(F + '___jb_old___')",
    ),
    (
        "JetBrains: backup, then in place",
        "theirs(); shutil.copy2(F, F + '~'); write(F, old + 'mine'); os.unlink(F + '~')",
    ),
    (
        "copied after a save of its own",
        "
write(F, old + 'mine')
theirs()
shutil.copy(F, F + '.bak')
write(F, old + 'mine, too')",
    ),
    (
        "copied again after a refusal",
        "
theirs(); shutil.copy(F, F + '.bak')
try:
    write(F, old + 'mine'); sys.exit('not refused')
except BlockingIOError: pass
subprocess.run([os.environ['THEIRS'] + '-again', F], check=True)
shutil.copy(F, F + '.bak')
write(F, old + 'mine')",
    ),
];

/// Did read what they replace, or replace nothing of others: saved.
const HONEST: &[(&str, &str)] = &[
    (
        "a backup, nobody else",
        "shutil.copy(F, F + '.bak'); write(F, old + 'mine')",
    ),
    (
        "a backup each time, nobody else",
        "
for n in range(3):
    shutil.copy(F, F + '.bak'); write(F, read(F) + 'mine')",
    ),
    (
        "JetBrains: safe write, nobody else",
        "
write(F + '___jb_tmp___', old + 'mine')
os.rename(F, F + '___jb_old___')
os.rename(F + '___jb_tmp___', F)
os.unlink(F + '___jb_old___')
assert read(F) == old + 'mine' and not [n for n in os.listdir() if '_jb_' in n]",
    ),
    (
        "code-server, nobody else",
        "write(F, old + 'mine'); write(F, old + 'mine, too')",
    ),
    (
        "reads again",
        "theirs(); new = read(F); write(F, new + 'mine')",
    ),
    (
        "copies, then reads",
        "theirs(); shutil.copy(F, F + '.bak'); new = read(F); write(F, new + 'mine')",
    ),
    (
        "reads, then copies",
        "theirs(); new = read(F); shutil.copy(F, F + '.bak'); write(F, new + 'mine')",
    ),
    (
        "reads the copy",
        "theirs(); shutil.copy(F, F + '.w'); new = read(F + '.w'); write(F, new + 'mine')",
    ),
    (
        "reads the scratch copy",
        "theirs(); shutil.copy(F, F + '~'); new = read(F + '~'); write(F, new + 'mine')",
    ),
    (
        "adds to the copy, moves it over",
        "
theirs(); shutil.copy(F, F + '.w')
with open(F + '.w', 'a') as file: file.write('mine')
os.replace(F + '.w', F)",
    ),
    (
        "writes the same bytes, moves them over",
        "theirs(); write(F + '.w', read(F)); os.replace(F + '.w', F); write(F, read(F) + 'mine')",
    ),
    (
        "writes other bytes of that length",
        "
theirs(); new = read(F); write(F + '.w', new.upper()); write(F, new + 'mine')",
    ),
    (
        "once more after a refusal",
        "
theirs(); shutil.copy(F, F + '.bak')
try:
    write(F, old + 'mine'); sys.exit('not refused')
except BlockingIOError: pass
shutil.copy(F, F + '.bak')
write(F, read(F) + 'mine')",
    ),
    (
        "a loop that keeps backups",
        "
theirs()
for attempt in range(3):
    try:
        new = read(F); shutil.copy(F, F + '.bak'); write(F, new + 'mine')
    except BlockingIOError: continue
    break
else: sys.exit('never saved')",
    ),
    (
        "cp of a child, and reads",
        "theirs(); subprocess.run(['cp', F, F + '.bak'], check=True); write(F, read(F) + 'mine')",
    ),
];

/// The same for scripts: the shell has read with one command, and copies with another.
const COPYING_SCRIPTS: &[(&str, &str)] = &[
    (
        "n=$(cat f); cp f f.bak; echo > f",
        "n=$(cat $F); $THEIRS $F; cp $F $F.bak; echo $n mine > $F",
    ),
    (
        "n=$(cat f); cat f > f.bak; echo > f",
        "n=$(cat $F); $THEIRS $F; cat $F > $F.bak; /bin/echo $n mine > $F",
    ),
    (
        "n=$(cat f); cat f > f~; echo > f",
        "n=$(cat $F); $THEIRS $F; cat $F > $F~; /bin/echo $n mine > $F",
    ),
    (
        "n=$(cat f); dd if=f of=f.bak; echo > f",
        "n=$(cat $F); $THEIRS $F; dd if=$F of=$F.bak bs=3 status=none; echo $n mine > $F",
    ),
    (
        "n=$(cat f); cp f a & cp f b; echo > f",
        "n=$(cat $F); $THEIRS $F; cp $F $F.a & cp $F $F.b; wait; echo $n mine > $F",
    ),
    (
        "n=$(cat f); cp f f.bak; mv t f",
        "n=$(cat $F); $THEIRS $F; cp $F $F.bak; echo $n mine > $F.t; mv $F.t $F",
    ),
];

const HONEST_SCRIPTS: &[(&str, &str)] = &[
    (
        "cp f f.bak; sed -i f",
        "n=$(cat $F); $THEIRS $F; cp $F $F.bak; sed -i s/$/mine/ $F",
    ),
    (
        "cp f t; sed -i t; mv t f, again and again",
        "for n in 1 2 3; do cp $F $F.t && sed -i s/$/mine/ $F.t && mv $F.t $F || exit; $THEIRS $F; done; cp $F $F.t && sed -i s/$/mine/ $F.t && mv $F.t $F",
    ),
    (
        "cp f t; echo >> t; mv t f, again and again",
        "for n in 1 2 3; do cp $F $F.t && echo mine >> $F.t && mv $F.t $F || exit; $THEIRS $F; done; cp $F $F.t && echo mine >> $F.t && mv $F.t $F",
    ),
    (
        "cat f | tee f.bak | sed | cp",
        "n=$(cat $F); $THEIRS $F; cat $F | tee $F.bak | sed s/$/mine/ > $D/t; cp $D/t $F",
    ),
    (
        "echo > f and a backup, blind",
        "cp $F $F.bak; echo mine > $F",
    ),
];

#[track_caller]
fn run(heading: &str, programs: &[(&str, &str)], script: impl Fn(&str) -> Script, refused: bool) {
    let keys: Vec<_> = (0..programs.len()).map(|n| format!("{n:02}-key")).collect();
    let bench = or_skip!(Bench::new(keys.iter().map(|key| (&**key, "old\n"))));
    let mut table = format!("{heading}\n");
    let mut problems = Vec::new();
    for ((how, text), key) in programs.iter().zip(&keys) {
        let done = bench.script(key, script(text)).run();
        let there = bench.bucket().text(key);
        writeln!(table, "{how:<44} {there:?} {}", said(&done)).unwrap();
        let was_refused = there.ends_with(THEIRS);
        let told = done.code != Some(0);
        if was_refused != refused || told != refused || !was_refused && !there.contains("mine") {
            problems.push(format!("{how}: {there:?}\n{done:#?}"));
        }
    }
    println!(
        "{table}{} of {} right",
        programs.len() - problems.len(),
        programs.len()
    );
    report::append_line("backups", &table);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn python(text: &str) -> Script {
    Script::python(&format!("{BEGIN}{text}\n"))
}

#[test]
fn who_copies_the_newest_version_aside_and_saves_an_older_text_is_refused() {
    run("copies, and saves an older text", COPIERS, python, true);
}

#[test]
fn a_copy_of_a_value_that_is_read_in_pieces_shows_nothing_either() {
    let old = "old ".repeat(5000);
    let bench = or_skip!(Bench::mounted([("k", &*old), ("r", &*old)], |mount| {
        mount
            .flat()
            .args(&["--inline-limit", "4K", "--draft-memory", "4K"])
    }));
    let theirs = format!("{THEIRS}{old}");
    for (key, deeds, refused) in [
        (
            "k",
            "shutil.copy(F, F + '.bak'); write(F, old + 'mine')",
            true,
        ),
        (
            "r",
            "shutil.copy(F, F + '.bak'); write(F, read(F) + 'mine')",
            false,
        ),
    ] {
        let wait = "print('read', flush=True); sys.stdin.readline()";
        let text = format!("{BEGIN}{wait}\n{deeds}\n");
        let go = bench.outside(key).join("go");
        let text = text.replace(
            "sys.stdin.readline()",
            "open(os.environ['D'] + '/go').read()",
        );
        Script::bash("mkfifo $GO").env("GO", &go).run().ok();
        let running = bench.script(key, Script::python(&text)).start();
        wait::until("it has read", SOON, || {
            running.stdout_so_far().contains("read")
        });
        bench.bucket().put(key, theirs.clone());
        std::fs::write(&go, "go").unwrap();
        let done = running.finish();
        assert_eq!(done.code != Some(0), refused, "{done:#?}");
        let there = bench.bucket().text(key);
        assert_eq!(there == theirs, refused, "{} bytes", there.len());
    }
}

#[test]
fn who_read_what_it_replaces_saves_it_whatever_copies_it_made() {
    run("copies, and saves what it read", HONEST, python, false);
}

#[test]
fn a_script_that_lets_a_command_copy_the_newest_version_saves_no_older_text() {
    run("scripts (bash)", COPYING_SCRIPTS, Script::bash, true);
    run("scripts (dash)", COPYING_SCRIPTS, Script::dash, true);
}

#[test]
fn a_script_that_keeps_backups_or_works_on_a_copy_is_refused_for_no_reason() {
    run("honest scripts (bash)", HONEST_SCRIPTS, Script::bash, false);
    run("honest scripts (dash)", HONEST_SCRIPTS, Script::dash, false);
}
