//! `etagfs top`: a live view in a terminal that is left as it was found, and one look for a pipe.

use std::fs;
use std::path::Path;

use super::{ground, lose_a_race, sample};
use crate::editors::terminal::{ENDED, Terminal};
use crate::world::mounts::Mounted;
use crate::world::procs::{Output, Script};
use crate::world::wait;

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

fn top(dir: &Path, options: &str) -> Output {
    let command = format!("'{ETAGFS}' top -n 0.2 {options} '{}'", dir.display());
    Script::bash(&command).run()
}

/// Waits until the mount has heard of the last closes: the kernel tells of them without waiting for anybody,
/// and they are operations.
fn all_is_closed(mount: &Mounted) {
    wait::until("all files are closed", wait::SOON, || {
        sample(mount, "etagfs_open_handles{kind=\"writer\"}") == 0.0
    });
}

#[test]
fn a_pipe_gets_one_look_as_text() {
    let ground = or_skip!(ground());
    lose_a_race(&ground, "a key");
    all_is_closed(&ground.mount);
    let out = top(ground.mount.path(), "").ok();
    assert!(
        out.stdout.contains(&format!("s3://{}", ground.bucket.name)),
        "{out:#?}"
    );
    assert!(out.stdout.contains("conflicts 1"), "{out:#?}");
    let key = out.stdout.lines().find(|line| line.ends_with("  a key"));
    let columns: Vec<_> = key.unwrap().split_whitespace().collect();
    assert!(columns[0].parse::<u64>().unwrap() >= 4, "{out:#?}");
    // The fsync, and the close after it.
    assert_eq!(columns[2], "2", "{out:#?}");
    // That it looked is not what happened.
    assert!(out.stdout.contains("waiting 0   errors: none"), "{out:#?}");
    assert!(!out.stdout.contains('\x1b'));
}

#[test]
fn json_has_the_numbers() {
    let ground = or_skip!(ground());
    lose_a_race(&ground, "key");
    fs::write(ground.mount.file("other"), "12345").unwrap();
    all_is_closed(&ground.mount);
    let out = top(ground.mount.path(), "--json").ok();
    let view: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(view["source"], format!("s3://{}", ground.bucket.name));
    let saves = view["saves"].as_array().unwrap();
    let total = |name: &str| {
        let count = saves.iter().find(|count| count["name"] == name).unwrap();
        count["total"].as_f64().unwrap()
    };
    assert_eq!(
        (total("saves"), total("conflicts"), total("rescues")),
        (1.0, 1.0, 1.0)
    );
    let keys = view["keys"].as_array().unwrap();
    let other = keys.iter().find(|heat| heat["key"] == "other").unwrap();
    assert_eq!(
        (&other["bytes"], &other["errors"]),
        (&5.into(), &1.into()),
        "{other}"
    );
    // What it does itself is all that happened meanwhile.
    for nothing in ["operations", "requests"] {
        assert!(view[nothing].as_array().unwrap().is_empty(), "{view:#}");
    }
}

#[test]
fn a_directory_in_the_mount_will_do_and_one_elsewhere_will_not() {
    let ground = or_skip!(ground());
    ground.other.put("dir/key", "x");
    top(&ground.mount.file("dir"), "--once").ok();
    let elsewhere = tempfile::tempdir().unwrap();
    let out = top(elsewhere.path(), "--once");
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stderr.contains("no mount of etagfs"), "{out:#?}");
}

fn has_tmux() -> Result<(), String> {
    match Script::bash("tmux -V").run().code {
        Some(0) => Ok(()),
        _ => Err("tmux is not installed: run tests/setup".to_owned()),
    }
}

#[test]
fn a_terminal_is_drawn_on_and_left_as_it_was_found() {
    or_skip!(has_tmux());
    let ground = or_skip!(ground());
    let terminal = Terminal::start();
    let command = format!("'{ETAGFS}' top -n 0.1 '{}'", ground.mount.path().display());
    let shows = |what: &str| {
        wait::until(what, wait::SOON, || terminal.screen().contains(what));
    };
    for way_out in ["q", "C-c"] {
        terminal.run(&command, Path::new("/"));
        shows("OPERATIONS");
        let key = format!("written-before-{way_out}");
        fs::write(ground.mount.file(&key), "1").unwrap();
        shows(&key);
        // It draws anew in the size that there is.
        terminal.resize(50, 16);
        wait::until("it fits", wait::SOON, || {
            let screen = terminal.screen();
            screen.contains("OPERATIONS") && screen.lines().all(|line| line.chars().count() <= 50)
        });
        terminal.resize(120, 30);
        shows("HOTTEST KEYS");
        terminal.press(way_out);
        shows(&format!("{ENDED}0"));
        assert!(
            !terminal.screen().contains("OPERATIONS"),
            "{}",
            terminal.screen()
        );
        // Lines are lines again, and what is typed is shown: by the terminal, and then by cat.
        terminal.text("hello");
        terminal.press("Enter");
        wait::until("an echo", wait::SOON, || {
            terminal.screen().matches("hello").count() == 2
        });
    }
}

#[test]
fn it_does_not_hold_up_who_unmounts_and_then_ends() {
    or_skip!(has_tmux());
    let ground = or_skip!(ground());
    let terminal = Terminal::start();
    let command = format!("'{ETAGFS}' top -n 0.1 '{}'", ground.mount.path().display());
    terminal.run(&command, Path::new("/"));
    wait::until("it looks", wait::SOON, || {
        terminal.screen().contains("OPERATIONS")
    });
    // It may be just looking.
    let point = ground.mount.path().display().to_string();
    wait::until("unmounted", wait::SOON, || {
        let out = Script::bash(&format!("'{ETAGFS}' umount '{point}'")).run();
        out.code == Some(0)
    });
    wait::until("it ended", wait::SOON, || {
        terminal.screen().contains(&format!("{ENDED}1"))
    });
    assert!(
        terminal.screen().contains("does not answer"),
        "{}",
        terminal.screen()
    );
}
