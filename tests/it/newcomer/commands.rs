//! What a person types for the first time: a bucket of other programs, a store as SOURCE, a variable with a
//! wrong name, a time that is none, a key that tries to command the terminal.

use std::fs;

use crate::world::cli;
use crate::world::mounts::{self, Mount};
use crate::world::procs::{Output, Script};
use crate::world::servers::{self, Bucket, Kind};

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

fn bucket() -> Result<Bucket, String> {
    Ok(servers::shared(Kind::Embedded)?.bucket())
}

fn script(bucket: &Bucket, text: &str) -> Script {
    let state = std::env::temp_dir();
    let script = cli::script(bucket, &state, text);
    script
        .env("B", format!("s3://{}", bucket.name))
        .env("STORE", STORE)
}

fn run(bucket: &Bucket, text: &str) -> Output {
    script(bucket, text).run()
}

#[test]
fn a_bucket_that_other_programs_fill_says_that_it_is_mounted_with_flat() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    let told = |of: &Bucket| {
        let mount = Mount::of(of).log_level("info").start();
        let stores = run(of, "etagfs stores ls $B").ok();
        let log = mount.unmount();
        [log, stores.stderr].map(|text| text.matches("--flat").count())
    };
    // An empty bucket is no such bucket.
    assert_eq!(told(&bucket), [0, 0]);
    for key in ["photos/1.jpg", "report.pdf"] {
        other.put(key, "x");
    }
    assert_eq!(told(&bucket), [1, 1]);
    // More names before the first store than one look shows.
    for n in 0..20 {
        other.put(&format!("!{n}"), "x");
    }
    assert_eq!(told(&bucket), [1, 1]);
    other.put(&format!("{STORE}/key"), "x");
    assert_eq!(told(&bucket), [0, 0]);
    assert_eq!(
        run(&bucket, "etagfs stores ls $B").ok().stdout,
        format!("{STORE}  plain\n")
    );
}

#[test]
fn a_store_in_source_is_what_is_mounted() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put(&format!("{STORE}/key"), "value");
    other.put(&format!("a/b/{STORE}/key"), "other value");
    for (path, value) in [
        (STORE.to_owned(), "value"),
        (format!("a/b/{STORE}/"), "other value"),
    ] {
        let mount = Mount::of(&bucket).prefix(&path).start();
        assert_eq!(fs::read_to_string(mount.file("key")).unwrap(), value);
        fs::write(mount.file("new"), "x").unwrap();
        let prefix = path.trim_end_matches('/');
        assert_eq!(other.text(&format!("{prefix}/new")), "x");
        mount.unmount();
    }
    let mount = Mount::of(&bucket).prefix(STORE).flat().start();
    assert_eq!(fs::read_to_string(mount.file("key")).unwrap(), "value");
    mount.unmount();
    let other_store = || STORE.replace('6', "7");
    for (path, option, code, told) in [
        (format!("{STORE}/key"), None, 2, "cause=\"key-in-source\""),
        (other_store(), None, 1, "cause=\"no-store\""),
        // It has no hint.
        (STORE.to_owned(), Some(other_store()), 2, "--store"),
    ] {
        let mount = Mount::of(&bucket).prefix(&path);
        let mount = match &option {
            Some(store) => mount.store(store),
            None => mount,
        };
        let failed = mount.try_start().unwrap_err();
        let status = failed.status.and_then(|status| status.code());
        assert_eq!(status, Some(code), "{}", failed.log);
        assert!(failed.log.contains(told), "{}", failed.log);
    }
}

#[test]
fn a_variable_that_no_option_has_is_an_error_that_names_the_nearest() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    for (wrong, right) in [
        ("ETAGFS_READONLY", "ETAGFS_READ_ONLY"),
        ("ETAGFS_LOG_LEVEL", ""),
        ("ETAGFS_DEADLIN", "ETAGFS_DEADLINE"),
    ] {
        let failed = Mount::of(&bucket)
            .env(wrong, "true")
            .try_start()
            .unwrap_err();
        assert_eq!(
            failed.status.and_then(|status| status.code()),
            Some(2),
            "{wrong}"
        );
        let log = &failed.log;
        assert!(log.contains(wrong) && log.contains(right), "{log}");
        let out = script(&bucket, "etagfs stores ls $B").env(wrong, "1").run();
        assert_eq!(out.code, Some(2), "{wrong}");
    }
    let mount = Mount::of(&bucket).env("ETAGFS_READ_ONLY", "true").start();
    assert!(fs::create_dir(mount.file(STORE)).is_err());
    mount.unmount();
}

#[test]
fn a_bad_value_names_the_variable_that_it_is_from() {
    let bucket = or_skip!(bucket());
    for (command, name, value) in [
        ("etagfs mount $B /nowhere", "ETAGFS_TTL", "soon"),
        ("etagfs mount $B /nowhere", "ETAGFS_READ_ONLY", "perhaps"),
        ("etagfs mount $B /nowhere", "ETAGFS_FILE_MODE", "999"),
        ("etagfs ls --flat $B", "ETAGFS_DEADLINE", "1e19"),
        ("etagfs mget --in $B x", "ETAGFS_AT_ONCE", "0"),
    ] {
        let out = script(&bucket, command).env(name, value).run();
        assert_eq!(out.code, Some(2), "{name}: {out:?}");
        assert!(out.stderr.contains(name), "{name}: {}", out.stderr);
    }
    // Not of a value that was typed.
    let out = script(&bucket, "etagfs ls --flat $B --deadline=x")
        .env("ETAGFS_DEADLINE", "5")
        .run();
    assert_eq!(
        (out.code, out.stderr.contains("ETAGFS_DEADLINE")),
        (Some(2), false),
        "{out:?}"
    );
}

#[test]
fn no_number_makes_a_command_panic() {
    let bucket = or_skip!(bucket());
    let options = [
        (
            "mount $B /nowhere",
            "--ttl --deadline --inline-limit --cache-size --draft-memory --shown-memory --append-retries --rescue-count --rescue-size --rescue-age --rescue-memory --uid --file-mode",
        ),
        ("mget --in $B x", "--at-once --deadline"),
        ("watch $B/x", "--interval --count --deadline"),
        ("update $B/x", "--timeout --retries --max-output"),
        ("presign $B/x", "--expires"),
        ("alive /nowhere", "--timeout"),
        ("top /nowhere", "--interval"),
    ];
    for (command, names) in options {
        for name in names.split(' ') {
            for value in [
                "1e19",
                "1e308",
                "18446744073709551615",
                "18446744073709551615G",
                "-1",
                "NaN",
                "",
            ] {
                let out = run(
                    &bucket,
                    &format!("exec timeout 5 etagfs {command} {name}={value} < /dev/null"),
                );
                let what = format!("{command} {name}={value}: {out:?}");
                assert!(
                    !out.stderr.contains("panic") && out.code != Some(101),
                    "{what}"
                );
                if value == "1e308" || value == "NaN" || value == "1e19" {
                    // A time without an end is a time to try.
                    assert!(out.code == Some(2) || name == "--timeout", "{what}");
                }
            }
        }
    }
}

#[test]
fn control_characters_of_keys_and_messages_do_not_reach_a_terminal() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    let key = "a\u{1b}[31mred\u{7}\u{9b}2Jb";
    other.put(&format!("{STORE}/{key}"), "value");
    for command in [
        "etagfs ls $B/$STORE",
        "etagfs ls -l $B/$STORE",
        "etagfs ls --json $B/$STORE",
        "etagfs stat $B/$STORE/\"$KEY\"",
        "etagfs get $B/$STORE/\"$KEY\".none",
        "etagfs get $B/none/\"$KEY\"",
        "etagfs mget --in $B/$STORE \"$KEY\"",
        "etagfs get --\"$KEY\" x",
        "etagfs get \"$KEY\"",
        "etagfs get x \"$KEY\"",
        "etagfs \"$KEY\"",
        "etagfs get --deadline=\"$KEY\" x",
        "etagfs mount \"$KEY\" /nowhere",
        "etagfs mount -o \"$KEY\" $B /nowhere",
        "etagfs mount $B /nowhere/\"$KEY\"",
        "etagfs top /nowhere/\"$KEY\"",
        "etagfs alive /nowhere/\"$KEY\"",
        "etagfs umount /nowhere/\"$KEY\"",
        "d=$(mktemp -d); mkdir $d/rescue; etagfs rescue show --state-dir=$d \"$KEY\"; rm -r $d",
        "etagfs stores rm $B \"$KEY\"",
    ] {
        let terminal = script(
            &bucket,
            &format!("script -qec '{command}' /dev/null < /dev/null"),
        );
        let out = terminal.env("KEY", key).env("TERM", "dumb").run();
        let shown = format!("{}{}", out.stdout, out.stderr);
        // These two write the word between quotes, as Rust does.
        let is_quoted = command.starts_with("etagfs mount \"") || command.contains("stores rm");
        let escaped = match is_quoted {
            true => "\\u{9b}2J",
            false => "\\u009b2J",
        };
        assert!(shown.contains(escaped), "{command}: {shown:?}");
        let raw = |char: char| char.is_control() && !"\r\n\t".contains(char);
        assert!(!shown.contains(raw), "{command}: {shown:?}");
    }
    // A pipe is for programs.
    assert_eq!(
        run(&bucket, "etagfs ls $B/$STORE").ok().stdout,
        format!("{key}\n")
    );
}
