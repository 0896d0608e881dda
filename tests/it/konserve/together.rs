//! A konserve program with optimistic locking and editors on mounts, at the same keys at the same
//! time: no update is lost.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use konserve_codec::{Value, edn};

use super::writer::{Writer, value};
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::servers::{self, Kind as Server};

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
const EACH: usize = 100;

/// Increments its own entry of the map in `:counters`, so that what was lost can be told; retries
/// only what it was told was lost.
const EDITOR: &str = r#"
import errno, os, re, sys
me, times = sys.argv[1], int(sys.argv[2])
refused = 0
for n in range(times):
    while True:
        f = os.open(':counters', os.O_RDWR)
        text = os.read(f, 1 << 20).decode()
        text = re.sub(re.escape(me) + r' (\d+)', lambda m: f'{me} {int(m.group(1)) + 1}', text)
        try:
            os.truncate(f, 0)
            os.pwrite(f, text.encode(), 0)
            os.fsync(f)
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ESTALE):
                raise
            refused += 1
        finally:
            try:
                os.close(f)
            except OSError:
                pass
print(refused)
"#;

fn increment(map: Value, key: &str) -> Value {
    let Value::Map(mut entries) = map else {
        panic!("{map:?}")
    };
    for (name, count) in &mut entries {
        if let (true, Value::Int(n)) = (*name == Value::keyword(key), &count) {
            *count = Value::Int(n + 1);
        }
    }
    Value::Map(entries)
}

#[test]
fn updates_of_a_program_and_edits_on_two_mounts_keep_all_400() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
    let writer = Writer::create(&bucket.client(), STORE);
    writer.assoc(
        ":counters",
        "{:editor-1 0, :editor-2 0, :program-1 0, :program-2 0}",
    );
    let mounts = [1, 2].map(|_| Mount::of(&bucket).store(STORE).arg("--ttl=0").start());
    let begun = Instant::now();
    let mut refused = BTreeMap::new();
    thread::scope(|scope| {
        let programs = ["program-1", "program-2"].map(|name| {
            let writer = Writer::of(&bucket.client(), STORE);
            let run = move || {
                (0..EACH)
                    .map(|_| writer.update(&value(":counters"), |map| increment(map, name)))
                    .sum::<usize>()
            };
            (name, scope.spawn(run))
        });
        let editors = ["editor-1", "editor-2"].map(|name| {
            let mount = &mounts[usize::from(name == "editor-2")];
            let script = format!("import sys\nsys.argv = ['', ':{name}', '{EACH}']\n{EDITOR}");
            let running = Script::python(&script)
                .within(mount.path())
                .deadline(Duration::from_secs(900))
                .start();
            (name, running)
        });
        for (name, program) in programs {
            refused.insert(name, program.join().unwrap());
        }
        for (name, editor) in editors {
            let out = editor.finish().ok();
            refused.insert(name, out.stdout.trim().parse().unwrap());
        }
    });
    let kept = edn::print_line(&writer.get(":counters"));
    report::write(
        "konserve together",
        &format!("{kept} after {:?}; refused: {refused:?}", begun.elapsed()),
    );
    assert_eq!(
        kept,
        "{:editor-1 100, :editor-2 100, :program-1 100, :program-2 100}"
    );
    let read = writer.read(&value(":counters"));
    assert_eq!(read.codec, writer.codec);
    assert_eq!(read.metadata.key(), &value(":counters"));
    assert_eq!(
        fs::read_to_string(mounts[0].file(":counters")).unwrap(),
        format!("{kept}\n")
    );
}
