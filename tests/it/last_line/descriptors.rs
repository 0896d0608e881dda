//! The daemon has used up its descriptors.

use std::fs;

use super::{Ground, kept, shown};
use crate::world::procs::{Script, write_program};
use crate::world::rescues;

const LOST: usize = 20;

#[test]
fn refused_saves_are_rescued_when_no_descriptor_is_left() {
    let ground = or_skip!(Ground::new());
    let base = tempfile::tempdir().unwrap();
    let program = base.path().join("etagfs");
    let etagfs = env!("CARGO_BIN_EXE_etagfs");
    write_program(
        &program,
        &format!("#!/bin/sh\nulimit -n 64\nexec '{etagfs}' \"$@\"\n"),
    );
    let state = base.path().join("state");
    let mount = ground.mount(&state).by(&program).start();
    for n in 0..LOST {
        ground.other.put(&format!("key{n}"), "old");
    }
    // All are written and overtaken; then scratch files take what is left, and all are closed.
    let script = format!(
        "import errno, os
files = []
for n in range({LOST}):
    f = os.open(f'key{{n}}', os.O_RDWR)
    os.pwrite(f, b'loser %02d' % n, 0)
    t = os.open(f'key{{n}}', os.O_WRONLY | os.O_TRUNC)
    os.write(t, b'winner'); os.fsync(t); os.close(t)
    files.append(f)
made = 0
try:
    while made < 100:
        os.close(os.open(f'taken{{made}}~', os.O_WRONLY | os.O_CREAT)); made += 1
except OSError as error:
    pass
open_now = len(os.listdir('/proc/{pid}/fd'))
told = []
for f in files:
    try: os.close(f); told.append('ok')
    except OSError as error: told.append(errno.errorcode[error.errno])
print(made, open_now, *told)",
        pid = mount.pid()
    );
    let out = Script::python(&script).within(mount.path()).run().ok();
    let words: Vec<_> = out.stdout.split_whitespace().collect();
    let (made, descriptors) = (words[0], words[1]);
    println!("{made} scratch files, {descriptors} descriptors of 64, then {LOST} refused saves");
    assert_ne!(made, "100", "they were not used up: {out:?}");
    assert!(descriptors.parse::<u32>().unwrap() >= 60, "{out:?}");
    assert!(words[2..].iter().all(|errno| *errno == "EAGAIN"), "{out:?}");
    assert_eq!(kept(&mount), vec!["disk"; LOST]);
    let mut expected: Vec<_> = (0..LOST).map(|n| format!("loser {n:02}")).collect();
    let mut kept: Vec<_> = rescues::of(&state)
        .into_iter()
        .map(|one| one.bytes)
        .collect();
    kept.sort();
    assert_eq!(kept, expected);
    println!("rescued: {} of {LOST}", kept.len());
    for entry in fs::read_dir(mount.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with('~') {
            fs::remove_file(mount.file(name)).unwrap();
        }
    }
    let mut in_mount = shown(&mount);
    in_mount.sort();
    expected.sort();
    assert_eq!(in_mount, expected);
    mount.terminate();
}
