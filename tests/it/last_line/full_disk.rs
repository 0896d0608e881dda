//! The state directory has no room.

use std::fs;

use super::{Ground, is_root, kept, lose, metric, own, shown, status, wait};
use crate::world::attempts::attempt;
use crate::world::disk::SmallDisk;
use crate::world::procs::Script;
use crate::world::rescues;

#[test]
fn what_has_no_room_waits_in_memory_and_is_written_when_there_is_room() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("128k");
    let mount = ground.mount(disk.path()).arg("--rescue-memory=20K").start();
    ground.other.put("key", "old");
    lose(&mount, "key", "has room");
    disk.fill();
    let texts = ["a".repeat(9_000), "b".repeat(9_000), "c".repeat(9_000)];
    for text in &texts {
        lose(&mount, "key", text);
    }
    assert_eq!(kept(&mount), ["disk", "memory", "memory", "lost"]);
    assert_eq!(metric(&mount, "etagfs_rescues_total"), 3);
    assert_eq!(metric(&mount, "etagfs_rescues_lost_total"), 1);
    assert_eq!(metric(&mount, "etagfs_kept_rescues{place=\"memory\"}"), 2);
    assert_eq!(
        metric(&mount, "etagfs_kept_rescue_bytes{place=\"memory\"}"),
        18_000
    );
    assert_eq!(metric(&mount, "etagfs_rescues_warning"), 1);
    let told = status(&mount);
    assert_eq!(told["rescues"], 3, "{told}");
    assert_eq!(told["rescues_in_memory"], 2, "{told}");
    let warning = told["rescues_warning"].as_str().unwrap();
    assert!(
        warning.contains("2 rescues (18000 bytes) are in memory only"),
        "{warning}"
    );
    // Whoever looks in the mount sees them; on the disk there is one.
    assert_eq!(shown(&mount), ["has room", &texts[0], &texts[1]]);
    let ids: Vec<_> = own(&mount, "conflicts")
        .lines()
        .filter_map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["rescue"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(ids.len(), 3);
    let size = fs::metadata(mount.file(".etagfs/rescue").join(&ids[2])).unwrap();
    assert_eq!(size.len(), 9_000);
    assert_eq!(rescues::of(disk.path()).len(), 1);

    disk.make_room();
    wait::until("they are on the disk", wait::SOON, || {
        rescues::of(disk.path()).len() == 3
    });
    assert_eq!(
        rescues::of_key(disk.path(), "key"),
        ["has room", &texts[0], &texts[1]]
    );
    wait::until("the memory is free again", wait::SOON, || {
        status(&mount)["rescues_in_memory"] == 0
    });
    assert_eq!(status(&mount)["rescues_warning"], serde_json::Value::Null);
    let log = mount.unmount();
    assert!(log.contains("could not be kept: they are lost"), "{log}");
}

#[test]
fn what_waits_in_memory_is_written_at_the_end_or_its_loss_is_told() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    for is_room in [true, false] {
        let disk = SmallDisk::new("64k");
        let mut mount = ground.mount(disk.path()).start();
        ground.other.put("key", "old");
        disk.fill();
        lose(&mount, "key", "the loser");
        assert_eq!(kept(&mount), ["memory"]);
        if is_room {
            disk.make_room();
            mount.terminate();
            assert_eq!(rescues::of_key(disk.path(), "key"), ["the loser"]);
            continue;
        }
        mount.signal(rustix::process::Signal::TERM);
        let mut status = None;
        wait::until("the daemon ends", wait::SOON, || {
            status = mount.ended();
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(1));
        let log = mount.log();
        assert!(
            log.contains("it is lost") && log.contains("key=\"key\""),
            "{log}"
        );
        assert!(
            log.contains("1 rescues had no room in the state directory"),
            "{log}"
        );
        disk.make_room();
        assert_eq!(rescues::of(disk.path()), []);
    }
}

/// A draft that fails again and again has one rescue: the newest that could be kept.
#[test]
fn the_older_rescue_of_a_draft_goes_when_the_newer_one_is_kept() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    for memory in ["0", "64K"] {
        let disk = SmallDisk::new("64k");
        let mount = ground
            .mount(disk.path())
            .arg(format!("--rescue-memory={memory}"));
        // A value that the store does not take any more.
        let proxy = crate::world::proxy::Proxy::to(&ground.bucket.endpoint);
        let mount = mount.through(&proxy).start();
        ground.other.put("key", "old");
        let put = crate::world::proxy::When::op(crate::world::proxy::Op::Put).key("key");
        let denied = crate::world::proxy::Fault::Answer(403, "AccessDenied");
        proxy.inject(put, denied);
        let go = disk
            .path()
            .parent()
            .unwrap()
            .join(format!("{}.go", disk.path().file_name().unwrap().display()));
        let script = format!(
            "import os, time
def save(bytes):
    os.pwrite(f, bytes, 0)
    try: os.fsync(f); print('saved', flush=True)
    except OSError as error: print(error.errno, flush=True)
f = os.open('{}/key', os.O_RDWR | os.O_TRUNC)
save(b'1' * 5000); save(b'2' * 5000)
while not os.path.exists({go:?}): time.sleep(0.01)
save(b'3' * 5000); save(b'4' * 5000)",
            mount.path().display()
        );
        let running = Script::python(&script).start();
        wait::until("it was refused twice", wait::SOON, || {
            running.stdout_so_far().lines().count() == 2
        });
        assert_eq!(rescues::of_key(disk.path(), "key"), ["2".repeat(5000)]);
        disk.fill();
        fs::write(&go, "").unwrap();
        let out = running.finish().ok();
        fs::remove_file(&go).unwrap();
        assert_eq!(out.stdout, "13\n13\n13\n13\n");
        // There was no room for a second one.
        assert_eq!(
            rescues::of_key(disk.path(), "key"),
            ["2".repeat(5000)],
            "{memory}"
        );
        proxy.heal();
        disk.make_room();
        let newest = match memory {
            "0" => "2",
            _ => "4",
        };
        wait::until("nothing waits any more", wait::SOON, || {
            status(&mount)["rescues_in_memory"] == 0
        });
        assert_eq!(rescues::of_key(disk.path(), "key"), [newest.repeat(5000)]);
        mount.terminate();
    }
}

#[test]
fn a_full_disk_takes_no_scratch_file_that_was_there() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("128k");
    let mount = ground.mount(disk.path()).start();
    ground.other.put("key", "v".repeat(20_000));
    fs::write(mount.file("key~"), "an older backup").unwrap();
    fs::write(mount.file("other~"), "moved").unwrap();
    disk.fill();
    assert_eq!(attempt(mount.path(), "os.rename('key', 'key~')"), "ENOSPC");
    assert_eq!(
        attempt(mount.path(), "os.rename('other~', 'key~')"),
        "ENOSPC"
    );
    let text = |name| fs::read_to_string(mount.file(name)).unwrap();
    assert_eq!(
        (text("key~"), text("other~")),
        ("an older backup".into(), "moved".into())
    );
    disk.make_room();
    assert_eq!(attempt(mount.path(), "os.rename('other~', 'key~')"), "ok");
    assert_eq!(attempt(mount.path(), "os.rename('key', 'key~')"), "ok");
    assert_eq!(text("key~").len(), 20_000);
    mount.unmount();
}

#[test]
fn a_half_of_what_had_no_room_is_no_rescue_at_the_end_either() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("2m");
    let mount = ground.mount(disk.path()).arg("--draft-memory=64K").start();
    let script = "import os, time
f = os.open('half', os.O_WRONLY | os.O_CREAT)
try:
    while True: os.write(f, b'z' * 65536)
except OSError as error: print(error.errno, flush=True)
time.sleep(60)";
    let running = Script::python(script).within(mount.path()).start();
    wait::until("there is no room", wait::SOON, || {
        running.stdout_so_far() == "28\n"
    });
    mount.terminate();
    running.kill();
    assert_eq!(rescues::of(disk.path()), []);
    assert_eq!(ground.other.keys(), Vec::<String>::new());
}
