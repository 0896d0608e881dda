//! SIGHUP: everything is read anew, in the mount and in the kernel; but it is the end for a mount whose
//! terminal is gone.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;

use super::sample;
use crate::world::counted::Counted;
use crate::world::mounts;
use crate::world::procs::Script;
use crate::world::proxy::Op;
use crate::world::servers::{self, Kind};
use crate::world::wait;

fn hang_up(ground: &mut Counted) {
    let dropped = |log: &str| log.matches("caches dropped").count();
    let before = dropped(&ground.mount.log());
    ground.mount.signal(Signal::HUP);
    wait::until("caches are dropped", wait::SOON, || {
        dropped(&ground.mount.log()) > before
    });
}

#[test]
fn what_was_believed_for_an_hour_is_asked_for_again() {
    let mut ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=3600")));
    ground.other.put("key", "short");
    ground.other.put("gone", "x");
    let names = |ground: &Counted| {
        let mut names: Vec<_> = fs::read_dir(ground.mount.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let size = |ground: &Counted| fs::metadata(ground.mount.file("key")).unwrap().size();
    // `ls -l`: the kernel believes in names and sizes.
    ground.run(Script::bash("ls -l")).ok();
    assert_eq!(
        (names(&ground), size(&ground)),
        (vec!["gone".to_owned(), "key".to_owned()], 5)
    );
    ground.other.put("key", "much longer");
    ground.other.delete("gone");
    ground.other.put("new", "x");
    assert_eq!(
        (names(&ground), size(&ground)),
        (vec!["gone".to_owned(), "key".to_owned()], 5)
    );
    assert!(fs::metadata(ground.mount.file("gone")).is_ok());

    hang_up(&mut ground);
    assert_eq!(size(&ground), 11);
    assert!(fs::metadata(ground.mount.file("gone")).is_err());
    assert_eq!(names(&ground), ["key", "new"]);
    assert_eq!(sample(&ground.mount, "etagfs_cache_drops_total"), 1.0);
}

#[test]
fn values_are_fetched_again_whole() {
    let mut ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    ground.other.put("key", "value");
    let read = |ground: &Counted| {
        let mark = ground.proxy.mark();
        assert_eq!(fs::read(ground.mount.file("key")).unwrap(), b"value");
        ground.proxy.since(mark).counts().of(Op::Get)
    };
    assert_eq!((read(&ground), read(&ground)), (1, 0));
    hang_up(&mut ground);
    assert_eq!(
        sample(&ground.mount, "etagfs_cache_entries{cache=\"values\"}"),
        0.0
    );
    assert_eq!((read(&ground), read(&ground)), (1, 0));
}

#[test]
fn open_files_and_drafts_go_on_and_a_working_directory_stays_one() {
    let mut ground = or_skip!(Counted::mount(|mount| mount.flat()));
    ground.other.put("key", "value");
    ground.other.put("dir/below", "x");
    let mut reader = File::open(ground.mount.file("key")).unwrap();
    let mut writer = File::create(ground.mount.file("new")).unwrap();
    writer.write_all(b"half").unwrap();
    let go = tempfile::tempdir().unwrap();
    let script = format!(
        "cd dir; echo in > '{0}/in'; until [ -e '{0}/go' ]; do :; done; /bin/pwd; cat below",
        go.path().display()
    );
    let shell = Script::bash(&script).within(ground.mount.path()).start();
    wait::until("it is there", wait::SOON, || go.path().join("in").exists());

    hang_up(&mut ground);
    fs::write(go.path().join("go"), "").unwrap();
    let out = shell.finish().ok();
    assert_eq!(
        out.stdout,
        format!("{}\nx", ground.mount.file("dir").display())
    );
    writer.write_all(b" and half").unwrap();
    writer.sync_all().unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "value");
    assert_eq!(ground.other.text("new"), "half and half");
}

/// What a Python script prints that starts the words `mount` on a pseudo-terminal, as `child` with the other
/// end in `master`, and goes on with `then`; the mount point is `at`. Whoever was started on a
/// pseudo-terminal is hung up when its other end is closed.
fn on_a_terminal(option: &str, then: &str) -> Result<String, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let place = tempfile::tempdir().unwrap();
    let point = place.path().join("mnt");
    fs::create_dir(&point).unwrap();
    let script = format!(
        r#"
import json, os, pty, signal, time
at = "{point}"
mount = ["etagfs", "mount", "s3://{bucket}", at, "--flat", "--endpoint-url", "{endpoint}", "--path-style",
    "--state-dir", "{place}/state"] + "{option}".split()
child, master = pty.fork()
if child == 0:
    os.execv("{etagfs}", mount)
{then}"#,
        etagfs = env!("CARGO_BIN_EXE_etagfs"),
        bucket = bucket.name,
        endpoint = bucket.endpoint,
        point = point.display(),
        place = place.path().display(),
    );
    let script = Script::python(&script)
        .env("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret);
    Ok(script.run().ok().stdout)
}

#[test]
fn a_mount_whose_terminal_is_gone_ends_in_order() {
    let then = r#"
while not os.path.ismount(at): time.sleep(0.01)
os.close(master)
status = os.waitpid(child, 0)[1]
print(os.waitstatus_to_exitcode(status), os.path.ismount(at))
"#;
    assert_eq!(or_skip!(on_a_terminal("", then)), "0 False\n");
}

#[test]
fn a_daemon_that_was_started_on_a_terminal_has_none_and_drops_caches() {
    let then = r#"
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.close(master)
pid = json.load(open(at + "/.etagfs/status"))["pid"]
os.kill(pid, signal.SIGHUP)
while "etagfs_cache_drops_total 1" not in open(at + "/.etagfs/stats").read(): time.sleep(0.01)
print(status, os.path.ismount(at))
os.kill(pid, signal.SIGTERM)
while os.path.ismount(at): time.sleep(0.01)
"#;
    assert_eq!(or_skip!(on_a_terminal("--daemon", then)), "0 True\n");
}
