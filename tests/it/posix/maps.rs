//! Files in memory.

use super::{PRELUDE, script};
use crate::world::procs::Script;
use crate::world::wait;

#[test]
fn a_private_map_shows_the_version_that_was_opened_and_saves_nothing() {
    let ground = script!(
        r#"
put("key", "value")
fd = os.open("key", os.O_RDONLY)
pages = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
assert pages[:] == b"value"
pages[0:2] = b"VA"
os.close(fd)
assert pages[:] == b"VAlue"
pages.close()
assert cat("key") == "value"
"#
    );
    assert_eq!(ground.0.other.text("key"), "value");
}

#[test]
fn a_shared_map_is_saved_by_msync_and_by_close() {
    let ground = script!(
        r#"
put("key", "value")
fd = os.open("key", os.O_RDWR)
pages = mmap.mmap(fd, 0)
pages[0:2] = b"VA"
pages.flush()
assert cat("key") == "VAlue"
pages[4:5] = b"E"
pages.close()
os.close(fd)
assert cat("key") == "VAluE"
"#
    );
    assert_eq!(ground.0.other.text("key"), "VAluE");
}

/// A map belongs to the file, and not to the descriptor that appends to it.
#[test]
fn a_map_of_what_was_opened_to_append_writes_where_it_is() {
    let ground = script!(
        r#"
put("key", "value")
fd = os.open("key", os.O_RDWR | os.O_APPEND)
pages = mmap.mmap(fd, 0)
pages[0:2] = b"VA"
pages.flush()
pages.close()
os.write(fd, b"!")
os.close(fd)
"#
    );
    assert_eq!(ground.0.other.text("key"), "VAlue!");
}

#[test]
fn a_lost_race_is_heard_from_msync() {
    let ground = or_skip!(super::Ground::new());
    ground.0.other.put("key", "value");
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let script = r#"
fd = os.open("key", os.O_RDWR)
pages = mmap.mmap(fd, 0)
pages[0:2] = b"VA"
print("mapped", flush=True)
while not os.path.exists(os.environ["GO"]): pass
refused(errno.EAGAIN, pages.flush)
refused(errno.EAGAIN, os.close, fd)
assert cat("key") == "theirs"
"#;
    let running = Script::python(&format!("{PRELUDE}\n{script}"))
        .env("GO", &go)
        .within(ground.0.mount.path())
        .start();
    wait::until("it is mapped", wait::SOON, || {
        running.stdout_so_far().contains("mapped")
    });
    ground.0.other.put("key", "theirs");
    std::fs::write(&go, "").unwrap();
    running.finish().ok();
    assert_eq!(ground.0.other.text("key"), "theirs");
}
