//! What reads a file without read(2): sendfile, splice, memory maps, copy_file_range, and the programs
//! that copy with them. The kernel does that from pages that it keeps for the file, whatever its
//! descriptors show, up to the size that it knows (R2, W12, W1).

use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};

/// A bucket and two machines.
struct World {
    _bucket: Bucket,
    ours: Mounted,
    theirs: Mounted,
    outside: tempfile::TempDir,
}

/// What every script begins with. `put` is a save on the other machine.
const PRELUDE: &str = r#"
import collections, errno, mmap, os, shutil, subprocess, sys, time
THEIRS, OUTSIDE = os.environ["THEIRS"], os.environ["OUTSIDE"]
def put(name, data):
    with open(os.path.join(THEIRS, name), "wb", buffering=0) as f:
        if f.write(data) != len(data): sys.exit("a short write")
def elsewhere(*command): return subprocess.run(command, check=True, capture_output=True, start_new_session=True).stdout
def new(path): return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
def sent(fd, offset, size, out):
    return os.sendfile(out, fd, offset, size)
def spliced(fd, offset, size, out):
    r, w = os.pipe()
    try:
        n = os.splice(fd, w, size, offset_src=offset)
        os.write(out, os.read(r, n)) if n else None
        return n
    finally: os.close(r); os.close(w)
def ranged(fd, offset, size, out): return os.copy_file_range(fd, out, size, offset_src=offset)
WAYS = {"sendfile": (sent, os.path.join(OUTSIDE, "copy")), "splice": (spliced, os.path.join(OUTSIDE, "copy")),
    "copy_file_range": (ranged, "copy-in-the-mount"), "sendfile-inside": (sent, "copy-in-the-mount")}
def all_of(way, fd, piece=1 << 20):
    "All that a descriptor shows, or the name of an errno."
    copy, path = WAYS[way]
    out, at = new(path), 0
    try:
        while n := copy(fd, at, piece, out): at += n
        return os.pread(out, 1 << 26, 0)
    except OSError as e: return errno.errorcode[e.errno]
    finally: os.close(out)
def pread(fd): return os.pread(fd, 1 << 26, 0)
def same(found, wanted, what):
    if found != wanted: sys.exit(f"{what}: {found[:80]!r} ({len(found)}) is not {wanted[:80]!r} ({len(wanted)})")
# Python lists its directory to look for modules, and for a second no name is new there.
for name in "key", "short":
    put(name, b"")
    while not os.path.exists(name): time.sleep(0.05)
"#;

impl World {
    fn new(arguments: &[&str]) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let mount = || Mount::of(&bucket).flat().args(arguments).start();
        Ok(Self {
            ours: mount(),
            theirs: mount(),
            _bucket: bucket,
            outside: tempfile::tempdir().unwrap(),
        })
    }

    /// Runs a script in the mount; what it said.
    #[track_caller]
    fn python(&self, script: &str) -> String {
        let out = Script::python(&format!("{PRELUDE}\n{script}"))
            .within(self.ours.path())
            .env("THEIRS", self.theirs.path())
            .env("OUTSIDE", self.outside.path())
            .run()
            .ok();
        out.stdout
    }
}

#[track_caller]
fn told(said: &str) {
    print!("{said}");
    report::append_line("pages", said.trim());
}

/// A descriptor on an old version and one on a new one: through each, and in each order, what comes is of
/// its own version, or nothing does.
#[test]
fn no_byte_is_of_a_version_that_another_descriptor_shows() {
    for arguments in [&[] as &[&str], &["--inline-limit=64K"]] {
        let world = or_skip!(World::new(arguments));
        told(&world.python(
            r#"
counts, large = collections.Counter(), 4 << 20
for way in WAYS:
    for size in 100, 4096, large:
        for order in (0, 1), (1, 0):
            texts = [bytes([c]) * size for c in b"AB"]
            put("key", texts[0]); fds = [os.open("key", os.O_RDONLY)]
            if order == (0, 1): same(all_of(way, fds[0]), texts[0], f"{way}: alone")
            put("key", texts[1]); fds.append(os.open("key", os.O_RDONLY))
            for which in order:
                found = all_of(way, fds[which])
                counts["EINVAL" if found == "EINVAL" else "right" if found == texts[which] else "wrong"] += 1
            first, last = order
            os.close(fds[first])
            found, wanted = all_of(way, fds[last]), texts[last]
            # A large value is not kept here: its old version is gone.
            if found == "ESTALE": same(found, "ESTALE" if (last, size) == (0, large) else "", "gone")
            else: same(found, wanted, f"{way}: the last one")
            os.close(fds[last])
print("two versions open at once, by four calls:", dict(counts))
assert counts["wrong"] == 0 and counts["EINVAL"] == 48, counts"#,
        ));
    }
}

#[test]
fn no_page_shows_a_draft_to_anybody_but_its_writer() {
    let world = or_skip!(World::new(&[]));
    told(&world.python(
        r#"
put("key", b"A" * 100)
checks = 0
for way in WAYS:
    before, w = os.open("key", os.O_RDONLY), os.open("key", os.O_RDWR)
    same(all_of(way, before), b"A" * 100, "nothing is written yet"); same(all_of(way, w), b"A" * 100, "nor by the writer")
    os.pwrite(w, b"draft", 0)
    after = os.open("key", os.O_RDONLY)
    for fd in w, before, after, w: same(all_of(way, fd), "EINVAL", way); checks += 1
    same(pread(after), b"A" * 100, "read(2)"); same(pread(w)[:6], b"draftA", "read(2) of the draft")
    os.close(before); os.close(after)
    same(all_of(way, w), b"draft" + b"A" * 95, "the writer alone")
    os.pwrite(w, b"more!", 90)
    same(all_of(way, w)[88:96], b"AAmore!A", "the writer alone, again")
    os.ftruncate(w, 0); os.pwrite(w, b"A" * 100, 0); os.close(w)
print(checks, "copies while a draft was open: none showed it")"#,
    ));
}

/// All that copies in a single sweep ends where its descriptor's version ends.
#[test]
fn a_copy_is_never_shorter_than_what_its_descriptor_shows() {
    let world = or_skip!(World::new(&["--ttl=1"]));
    told(&world.python(
        r#"
checks = 0
for way in WAYS:
    # A listing told of a shorter one, and a look-up is not needed.
    put("short", b"short\n"); os.listdir("."); elsewhere("ls", "-l", ".")
    [entry.stat() for entry in os.scandir(".")]
    put("short", b"7" * 100)
    fd = os.open("short", os.O_RDONLY)
    same(all_of(way, fd), b"7" * 100, f"{way}: after a listing"); os.close(fd); checks += 1
    # Somebody else is told of a shorter one meanwhile, and of a longer one.
    for other in b"abc\n", b"l" * 300, b"":
        put("key", b"8" * 100); fd = os.open("key", os.O_RDONLY)
        put("key", other); time.sleep(1.1)
        same(elsewhere("stat", "-c", "%s", "key"), b"%d\n" % len(other), "stat")
        elsewhere("ls", "-l", "."); elsewhere("cat", "key")
        same(elsewhere("stat", "-c", "%s", "key"), b"%d\n" % len(other), "stat")
        same(all_of(way, fd), b"8" * 100, f"{way}: beside {len(other)} bytes"); os.close(fd); checks += 1
    # Somebody here writes it anew.
    for script in "printf abc > key", "exec 3> key; printf abc >&3; cat copy-in-the-mount > /dev/null; exec 3>&-", "exec 3<> key; truncate -s 3 key; exec 3>&-":
        put("key", b"9" * 100); elsewhere("cat", "key"); fd = os.open("key", os.O_RDONLY)
        elsewhere("sh", "-c", script)
        elsewhere("stat", "key")
        same(all_of(way, fd), b"9" * 100, f"{way}: beside {script}"); os.close(fd); checks += 1
    # While a writer has a shorter draft.
    put("key", b"9" * 100); fd = os.open("key", os.O_RDONLY); pread(fd)
    w = os.open("key", os.O_RDWR | os.O_TRUNC); os.write(w, b"abc")
    same(os.lseek(w, 0, os.SEEK_END).to_bytes(1, "big"), b"\3", "the end of the draft")
    os.write(w, b"def")
    same(all_of(way, fd), "EINVAL", f"{way}: beside a draft"); os.close(w); checks += 1
    same(all_of(way, fd), b"9" * 100, f"{way}: beside what was saved"); os.close(fd); checks += 1
    same(elsewhere("cat", "key"), b"abcdef", "saved")
    # The mount's own files have no size.
    fd = os.open(".etagfs/status", os.O_RDONLY)
    same(all_of(way, fd), pread(fd), f"{way}: status"); os.close(fd); checks += 1
print(checks, "copies of four kinds beside other sizes: none is short")"#,
    ));
}

/// The file is open here on an older version, and on a draft: programs that copy fall back to reading.
#[test]
fn programs_that_copy_copy_all_while_other_versions_are_open() {
    let world = or_skip!(World::new(&[]));
    told(&world.python(
        r#"
size = 3 << 20
def everything(what):
    tools = {
        "cp": lambda to: elsewhere("cp", "key", to),
        "cp --reflink=auto": lambda to: elsewhere("cp", "--reflink=auto", "--sparse=always", "key", to),
        "cat": lambda to: elsewhere("sh", "-c", f"cat key > {to}"),
        "install": lambda to: elsewhere("install", "key", to),
        "dd": lambda to: elsewhere("dd", "if=key", f"of={to}", "bs=64K", "status=none"),
        "shutil.copyfile": lambda to: shutil.copyfile("key", to),
        "shutil.copy": lambda to: shutil.copy("key", to),
    }
    if shutil.which("node"): tools["node copyFileSync"] = lambda to: elsewhere("node", "-e", f"fs.copyFileSync('key', '{to}')")
    for tool, copy in tools.items():
        for to in "inside", os.path.join(OUTSIDE, "copy"):
            copy(to)
            with open(to, "rb") as f: same(f.read(), what, tool)
            os.unlink(to)
            done[tool] += 1
done = collections.Counter()
put("key", b"A" * size); old = os.open("key", os.O_RDONLY); same(pread(old), b"A" * size, "old")
put("key", b"B" * size); everything(b"B" * size)
same(pread(old), b"A" * size, "old")
put("key", b"C" * (size + 1)); everything(b"C" * (size + 1))
w = os.open("key", os.O_RDWR); os.pwrite(w, b"draft", 0)
everything(b"C" * (size + 1))
put("key", b"D" * 10); everything(b"D" * 10)
os.close(old)
print("beside older and newer versions and a draft:", dict(done))
os.ftruncate(w, 0)
try: os.close(w)
except BlockingIOError: pass"#,
    ));
}

/// What comes out of a page was shown: also one that the kernel had already, and did not ask for.
#[test]
fn what_is_read_through_pages_counts_as_read() {
    let world = or_skip!(World::new(&[]));
    told(&world.python(
        r#"
READER = r'''
import os, sys
fd = os.open("key", os.O_RDONLY)
print("open", flush=True); sys.stdin.readline()
out = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
print(os.sendfile(out, fd, 0, 4096), flush=True); sys.stdin.readline()
try:
    with open("key", "wb", buffering=0) as f: f.write(b"mine")
    print("saved")
except BlockingIOError: print("EAGAIN")
'''
def start(n): return subprocess.Popen([sys.executable, "-c", READER, os.path.join(OUTSIDE, str(n))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
refused = 0
for many in 1, 2, 4:
    put("key", b"A" * 100)
    readers = [start(n) for n in range(many)]
    for it in readers: same(it.stdout.readline(), "open\n", "a reader")
    for it in readers:
        it.stdin.write("\n"); it.stdin.flush(); same(it.stdout.readline(), "100\n", "a reader")
    put("key", b"B" * 50)
    for it in readers:
        said = it.communicate("\n")[0]
        same(said, "EAGAIN\n", "a reader that saves"); refused += 1
    with open(os.path.join(THEIRS, "key")) as f: same(f.read(), "B" * 50, "what was saved meanwhile")
print(refused, "processes that had sent the file and then saved over another version: all refused")"#,
    ));
}

/// A map of an old version goes on while others read the new one, and sees none of it.
#[test]
fn a_map_shows_its_own_version_while_others_read_a_newer_one() {
    let world = or_skip!(World::new(&[]));
    told(&world.python(
        r#"
size, looks = 1 << 20, 0
put("key", b"A" * size)
fd = os.open("key", os.O_RDONLY)
pages = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
for letter in b"BCDEFG":
    put("key", bytes([letter]) * (size // 2))
    same(elsewhere("cat", "key"), bytes([letter]) * (size // 2), "cat")
    newer = os.open("key", os.O_RDONLY)
    same(pages[:], b"A" * size, "the map, while a newer version is open"); looks += 1
    same(pread(newer), bytes([letter]) * (size // 2), "read(2)")
    os.close(newer)
    same(pages[:], b"A" * size, "the map"); looks += 1
print(looks, "looks at a map beside newer versions: all its own")"#,
    ));
}

/// So does a program that runs from the mount.
#[test]
fn a_program_goes_on_to_run_while_others_read_its_newer_version() {
    let world = or_skip!(World::new(&["--file-mode=755"]));
    told(&world.python(
        r#"
program = shutil.which("perl")
with open(program, "rb") as f: code = f.read()
put("key", code)
TEXT = "$| = 1; print qq(runs\n); while (<STDIN>) { my %h = map { $_ => sqrt($_) } 1..1000; print qq(goes on\n) } print qq(ends\n)"
runs = subprocess.Popen(["./key", "-e", TEXT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
same(runs.stdout.readline(), "runs\n", "the program")
for n in range(3):
    put("key", code + b"x" * n)
    newer = os.open("key", os.O_RDONLY)
    same(pread(newer), code + b"x" * n, "its newer version")
    runs.stdin.write("?\n"); runs.stdin.flush()
    same(runs.stdout.readline(), "goes on\n", "the program")
    os.close(newer)
same(runs.communicate()[0], "ends\n", "the program"); same(runs.returncode.to_bytes(1, "big"), b"\0", "its end")
print("a program ran on beside 3 newer versions of it")"#,
    ));
}
