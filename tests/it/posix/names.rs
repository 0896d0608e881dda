//! Names and directories: flags, listings that change while they are read, what is refused.

use super::script;

#[test]
fn a_file_without_a_name_is_refused() {
    let ground = script!(
        r#"
os.mkdir("dir")
for at in (".", "dir"):
    refused(errno.EOPNOTSUPP, os.open, at, os.O_TMPFILE | os.O_RDWR)
import tempfile
with tempfile.TemporaryFile(dir=".") as f:  # It makes a named one instead, and unlinks it.
    f.write(b"x")
"#
    );
    assert_eq!(ground.0.other.keys(), ["dir/"]);
}

#[test]
fn directories_are_told_from_files() {
    script!(
        r#"
put("key", "value")
os.mkdir("dir")
refused(errno.ENOTDIR, os.open, "key", os.O_RDONLY | os.O_DIRECTORY)
refused(errno.ENOTDIR, os.stat, "key/below")
refused(errno.ENOTDIR, os.rmdir, "key")
refused(errno.EISDIR, os.open, "dir", os.O_WRONLY)
refused(errno.EISDIR, os.unlink, "dir")
refused(errno.EISDIR, os.rename, "key", "dir")
refused(errno.ENOENT, os.open, "missing/key", os.O_CREAT | os.O_WRONLY)
refused(errno.ENOENT, os.stat, "")
os.close(os.open("dir", os.O_RDONLY | os.O_DIRECTORY))
os.close(os.open("key", os.O_RDONLY | os.O_NOFOLLOW))
os.close(os.open("key", os.O_RDONLY | os.O_NOATIME))
os.symlink("key", ".#key")
refused(errno.ELOOP, os.open, ".#key", os.O_RDONLY | os.O_NOFOLLOW)
assert cat(".#key") == "value"
"#
    );
}

#[test]
fn what_a_bucket_cannot_hold_is_refused() {
    script!(
        r#"
put("key", "value")
refused(errno.EPERM, os.link, "key", "hard")
refused(errno.EPERM, os.symlink, "key", "soft")
refused(errno.EPERM, os.mkfifo, "fifo")
refused(errno.EPERM, os.mknod, "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
refused(errno.ENAMETOOLONG, put, "x" * 256, "")
refused(errno.EEXIST, os.open, "key", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
refused(errno.EEXIST, os.mkdir, "key")
os.mkdir("dir")
refused(errno.EXDEV, os.rename, "dir", "other")
os.chmod("key", 0o400)
os.utime("key", (0, 0))
put("x" * 255, "longest")
assert sorted(os.listdir(".")) == ["dir", "key", "x" * 255]
"#
    );
}

#[test]
fn the_flags_of_a_rename_are_kept_or_refused() {
    let ground = script!(
        r#"
AT_FDCWD, NOREPLACE, EXCHANGE, WHITEOUT = -100, 1, 2, 4
def rename(one, two, flags):
    return checked(libc.renameat2(AT_FDCWD, one.encode(), AT_FDCWD, two.encode(), flags))
put("one", "1")
put("two", "2")
refused(errno.EEXIST, rename, "one", "two", NOREPLACE)
refused(errno.EINVAL, rename, "one", "two", EXCHANGE)
refused(errno.EINVAL, rename, "one", "two", EXCHANGE | NOREPLACE)
refused(errno.EINVAL, rename, "one", "new", WHITEOUT)
rename("one", "new", NOREPLACE)
rename("new", "new", 0)
refused(errno.ENOENT, rename, "one", "other", 0)
assert cat("new") == "1" and cat("two") == "2"
rename("new", "two", 0)
assert cat("two") == "1"
"#
    );
    assert_eq!(ground.0.other.keys(), ["two"]);
}

#[test]
fn there_is_always_room() {
    script!(
        r#"
put("key", "value")
for at in (".", "key"):
    told = os.statvfs(at)
    assert told.f_namemax == 255
    assert told.f_bavail > 1 << 30 and told.f_bfree >= told.f_bavail and told.f_favail > 1 << 30
subprocess.run(["df", "-h", "."], check=True, stdout=subprocess.DEVNULL)
"#
    );
}

#[test]
fn access_follows_the_modes_of_the_mount() {
    script!(
        r#"
put("key", "value")
os.mkdir("dir")
assert os.access("key", os.R_OK | os.W_OK)
assert not os.access("key", os.X_OK)
assert os.access("dir", os.R_OK | os.W_OK | os.X_OK)
assert not os.access("missing", os.F_OK)
assert stat.S_IMODE(os.stat("key").st_mode) == 0o644
assert os.stat("key").st_uid == os.getuid()
refused(errno.EACCES, os.execv, "./key", ["key"])
"#
    );
}

/// The functions of the C library, since Python's own read a directory in one go.
const STREAM: &str = r#"
class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long
class Stream:
    def __init__(self, path):
        self.stream = ctypes.c_void_p(libc.opendir(path.encode()))
        assert self.stream
    def next(self):
        found = libc.readdir(self.stream)
        return found.contents.name.decode() if found else None
    def rest(self):
        names = []
        while name := self.next():
            names.append(name)
        return names
    def tell(self):
        return libc.telldir(self.stream)
    def seek(self, at):
        libc.seekdir(self.stream, ctypes.c_long(at))
    def close(self):
        libc.closedir(self.stream)
"#;

#[test]
fn a_position_in_a_directory_can_be_returned_to() {
    let ground = or_skip!(super::Ground::new());
    for n in 0..300 {
        ground.0.other.put(&format!("dir/{n:04}"), "v");
    }
    ground.run(&format!(
        "{STREAM}{}",
        r#"
names = Stream("dir")
first = [names.next() for _ in range(150)]
middle = names.tell()
rest = names.rest()
assert len(first) + len(rest) == 302 and len(set(first + rest)) == 302
names.seek(middle)
assert names.rest() == rest
# Names that come and go do not move those that stay.
for n in range(0, 300, 3):
    os.unlink(f"dir/{n:04}")
names.seek(middle)
again = set(names.rest())
stayed = {name for name in rest if name not in (".", "..") and int(name) % 3}
assert stayed <= again, stayed - again
names.close()
assert len(os.listdir("dir")) == 200
"#
    ));
}

#[test]
fn a_directory_that_changes_while_it_is_read_shows_each_name_once() {
    let ground = or_skip!(super::Ground::new());
    let client = &ground.0.other;
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                for n in (part..3000).step_by(4) {
                    client.put(&format!("dir/{n:04}"), "v");
                }
            });
        }
    });
    ground.run(&format!(
        "{STREAM}{}",
        r#"
names = Stream("dir")
seen = []
# Names go, ahead of the reader and behind it, and others come.
going = iter(range(0, 3000, 3))
gone = set()
while name := names.next():
    seen.append(name)
    if len(seen) % 30 == 0:
        for _ in range(3):
            n = next(going, None)
            if n is not None:
                os.unlink(f"dir/{n:04}")
                gone.add(f"{n:04}")
        put(f"dir/new-{len(seen)}", "v")
names.close()
assert len(seen) == len(set(seen)), "a name was shown twice"
stayed = {f"{n:04}" for n in range(3000) if n % 3}
assert stayed <= set(seen), f"{len(stayed - set(seen))} names were skipped"
now = set(os.listdir("dir"))
assert stayed <= now and not gone & now
"#
    ));
}
