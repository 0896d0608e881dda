//! The bytes of one file: offsets, sizes, holes, locks, copies.

use super::script;

#[test]
fn copies_of_a_descriptor_share_its_offset_and_its_draft() {
    let ground = script!(
        r#"
fd = os.open("key", os.O_CREAT | os.O_RDWR)
copy = os.dup(fd)
os.write(fd, b"one ")
os.write(copy, b"two ")
assert in_child(lambda: os.write(fd, b"three ")) == 0
os.write(copy, b"four")
os.close(copy)
assert os.pread(fd, 100, 0) == b"one two three four"
os.close(fd)
"#
    );
    assert_eq!(ground.0.other.text("key"), "one two three four");
}

#[test]
fn a_gap_before_what_was_written_is_zeros() {
    let ground = script!(
        r#"
with open("key", "wb") as f:
    f.write(b"head")
    f.seek(1 << 20)
    f.write(b"tail")
data = open("key", "rb").read()
assert len(data) == (1 << 20) + 4
assert data == b"head" + bytes((1 << 20) - 4) + b"tail"
fd = os.open("key", os.O_RDWR)
os.ftruncate(fd, 2)
os.ftruncate(fd, 6)
assert os.pread(fd, 100, 0) == b"he" + bytes(4)
os.pwrite(fd, b"x", 9)
os.close(fd)
assert open("key", "rb").read() == b"he" + bytes(7) + b"x"
"#
    );
    assert_eq!(ground.0.other.text("key").len(), 10);
}

#[test]
fn a_file_is_truncated_by_its_path() {
    script!(
        r#"
put("key", "abcdef")
os.truncate("key", 3)
assert cat("key") == "abc"
os.truncate("key", 5)
assert cat("key") == "abc\0\0"
os.truncate("key", 0)
assert os.stat("key").st_size == 0 and cat("key") == ""
refused(errno.ENOENT, os.truncate, "missing", 3)
os.mkdir("dir")
refused(errno.EISDIR, os.truncate, "dir", 3)
refused(errno.EINVAL, os.truncate, "key", -1)
# Through a descriptor that is open, it is another writer.
put("key", "abcdef")
fd = os.open("key", os.O_RDWR)
os.truncate("key", 2)
assert os.pread(fd, 100, 0) == b"abcdef"
os.pwrite(fd, b"X", 0)
refused(errno.EAGAIN, os.close, fd)
assert cat("key") == "ab"
"#
    );
}

/// As everywhere on Linux: what is opened to append appends, whatever offset is named.
#[test]
fn pwrite_appends_to_what_was_opened_to_append() {
    let ground = script!(
        r#"
put("key", "abc")
fd = os.open("key", os.O_RDWR | os.O_APPEND)
os.pwrite(fd, b"d", 0)
os.lseek(fd, 0, os.SEEK_SET)
os.write(fd, b"e")
assert os.pread(fd, 100, 0) == b"abcde"
# The flag can be taken away, and set.
fcntl.fcntl(fd, fcntl.F_SETFL, 0)
os.pwrite(fd, b"A", 0)
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
os.write(fd, b"f")
assert os.pread(fd, 100, 0) == b"Abcdef"
os.close(fd)
fd = os.open("key", os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
os.write(fd, b"g")
os.close(fd)
"#
    );
    assert_eq!(ground.0.other.text("key"), "Abcdefg");
}

/// R2: one handle, one version, whoever saves meanwhile. The kernel asks for the size of a descriptor
/// only when it does not believe to know that of the file.
#[test]
fn two_descriptors_of_one_process_show_two_versions() {
    let ground = or_skip!(super::Ground::with("--ttl=0"));
    ground.run(
        r#"
put("key", "version one")
one = os.open("key", os.O_RDONLY)
put("key", "and two")
two = os.open("key", os.O_RDONLY)
for _ in range(2):
    assert os.pread(one, 100, 0) == b"version one"
    assert os.pread(two, 100, 0) == b"and two"
    assert os.pread(one, 3, 8) == b"one"
assert os.lseek(one, 0, os.SEEK_END) == 11
assert os.lseek(two, 0, os.SEEK_END) == 7
os.lseek(one, -3, os.SEEK_END)
assert os.read(one, 100) == b"one"
writer = os.open("key", os.O_RDWR)
os.pwrite(writer, b"a third, that is longer", 0)
assert os.lseek(writer, 0, os.SEEK_END) == 23
assert os.pread(one, 100, 0) == b"version one"
assert os.pread(two, 100, 0) == b"and two"
os.close(writer)
assert os.pread(one, 100, 0) == b"version one"
"#,
    );
}

#[test]
fn a_file_that_is_unlinked_while_it_is_open_can_be_read_and_written() {
    let ground = script!(
        r#"
put("key", "value")
reader = os.open("key", os.O_RDONLY)
writer = os.open("key", os.O_RDWR)
os.unlink("key")
refused(errno.ENOENT, os.stat, "key")
assert os.pread(reader, 100, 0) == b"value"
os.pwrite(writer, b"VALUE, longer", 0)
assert os.pread(writer, 100, 0) == b"VALUE, longer"
assert os.pread(reader, 100, 0) == b"value"
assert os.fstat(reader).st_nlink == 0
unchanged = os.open("other", os.O_CREAT | os.O_RDWR)
os.write(unchanged, b"abc")
os.fsync(unchanged)
os.unlink("other")
put("other", "longer")
assert os.fstat(unchanged).st_nlink == 0 and os.fstat(unchanged).st_size == 3
put("key", "another")
os.fsync(writer)
os.close(writer)
os.close(reader)
assert cat("key") == "another"
"#
    );
    assert_eq!(ground.0.other.text("key"), "another");
}

#[test]
fn a_file_that_is_renamed_while_it_is_dirty_is_saved_under_its_new_name() {
    let ground = script!(
        r#"
put("taken", "before")
fd = os.open("key", os.O_CREAT | os.O_RDWR)
os.write(fd, b"one")
os.rename("key", "moved")
os.write(fd, b", two")
os.rename("moved", "taken")
os.write(fd, b", three")
os.close(fd)
assert os.listdir(".") == ["taken"]
assert cat("taken") == "one, two, three"
"#
    );
    assert_eq!(ground.0.other.keys(), ["taken"]);
    assert_eq!(ground.0.other.text("taken"), "one, two, three");
}

#[test]
fn locks_hold_among_the_processes_of_a_mount() {
    script!(
        r#"
put("key", "value")
with open("key", "r+") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    def another():
        with open("key") as g:
            refused(errno.EWOULDBLOCK, fcntl.flock, g, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert in_child(another) == 0
    fcntl.flock(f, fcntl.LOCK_UN)
    def now():
        with open("key") as g:
            fcntl.flock(g, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert in_child(now) == 0
    fcntl.lockf(f, fcntl.LOCK_EX, 2, 1)
    def record():
        with open("key", "r+") as g:
            refused({errno.EAGAIN, errno.EACCES}, fcntl.lockf, g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2)
            fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
    assert in_child(record) == 0
# Closing it gives it up.
with open("key", "r+") as g:
    fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
"#
    );
}

/// A value has no blocks that could be set aside or given back; it is refused, and not pretended.
#[test]
fn fallocate_is_refused_and_its_substitute_works() {
    let ground = script!(
        r#"
put("key", "value")
with open("key", "r+b") as f:
    off_t = ctypes.c_int64
    def fallocate(mode, start, size):
        return checked(libc.fallocate(f.fileno(), mode, off_t(start), off_t(size)))
    KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO = 1, 2, 8, 16
    for mode in (0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, COLLAPSE, ZERO):
        refused(errno.EOPNOTSUPP, fallocate, mode, 0, 4096)
    # The C library writes instead.
    os.posix_fallocate(f.fileno(), 0, 10)
assert cat("key") == "value" + "\0" * 5
"#
    );
    assert_eq!(ground.0.other.text("key").len(), 10);
}

#[test]
fn a_file_is_copied_inside_of_the_kernel() {
    let ground = script!(
        r#"
data = bytes(range(256)) * 5000
with open("from", "wb") as f:
    f.write(data)
with open("from", "rb") as f, open("copied", "wb") as g:
    left = len(data)
    while left:
        done = os.copy_file_range(f.fileno(), g.fileno(), left)
        assert done > 0
        left -= done
with open("from", "rb") as f, open("sent", "wb") as g:
    at = 0
    while done := os.sendfile(g.fileno(), f.fileno(), at, len(data)):
        at += done
assert open("copied", "rb").read() == data
assert open("sent", "rb").read() == data
with open("copied", "r+b") as f:
    os.copy_file_range(f.fileno(), f.fileno(), 4, 0, 100)
    assert os.pread(f.fileno(), 4, 100) == bytes([0, 1, 2, 3])
"#
    );
    assert_eq!(
        ground.0.other.get("sent").unwrap().bytes,
        ground.0.other.get("from").unwrap().bytes
    );
}

/// What `cat` and `cp` use where they can.
#[test]
fn a_copy_inside_of_the_kernel_is_of_the_versions_of_its_descriptors() {
    let ground = script!(
        r#"
put("key", "first")
old = os.open("key", os.O_RDONLY)
put("key", "other")
new = os.open("key", os.O_RDONLY)
draft = os.open("key", os.O_RDWR)
os.write(draft, b"draft")
def copied(source):
    target = os.open("copy", os.O_CREAT | os.O_TRUNC | os.O_RDWR)
    done = os.copy_file_range(source, target, 100, 0)
    bytes = os.pread(target, 100, 0)
    assert done == len(bytes), (done, bytes)
    os.close(target)
    assert cat("copy").encode() == bytes
    return bytes
for _ in range(3):
    assert copied(old) == b"first"
    assert copied(new) == b"other"
    assert copied(draft) == b"draft"
assert os.copy_file_range(draft, new_file := os.open("parts", os.O_CREAT | os.O_WRONLY), 2, 1, 3) == 2
os.close(new_file)
assert cat("parts") == chr(0) * 3 + "ra"
# A lost writer takes no bytes, wherever they come from.
lost = os.open("key", os.O_RDWR)
os.write(lost, b"1")
put("key", "winner")
refused(errno.EAGAIN, os.fsync, lost)
refused(errno.ESTALE, os.copy_file_range, os.open("copy", os.O_RDONLY), lost, 3, 0, 0)
"#
    );
    assert_eq!(ground.0.other.text("key"), "winner");
}

#[test]
fn a_copy_to_a_file_that_saves_each_write_is_saved_before_it_is_over() {
    let ground = script!(
        r#"
put("from", "bytes")
source = os.open("from", os.O_RDONLY)
for flags in (os.O_CREAT, 0):
    target = os.open("to", flags | os.O_WRONLY | os.O_SYNC)
    os.copy_file_range(source, target, 5, 0, 0)
    print(os.getxattr("to", "user.etag").decode(), flush=True)
    os.copy_file_range(source, target, 5, 0, 5)
    os.close(target)
"#
    );
    assert_eq!(ground.0.other.text("to"), "bytesbytes");
    // The second time, what is written is what is there.
    assert_eq!(ground.0.puts("to")[..2], ["bytes", "bytesbytes"]);
}

#[test]
fn a_value_is_data_to_its_end_and_then_a_hole() {
    script!(
        r#"
put("key", "0123456789")
fd = os.open("key", os.O_RDWR)
assert os.lseek(fd, 3, os.SEEK_DATA) == 3
assert os.lseek(fd, 3, os.SEEK_HOLE) == 10
refused(errno.ENXIO, os.lseek, fd, 10, os.SEEK_DATA)
refused(errno.ENXIO, os.lseek, fd, 11, os.SEEK_HOLE)
os.pwrite(fd, b"more", 10)
assert os.lseek(fd, 0, os.SEEK_HOLE) == 14
os.close(fd)
"#
    );
}

#[test]
fn a_descriptor_does_what_it_was_opened_for() {
    script!(
        r#"
put("key", "value")
fd = os.open("key", os.O_RDONLY)
refused(errno.EBADF, os.write, fd, b"x")
refused(errno.EINVAL, os.ftruncate, fd, 0)
assert os.pread(fd, 10, 5) == b"" and os.pread(fd, 10, 1 << 40) == b""
assert os.readv(fd, [bytearray(2), bytearray(100)]) == 5
os.fsync(fd)
os.close(fd)
fd = os.open("key", os.O_WRONLY)
refused(errno.EBADF, os.read, fd, 1)
assert os.writev(fd, [b"va", b"lu", b"E"]) == 5
os.fchmod(fd, 0o600)
os.close(fd)
assert cat("key") == "valuE"
assert os.write(os.open("empty", os.O_CREAT | os.O_WRONLY), b"") == 0
"#
    );
}
