//! When descriptors are scarce: the usual soft limit is raised at the start, and where there are only 64, no
//! refused save is without its rescue, and no half of a file is saved.

use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Script, write_program};
use crate::world::proxy::{Op, Proxy};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::{report, rescues, wait};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// A mount whose daemon is started with these limits.
struct Scarce {
    bucket: Bucket,
    proxy: Proxy,
    mount: Mounted,
    _programs: tempfile::TempDir,
}

impl Scarce {
    fn with(limits: &str, arguments: &[&str]) -> Result<Self, String> {
        mounts::possible()?;
        let programs = tempfile::tempdir().unwrap();
        let program = programs.path().join("etagfs");
        write_program(
            &program,
            &format!("#!/bin/sh\n{limits}\nexec '{ETAGFS}' \"$@\"\n"),
        );
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = Mount::of(&bucket).through(&proxy).by(&program).flat();
        let mount = mount.args(arguments);
        Ok(Self {
            mount: mount.start(),
            bucket,
            proxy,
            _programs: programs,
        })
    }

    /// The limits of the daemon, soft and hard.
    fn limits(&self) -> (String, String) {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", self.mount.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files"));
        let mut words = line
            .unwrap()
            .split_ascii_whitespace()
            .skip(3)
            .map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    }

    /// How many descriptors the daemon has.
    fn open(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.mount.pid()))
            .unwrap()
            .count()
    }

    /// Runs a script; when it has said that it is ready, `meanwhile` is done, and it goes on.
    fn with_writers(&self, script: &str, meanwhile: impl FnOnce()) -> String {
        let signal = tempfile::tempdir().unwrap();
        let running = Script::python(script)
            .within(self.mount.path())
            .env("GO", signal.path().join("go"))
            .start();
        wait::until("all have written", wait::SOON, || {
            running.stdout_so_far().contains("ready") || running.ended()
        });
        meanwhile();
        std::fs::write(signal.path().join("go"), "").unwrap();
        running.finish().ok().stdout
    }
}

/// What a script of writers begins with.
const BEGIN: &str = "
import errno, os, sys, time
def wait_for_go():
    while not os.path.exists(os.environ['GO']): time.sleep(0.01)
def close(fd):
    try: os.close(fd)
    except OSError as error: return errno.errorcode[error.errno]
    return 'OK'
how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
";

#[test]
fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let world = or_skip!(Scarce::with("ulimit -S -n 100; ulimit -H -n 3000", &[]));
    assert_eq!(world.limits(), ("3000".to_owned(), "3000".to_owned()));
    world.mount.unmount();
}

/// One process that has many files open is watched once.
#[test]
fn many_files_of_one_process_take_no_descriptors_and_each_refused_save_has_its_rescue() {
    const FILES: usize = 200;
    let world = or_skip!(Scarce::with("ulimit -n 64", &[]));
    assert_eq!(world.limits(), ("64".to_owned(), "64".to_owned()));
    let script = format!(
        "{BEGIN}
fds = [os.open(f'key-{{n}}', how) for n in range({FILES})]
for n, fd in enumerate(fds): os.write(fd, b'mine %d' % n)
print('ready', flush=True)
wait_for_go()
print(*[close(fd) for fd in fds])"
    );
    let theirs = world.bucket.client();
    let said = world.with_writers(&script, || {
        assert!(world.open() < 64, "{}", world.open());
        for n in 0..FILES {
            theirs.put(&format!("key-{n}"), "theirs");
        }
    });
    let refused = said
        .split_whitespace()
        .filter(|said| *said == "EAGAIN")
        .count();
    let kept: std::collections::BTreeSet<_> = rescues::of(world.mount.state_dir())
        .into_iter()
        .map(|rescue| rescue.bytes)
        .collect();
    let without = (0..FILES)
        .filter(|n| !kept.contains(&format!("mine {n}")))
        .count();
    let line = format!(
        "64 descriptors, {FILES} files of one process: {refused} refused, {without} without a rescue"
    );
    report::append_line("descriptors", &line);
    assert_eq!((refused, without), (FILES, 0), "{said}");
    for n in 0..FILES {
        assert_eq!(theirs.text(&format!("key-{n}")), "theirs");
    }
    world.mount.unmount();
}

/// And so many processes as there are descriptors, and more.
#[test]
fn with_more_writers_than_descriptors_no_half_is_saved_and_each_refused_save_has_its_rescue() {
    const WRITERS: usize = 100;
    let world = or_skip!(Scarce::with("ulimit -n 64", &[]));
    // Each writes a half, and has a child that inherits the descriptor and ends.
    let script = format!(
        "{BEGIN}
ready, is_ready = os.pipe()
writers = []
for n in range({WRITERS}):
    pid = os.fork()
    if pid == 0:
        fd = os.open(f'key-{{n}}', how)
        os.write(fd, b'half, ')
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
        os.write(is_ready, b'.')
        wait_for_go()
        os.write(fd, b'and half %d' % n)
        os._exit({{'OK': 0, 'EAGAIN': 75}}.get(close(fd), 1))
    writers.append(pid)
left = {WRITERS}
while left: left -= len(os.read(ready, left))
print('ready', flush=True)
print(*[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in writers])"
    );
    let theirs = world.bucket.client();
    let is_theirs = |n: usize| n.is_multiple_of(2);
    let said = world.with_writers(&script, || {
        assert!(world.open() < 64, "{}", world.open());
        for n in (0..WRITERS).filter(|n| is_theirs(*n)) {
            theirs.put(&format!("key-{n}"), "theirs");
        }
    });
    let ended: Vec<_> = said.lines().last().unwrap().split(' ').collect();
    let kept = rescues::of(world.mount.state_dir());
    let is_kept = |n: &usize| {
        let bytes = format!("half, and half {n}");
        kept.iter()
            .any(|rescue| rescue.key == format!("key-{n}") && rescue.bytes == bytes)
    };
    let refused = (0..WRITERS).filter(|n| ended[*n] == "75").count();
    let without = (0..WRITERS)
        .filter(|n| is_theirs(*n) && !is_kept(n))
        .count();
    let log = world.proxy.log();
    let bodies: Vec<_> = log
        .of(Op::Put)
        .iter()
        .map(crate::world::proxy::Record::body)
        .collect();
    let halves = bodies.iter().filter(|body| *body == "half, ").count();
    let line = format!(
        "64 descriptors, {WRITERS} processes: {refused} refused, {without} of them without a rescue, {halves} halves saved"
    );
    report::append_line("descriptors", &line);
    assert_eq!(
        (refused, without, halves),
        (WRITERS / 2, 0, 0),
        "{line}: {said}"
    );
    for (n, said) in ended.iter().enumerate() {
        let whole = format!("half, and half {n}");
        let expected = if is_theirs(n) { "theirs" } else { &whole };
        assert_eq!(theirs.text(&format!("key-{n}")), expected, "{said}");
    }
    world.mount.unmount();
}

/// Each large draft takes a descriptor until it is closed.
#[test]
fn a_mount_that_has_no_descriptor_left_still_knows_who_asks_and_saves_no_half() {
    let world = or_skip!(Scarce::with("ulimit -n 64", &["--draft-memory=1"]));
    let theirs = world.bucket.client();
    theirs.put("shown", "old");
    let script = format!(
        "{BEGIN}
def child_ends():
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
early = os.open('early', how)
os.write(early, b'h')
reader = os.open('shown', os.O_RDONLY)
os.read(reader, 9)
large = []
try:
    while len(large) < 200:
        large.append(os.open(f'large-{{len(large)}}', how))
        os.write(large[-1], b'more than fits')
except OSError as error: print(errno.errorcode[error.errno], len(large))
late = os.open('late', how)
os.write(late, b'h')
child_ends()
print('ready', flush=True)
wait_for_go()
try: os.close(os.open('shown', how)); print('overwritten')
except OSError as error: print(errno.errorcode[error.errno])
child_ends()
for fd in large: close(fd)
for fd in early, late: os.write(fd, b'alf, and half')
print(close(early), close(late))"
    );
    let said = world.with_writers(&script, || {
        // Some are kept for the next request.
        assert!(world.open() > 60, "{}", world.open());
        theirs.put("shown", "theirs");
    });
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("ENOSPC ") || lines[0].starts_with("EIO "),
        "{said}"
    );
    // Or there is no connection to ask by.
    assert!(matches!(lines[2], "EAGAIN" | "EIO"), "{said}");
    assert_eq!(lines[3], "OK OK", "{said}");
    assert_eq!(theirs.text("shown"), "theirs");
    for key in ["early", "late"] {
        let log = world.proxy.log();
        let bodies: Vec<_> = log
            .key(key)
            .of(Op::Put)
            .iter()
            .map(crate::world::proxy::Record::body)
            .collect();
        assert_eq!(bodies, ["half, and half"], "{key}");
    }
    world.mount.unmount();
}
