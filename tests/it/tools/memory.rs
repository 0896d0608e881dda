//! Who was shown what is remembered while others read very much (W1).

use std::fs;

use super::bench::{Bench, THEIRS};
use crate::world::procs::Script;

/// An editor reads a file; another program reads all files, and goes on; the other machine saves; the editor
/// saves. `$N` says how many there are.
const EDITOR: &str = "
import os, subprocess, sys
F = os.environ['F']
old = open(F).read()
reader = subprocess.Popen(
    [sys.executable, '-c', 'for n in range(int(__import__(\"os\").environ[\"N\"])): open(f\"many-{n}\").read()\\nprint(\"read\", flush=True); input()'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
assert reader.stdout.readline() == b'read\\n'
subprocess.run([os.environ['THEIRS'], F], check=True)
print(open('.etagfs/status').read())
try:
    with open(F, 'w') as file: file.write(old + 'mine')
finally:
    reader.communicate(b'\\n')
";

#[test]
fn an_editor_is_not_blind_because_somebody_reads_more_than_can_be_remembered() {
    const MANY: usize = 500;
    let names: Vec<_> = (0..MANY).map(|n| format!("many-{n}")).collect();
    let objects = names.iter().map(|name| (&**name, "x\n"));
    let objects = objects.chain([("edited", "old\n")]);
    let bench = or_skip!(Bench::mounted(objects, |mount| {
        mount.flat().arg("--shown-memory=16K")
    }));
    let editor = Script::python(EDITOR).env("N", MANY.to_string());
    let done = bench.script("edited", editor).run();
    assert!(done.stderr.contains("BlockingIOError"), "{done:#?}");
    assert_eq!(bench.bucket().text("edited"), THEIRS);

    let status: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let shown = &status["shown"];
    let (readings, forgotten) = (shown["readings"].as_u64(), shown["forgotten"].as_u64());
    println!("{shown}");
    assert_eq!(
        readings.unwrap() + forgotten.unwrap(),
        MANY as u64 + 1,
        "{shown}"
    );
    assert!(
        forgotten.unwrap() > 200 && readings.unwrap() > 100,
        "{shown}"
    );
    assert!(shown["bytes"].as_u64() <= Some(16 << 10), "{shown}");
    assert_eq!(shown["limit_bytes"], 16 << 10);
    let stats = fs::read_to_string(bench.ground.mount.file(".etagfs/stats")).unwrap();
    let counted = stats
        .lines()
        .find_map(|line| line.strip_prefix("etagfs_forgotten_readings_total "));
    assert!(counted.unwrap().parse::<u64>().unwrap() >= forgotten.unwrap());
    let log = bench.ground.mount.log();
    assert!(
        log.contains("there is no room to remember which process was shown which version"),
        "{log}"
    );
}
