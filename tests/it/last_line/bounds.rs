//! Rescues are bounded by the administrator alone, and never silently.

use std::fs;

use super::{Ground, lose, metric, wait};
use crate::world::mounts::Mounted;
use crate::world::rescues;

/// What is lost, one after the other.
const TEXTS: [&str; 4] = ["first", "second", "third", "fourth"];

fn lose_all(ground: &Ground, mount: &Mounted) {
    ground.other.put("key", "old");
    for text in TEXTS {
        lose(mount, "key", text);
    }
}

fn dropped(mount: &Mounted, bound: &str) -> u64 {
    metric(
        mount,
        &format!("etagfs_rescues_dropped_total{{bound=\"{bound}\"}}"),
    )
}

#[test]
fn nothing_is_dropped_unless_the_administrator_said_so() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    lose_all(&ground, &mount);
    assert_eq!(rescues::of_key(state.path(), "key"), TEXTS);
    for bound in ["count", "bytes", "age"] {
        assert_eq!(dropped(&mount, bound), 0);
    }
    mount.unmount();
}

#[test]
fn too_many_rescues_are_dropped_the_oldest_first_and_told() {
    let ground = or_skip!(Ground::new());
    for (option, bound, left) in [
        (
            ("--rescue-count=2", "ETAGFS_RESCUE_COUNT"),
            "count",
            &TEXTS[2..],
        ),
        (
            ("--rescue-size=12", "ETAGFS_RESCUE_SIZE"),
            "bytes",
            &TEXTS[2..],
        ),
        (
            ("--rescue-size=1", "ETAGFS_RESCUE_SIZE"),
            "bytes",
            &TEXTS[3..],
        ),
    ] {
        let (argument, variable) = option;
        let (_, value) = argument.split_once('=').unwrap();
        let fstab = argument.trim_start_matches('-').replace('-', "_");
        for way in ["argument", "variable", "fstab"] {
            let state = tempfile::tempdir().unwrap();
            // Those of another source are none of its business.
            let other = crate::world::servers::shared(crate::world::servers::Kind::Embedded);
            let other = other.unwrap().bucket();
            let theirs = Ground {
                other: other.client(),
                bucket: other,
            };
            let mount = theirs.mount(state.path()).start();
            theirs.other.put("theirs", "old");
            lose(&mount, "theirs", "of another mount");
            mount.unmount();

            let mount = ground.mount(state.path());
            let mount = match way {
                "argument" => mount.arg(argument),
                "variable" => mount.env(variable, value),
                _ => mount.arg("-o").arg(&fstab),
            };
            let mount = mount.start();
            lose_all(&ground, &mount);
            assert_eq!(
                rescues::of_key(state.path(), "key"),
                left,
                "{way} {argument}"
            );
            assert_eq!(rescues::of_key(state.path(), "theirs").len(), 1);
            assert_eq!(dropped(&mount, bound), (4 - left.len()) as u64);
            let log = mount.unmount();
            let told = log
                .lines()
                .filter(|line| line.contains("a rescue was dropped"));
            let told: Vec<_> = told.collect();
            assert_eq!(told.len(), 4 - left.len(), "{log}");
            assert!(
                told[0].contains("WARN") && told[0].contains("key=\"key\""),
                "{told:?}"
            );
        }
    }
}

#[test]
fn rescues_that_are_too_old_are_dropped_also_when_nothing_is_lost() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    lose_all(&ground, &mount);
    mount.unmount();
    // One is of last year.
    let oldest = &rescues::of(state.path())[0].id;
    let record = state.path().join(format!("rescue/{oldest}.json"));
    let text = fs::read_to_string(&record).unwrap();
    let year = &oldest[..4];
    let year_before = (year.parse::<u32>().unwrap() - 1).to_string();
    let text = text.replace(
        &format!("\"time\": \"{year}"),
        &format!("\"time\": \"{year_before}"),
    );
    fs::write(&record, text).unwrap();
    let mount = ground.mount(state.path()).arg("--rescue-age=30d").start();
    wait::until("it is dropped", wait::SOON, || dropped(&mount, "age") == 1);
    assert_eq!(rescues::of_key(state.path(), "key"), TEXTS[1..]);
    mount.unmount();
}
