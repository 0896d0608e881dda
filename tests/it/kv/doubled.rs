//! The commands where something on the way sends each PUT and each DELETE twice, and passes on the
//! second answer (W6): every one does its work once, and says so.

use super::{Desk, fails};
use crate::world::proxy::{Fault, When};
use crate::world::report;

fn doubled() -> Result<Desk, String> {
    let desk = Desk::new()?;
    desk.proxy.inject(When::write(), Fault::ForwardTwice);
    Ok(desk)
}

/// What was said of a number of successes.
fn told(what: &str, counts: &str) {
    let line = format!("every write sent twice, {what}: {counts}");
    println!("{line}");
    report::append_line("doubled", &line);
}

#[test]
fn twelve_updates_count_to_twelve() {
    const EACH: usize = 12;
    let desk = or_skip!(doubled());
    let text = format!(
        "for i in $(seq {EACH}); do etagfs update $S/counter -- sh -c 'read n; echo $((n + 1))' || exit; done"
    );
    desk.says(&text);
    assert_eq!(desk.other.text(&desk.object("counter")), "12\n");
    // And three at the same time.
    let running: Vec<_> = (0..3).map(|_| desk.script(&text).start()).collect();
    for update in running {
        update.finish().ok();
    }
    let count = desk.other.text(&desk.object("counter"));
    assert_eq!(count, format!("{}\n", 4 * EACH));
    let all = 4 * EACH;
    told(
        "etagfs update",
        &format!("{all} done, counter {}", count.trim()),
    );
}

#[test]
fn every_line_that_append_added_is_there_once() {
    const EACH: usize = 10;
    let desk = or_skip!(doubled());
    let text = |who: usize| {
        format!("for i in $(seq {EACH}); do echo {who}-$i | etagfs append $S/log || exit; done")
    };
    let running: Vec<_> = (0..3).map(|who| desk.script(&text(who)).start()).collect();
    for append in running {
        append.finish().ok();
    }
    let log = desk.other.text(&desk.object("log"));
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    let count = lines.len();
    lines.dedup();
    assert_eq!((count, lines.len()), (3 * EACH, 3 * EACH), "{log}");
    told(
        "etagfs append",
        &format!("{} done, {count} lines", 3 * EACH),
    );
}

#[test]
fn a_log_of_konserve_has_each_element_once() {
    let desk = or_skip!(doubled());
    let log = desk.says(
        "S=$B/$(etagfs stores create $B --layout konserve)
        for i in 1 2 3 4 5; do echo $i | etagfs append $S/:log || exit; done
        etagfs log $S/:log",
    );
    assert_eq!(log, "1\n2\n3\n4\n5\n");
    let value = desk.says(
        "S=$B/$(etagfs stores create $B --layout konserve)
        echo 1 | etagfs create $S/:n > /dev/null
        for i in 1 2 3; do etagfs update $S/:n -- sh -c 'read n; echo $((n + 1))' || exit; done
        etagfs get $S/:n
        etagfs rm $S/:n
        etagfs stores rm $B $(basename $S)",
    );
    assert_eq!(value.trim(), "4");
}

#[test]
fn one_of_several_creates_is_told_that_it_made_the_key() {
    let desk = or_skip!(doubled());
    for round in 0..6 {
        let create = format!("echo $$ | etagfs create $S/lock-{round}");
        let running: Vec<_> = (0..3).map(|_| desk.script(&create).start()).collect();
        let ended: Vec<_> = running.into_iter().map(|one| one.finish()).collect();
        let made = ended.iter().filter(|out| out.code == Some(0)).count();
        let refused = ended.iter().filter(|out| out.code == Some(75)).count();
        assert_eq!((made, refused), (1, 2), "{ended:#?}");
    }
    told("etagfs create by three", "6 keys, 6 makers");
}

#[test]
fn what_every_command_did_it_says() {
    let desk = or_skip!(doubled());
    for script in [
        "echo 1 | etagfs create $S/a",
        "echo 2 | etagfs put $S/a",
        "etag=$(etagfs put $S/a <<< 3); etagfs put --if-match \"$etag\" $S/a <<< 4",
        "etagfs cp $S/a $S/b",
        "etagfs mv $S/b $S/c",
        "printf '%s\\n' '{\"key\":\"d\",\"value\":\"1\"}' '{\"key\":\"e\",\"value\":\"2\"}' | etagfs mput --in $S",
        "etagfs mget --in $S d e | etagfs mput --if-unchanged --in $S",
        "etagfs mget --in $S d | etagfs mrm --if-unchanged --in $S",
        "etagfs mrm --in $S e",
        "etagfs rm $S/a",
        "etag=$(etagfs stat --json $S/c | jq -r .etag); etagfs rm --if-match \"$etag\" $S/c",
        "etagfs stores rm $B $(etagfs stores create $B)",
    ] {
        let out = desk.run(&format!("set -e -o pipefail; {script}")).ok();
        assert_eq!(out.stderr, "", "{out:#?}");
        assert!(!out.stdout.contains("conflict"), "{out:#?}");
    }
    assert_eq!(desk.other.keys(), [desk.object("")]);
    // What is refused is refused all the same.
    desk.other.put(&desk.object("key"), "1");
    let old = desk.other.head(&desk.object("key")).unwrap().etag;
    desk.other.put(&desk.object("key"), "2");
    for script in [
        "echo x | etagfs create $S/key".to_owned(),
        format!("echo x | etagfs put --if-match '{old}' $S/key"),
        format!("etagfs rm --if-match '{old}' $S/key"),
    ] {
        fails(&desk.run(&script), 75, &["/key"]);
    }
    assert_eq!(desk.other.text(&desk.object("key")), "2");
}
