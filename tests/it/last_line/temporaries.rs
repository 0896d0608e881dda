//! Temporary files that do not become keys, and saves whose bytes are nowhere else.

use std::fs;

use super::{Ground, own};
use crate::world::attempts::attempt;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::rescues;

#[test]
fn the_bytes_of_a_temporary_file_are_rescued_whatever_its_rename_failed_of() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(&ground.bucket.endpoint);
    let mount = ground
        .mount(state.path())
        .through(&proxy)
        .arg("--deadline=2");
    let mount = mount.start();
    // A key that was to be moved is where it was.
    ground.other.put("key", "old");
    ground.other.put("source", "stays");
    proxy.inject(When::op(Op::Put).key("key"), Fault::access_denied());
    assert_eq!(
        attempt(mount.path(), "os.rename('source', 'key')"),
        "EACCES"
    );
    proxy.heal();
    assert_eq!(rescues::of_key(state.path(), "key").len(), 0);
    assert_eq!(ground.other.text("source"), "stays");
    assert_eq!(own(&mount, "conflicts").lines().count(), 1);

    let write = "open(t, 'w').write('new'); os.rename(t, 'key')";
    let python = format!("t = 'key.tmp~'\ntry: {write}\nfinally: os.unlink(t)");
    let cases = [
        ("sed", "sed -i s/old/new/ key", Fault::access_denied(), 1),
        ("python", "", Fault::Answer(400, "InvalidRequest"), 0),
        ("python", "", Fault::Refuse, 0),
    ];
    for (n, (program, script, fault, code)) in cases.into_iter().enumerate() {
        ground.other.put("key", "old");
        let put = proxy.inject(When::op(Op::Put).key("key"), fault);
        match program {
            "sed" => {
                let out = Script::bash(script).within(mount.path()).run();
                assert_ne!((out.code, out.stderr.as_str()), (Some(0), ""), "{code}");
            }
            _ => assert_ne!(attempt(mount.path(), &python), "ok"),
        }
        assert!(put.struck() > 0);
        put.remove();
        assert_eq!(ground.other.text("key"), "old");
        let kept = rescues::of_key(state.path(), "key");
        assert_eq!(kept.len(), n + 1, "{kept:?}");
        assert!(kept[n].starts_with("new"), "{kept:?}");
        assert_eq!(own(&mount, "conflicts").lines().count(), n + 2);
    }
    mount.unmount();
}

/// A write that is saved before it returns takes its bytes back when it fails: later writes, and the close,
/// are no save of them.
#[test]
fn appended_lines_that_failed_at_once_are_rescued_one_by_one_and_stay() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(&ground.bucket.endpoint);
    let mount = ground.mount(state.path()).through(&proxy).start();
    ground.other.put("log", "begin\n");
    let go = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "import os, time
f = os.open('log', os.O_WRONLY | os.O_APPEND | os.O_SYNC)
for n in range(4):
    try: os.write(f, b'line%d\\n' % n); print('ok', flush=True)
    except OSError as error: print(error.errno, flush=True)
while os.path.exists({:?}): time.sleep(0.01)
os.write(f, b'last\\n')
os.close(f)
print('closed', flush=True)",
        go.path()
    );
    let denied = When::op(Op::Put).key("log").times(3);
    let denied = proxy.inject(denied, Fault::access_denied());
    let running = Script::python(&script).within(mount.path()).start();
    denied.wait_for(3);
    drop(go);
    let out = running.finish().ok();
    assert_eq!(out.stdout, "13\n13\n13\nok\nclosed\n");
    assert_eq!(ground.other.text("log"), "begin\nline3\nlast\n");
    let kept = rescues::of_key(state.path(), "log");
    assert_eq!(kept, ["line0\n", "line1\n", "line2\n"]);
    mount.unmount();
}

#[test]
fn a_scratch_file_that_is_larger_than_any_value_stays_one() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).arg("--ttl=0").start();
    let size = 1_u64 << 40;
    ground.other.put("key", "old");
    let made = format!("open('big~', 'w').truncate({size})");
    assert_eq!(attempt(mount.path(), &made), "ok");
    for over in ["key", "new"] {
        let call = format!("os.rename('big~', {over:?})");
        assert_eq!(attempt(mount.path(), &call), "EFBIG");
    }
    assert_eq!(fs::metadata(mount.file("big~")).unwrap().len(), size);
    assert_eq!(ground.other.text("key"), "old");
    // Another machine makes a key of this name.
    ground.other.put("big~", "a key");
    assert_eq!(fs::read(mount.file("big~")).unwrap(), b"a key");
    let dir = mount.file(".etagfs/rescue");
    let names: Vec<_> = fs::read_dir(&dir).unwrap().collect();
    let sizes: Vec<_> = names
        .into_iter()
        .map(|one| fs::metadata(one.unwrap().path()).unwrap().len())
        .collect();
    assert_eq!(sizes, [size]);
    // A name that a key was moved to, and that does not become one.
    ground.other.put("moved", "old");
    assert_eq!(attempt(mount.path(), "os.rename('moved', 'moved~')"), "ok");
    let grown = format!("os.truncate('moved~', {size})");
    assert_eq!(attempt(mount.path(), &grown), "ok");
    mount.unmount();
    assert_eq!(ground.other.text("moved"), "old");
}

#[test]
fn a_file_can_be_renamed_while_others_close_it() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    ground.other.put("a", "0");
    let script = "import collections, os, threading
results, over = collections.Counter(), False
def read():
    while not over:
        for name in 'ab':
            try: os.close(os.open(name, os.O_RDONLY))
            except OSError: pass
threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads: thread.start()
names = 'ab'
for n in range(100):
    f = os.open(names[0], os.O_WRONLY | os.O_APPEND)
    os.write(f, b'y')
    try:
        os.rename(*names); results['ok'] += 1
        names = names[::-1]
    except OSError as error: results[error.strerror] += 1
    os.close(f)
over = True
for thread in threads: thread.join()
print(dict(results))";
    let out = Script::python(script).within(mount.path()).run().ok();
    assert_eq!(out.stdout, "{'ok': 100}\n");
    let value = ground.other.text("a");
    assert_eq!(value.len(), 101);
    mount.unmount();
}
