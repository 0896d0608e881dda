//! The times of files (V5), on stores whose clock is right, ahead or behind, and which tell whole seconds
//! only: `make` and its like compare them with each other and with now.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use hyper::http::response::Parts;

use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, When};
use crate::world::report;
use crate::world::wait;

/// Stores whose clock differs from ours by so many seconds.
const CLOCKS: [i64; 5] = [0, 1, -1, 3600, -3600];

/// A mount of a store with such a clock.
fn with_clock(offset: i64, arguments: &[&str]) -> Result<Counted, String> {
    let ground = Counted::mount(|mount| mount.flat().args(arguments))?;
    let other_clock = Fault::edit(move |head, body| tell(offset, head, body));
    ground.proxy.inject(When::any(), other_clock);
    Ok(ground)
}

/// Lets an answer tell whole seconds of another clock.
fn tell(offset: i64, head: &mut Parts, body: &mut Bytes) {
    if let Some(told) = head.headers.get("last-modified") {
        let moved = moved(told.to_str().unwrap(), DateTimeFormat::HttpDate, offset);
        head.headers.insert("last-modified", moved.parse().unwrap());
    }
    let (begin, end) = ("<LastModified>", "</LastModified>");
    let Some(text) = std::str::from_utf8(body)
        .ok()
        .filter(|text| text.contains(begin))
    else {
        return;
    };
    let mut parts = text.split(begin);
    let mut edited = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once(end).unwrap();
        let time = moved(time, DateTimeFormat::DateTime, offset);
        edited.push_str(&format!("{begin}{time}{end}{rest}"));
    }
    *body = Bytes::from(edited);
}

fn moved(time: &str, format: DateTimeFormat, offset: i64) -> String {
    let told = DateTime::from_str(time, format).unwrap();
    DateTime::from_secs(told.secs() + offset)
        .fmt(format)
        .unwrap()
}

fn mtime(path: &std::path::Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

const MAKEFILE: &str = "\
last: out\n\t@tr a-z A-Z < out > last\n\t@echo built last\n\
out: in\n\t@cp in out\n\t@echo built out\n";

/// 50 times: something is written, `make` builds, and `make` finds nothing to do.
#[test]
fn make_neither_warns_of_clocks_nor_builds_anything_twice() {
    let mut table =
        String::from("clock of the store  rounds  built  needlessly  missed  warnings\n");
    for offset in CLOCKS {
        let ground = or_skip!(with_clock(offset, &[]));
        fs::write(ground.mount.file("Makefile"), MAKEFILE).unwrap();
        let script = "for n in $(seq 50); do echo round $n > in; echo = first; make 2>&1; \
            echo = second; make 2>&1; cat last; done";
        let said = ground.run(Script::bash(script)).ok().stdout;
        let (mut built, mut needless, mut warnings, mut results) = (0, 0, 0, 0);
        let mut is_second = false;
        for line in said.lines() {
            match line {
                "= first" => is_second = false,
                "= second" => is_second = true,
                "built out" | "built last" if is_second => needless += 1,
                "built out" | "built last" => built += 1,
                _ if line.contains("up to date") => {}
                _ if line.starts_with("ROUND ") => results += 1,
                _ => warnings += 1,
            }
        }
        let missed = 100 - built;
        table.push_str(&format!(
            "{offset:>+16} s {results:>8} {built:>6} {needless:>11} {missed:>7} {warnings:>9}\n"
        ));
        assert_eq!(
            (results, built, needless, warnings),
            (50, 100, 0, 0),
            "{offset}:\n{said}"
        );
        for n in 1..=50 {
            assert!(said.contains(&format!("ROUND {n}\n")), "{offset}: {n}");
        }
    }
    println!("{table}");
    report::write("make", &table);
}

/// What another machine has just saved, seen at once: within its second, and by a clock that is ahead.
#[test]
fn no_version_shows_a_moment_after_this_mount_saw_it_first() {
    for offset in CLOCKS {
        let ground = or_skip!(with_clock(offset, &["--ttl=0"]));
        let mut seen = BTreeMap::new();
        for n in 0..20 {
            ground.other.put("key", format!("version {n}"));
            ground.other.put(&format!("dir/{n}"), "value");
            let time = mtime(&ground.mount.file("key"));
            assert!(time <= SystemTime::now(), "{offset}, {n}: {time:?}");
            // It is looked at again, and listed.
            assert_eq!(mtime(&ground.mount.file("key")), time, "{offset}, {n}");
            assert_eq!(seen.insert(time, n), None, "{offset}, {n}");
            for entry in fs::read_dir(ground.mount.file("dir")).unwrap() {
                let listed = entry.unwrap().metadata().unwrap().modified().unwrap();
                assert!(listed <= SystemTime::now(), "{offset}, {n}: {listed:?}");
            }
        }
        let future = "touch /tmp/now.$$; find . -type f -newer /tmp/now.$$; rm /tmp/now.$$";
        let found = ground.run(Script::bash(future)).ok().stdout;
        assert_eq!(found, "", "{offset}");
    }
}

/// However it saves, whichever file is looked at first, and whatever the store's clock says.
#[test]
fn the_saves_of_one_mount_show_their_order() {
    let ways = [
        "echo value > NAME",
        "echo value >> NAME",
        "cp first NAME",
        "echo value > NAME.tmp; mv NAME.tmp NAME",
        "echo value > NAME~; mv NAME~ NAME",
        "cp first NAME; sed -i s/value/other/ NAME",
        "(set -C; : > NAME)",
        "cp first NAME; python3 -c 'import os; os.setxattr(\"NAME\", \"user.meta.a\", b\"b\")'",
        "python3 -c 'import os; f = open(\"NAME\", \"w\"); f.write(\"v\"); f.flush(); os.fsync(f)'",
        "dd if=first of=NAME conv=fsync status=none",
    ];
    for offset in CLOCKS {
        let ground = or_skip!(with_clock(offset, &["--ttl=0"]));
        fs::write(ground.mount.file("first"), "value\n").unwrap();
        let names: Vec<_> = (0..30).map(|n| format!("file{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            let way = ways[n % ways.len()].replace("NAME", name);
            ground.run(Script::bash(&way)).ok();
        }
        // The last one first, and then those between.
        let look = |names: &[String]| -> BTreeMap<String, SystemTime> {
            let of = |name: &String| (name.clone(), mtime(&ground.mount.file(name)));
            names.iter().rev().step_by(2).chain(names).map(of).collect()
        };
        let times = look(&names);
        let shown: Vec<_> = names.iter().map(|name| times[name]).collect();
        assert!(
            shown.is_sorted_by(|one, two| one < two),
            "{offset}: {shown:?}"
        );
        assert!(*shown.last().unwrap() <= SystemTime::now(), "{offset}");
        assert_eq!(look(&names), times, "{offset}");
        let newer = "for n in $(seq 29); do [ file$n -nt file$((n-1)) ] || echo file$n; done";
        assert_eq!(ground.run(Script::bash(newer)).ok().stdout, "", "{offset}");
    }
}

/// Its seconds are those of the store, where that is possible: other machines see them, too.
#[test]
fn a_save_shows_the_second_that_the_store_tells() {
    for offset in [0, -1, -3600] {
        let ground = or_skip!(with_clock(offset, &["--ttl=0"]));
        for n in 0..10 {
            fs::write(ground.mount.file("key"), format!("version {n}")).unwrap();
            let shown = fs::metadata(ground.mount.file("key")).unwrap().mtime();
            let told = ground.other.head("key").unwrap().modified + offset;
            assert_eq!(shown, told, "{offset}, {n}");
        }
    }
}

/// `cp -u` and `rsync -u` copy what is newer than its copy, and nothing twice.
#[test]
fn what_was_copied_once_is_not_newer_than_its_copy() {
    for offset in CLOCKS {
        let ground = or_skip!(with_clock(offset, &[]));
        let script = "for n in $(seq 10); do echo $n > from; cp -uv from to; cp -uv from to; \
            cmp from to; done";
        let said = ground.run(Script::bash(script)).ok().stdout;
        assert_eq!(said.lines().count(), 10, "{offset}:\n{said}");
    }
}

/// A version that is old keeps its time in another mount, which saw none of all this.
#[test]
fn a_version_of_the_past_has_the_same_time_on_every_mount() {
    let ground = or_skip!(with_clock(0, &["--ttl=0"]));
    ground.other.put("key", "value");
    // Its second must be over.
    let told = ground.other.head("key").unwrap().modified;
    let over = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(told).unwrap() + 1);
    wait::until("the second is over", wait::SOON, || {
        SystemTime::now() > over
    });
    let other = crate::world::mounts::Mount::of(&ground.bucket)
        .flat()
        .start();
    assert_eq!(mtime(&ground.mount.file("key")), mtime(&other.file("key")));
}
