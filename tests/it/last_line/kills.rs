//! The daemon is killed while it rescues: each rescue is complete or absent, and what is left of one that was not
//! complete can be dropped.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Ground, wait};
use crate::world::procs::Script;
use crate::world::rescues;

const ROUNDS: u64 = 12;

#[test]
fn a_rescue_is_complete_or_absent_whenever_the_daemon_is_killed() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    ground.other.put("key", "old");
    // Each draft is refused again and again, so that rescues are made and forgotten all the time.
    let script = "import os, itertools
for n in itertools.count():
    f = os.open('key', os.O_RDWR)
    os.truncate(f, 0)
    os.write(f, b'%04d' % (n % 10000) * 50000)
    t = os.open('key', os.O_WRONLY | os.O_TRUNC); os.write(t, os.urandom(16)); os.fsync(t); os.close(t)
    try: os.close(f)
    except BlockingIOError: pass
    print(n, flush=True)";
    let (mut whole, mut left) = (0, 0);
    for round in 0..ROUNDS {
        let mut mount = ground.mount(state.path()).log_level("info").start();
        let losing = Script::python(script).within(mount.path()).start();
        wait::until("something was rescued", wait::SOON, || {
            !losing.stdout_so_far().is_empty()
        });
        // Nowhere in particular: as far as another process gets that does something else.
        for _ in 0..round {
            Command::new("true").status().unwrap();
        }
        mount.kill();
        losing.kill();
        drop(losing);
        mount.clear();
        left += drop_litter(&ground, state.path());
        let all = rescues::of(state.path());
        for one in &all {
            assert_eq!(one.bytes.len(), 200_000);
            assert_eq!(one.bytes, one.bytes[..4].repeat(50_000));
        }
        whole = all.len();
    }
    assert!(whole >= usize::try_from(ROUNDS).unwrap());
    let names = fs::read_dir(state.path().join("rescue")).unwrap();
    let names: Vec<_> = names
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    let torn = names
        .iter()
        .filter(|name| !name.ends_with(".json") && !name.ends_with(".value"));
    println!(
        "{ROUNDS} kills: {whole} rescues, all whole; {left} times bytes without a record; {} other files",
        torn.count()
    );
}

/// Forgets bytes whose writer was killed before it wrote their record; how many there are.
fn drop_litter(ground: &Ground, state: &Path) -> usize {
    let list = ground.etagfs(state, "rescue ls --json").stdout;
    let odd: Vec<serde_json::Value> = list
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|one: &serde_json::Value| one["kind"] == "unreadable")
        .collect();
    for one in &odd {
        assert_eq!(one["why"], "its record is missing");
        let id = one["id"].as_str().unwrap();
        ground.etagfs(state, &format!("rescue drop {id}")).ok();
    }
    odd.len()
}
