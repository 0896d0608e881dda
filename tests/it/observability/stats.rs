//! `.etagfs/stats` and `.etagfs/failures`: what was counted is what happened.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use super::{ground, lose_a_race, own, sample};
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Op, When};
use crate::world::wait;

fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn messages(ground: &Counted, request: &str) -> usize {
    let series = series("etagfs_store_messages_total", &[("request", request)]);
    sample(&ground.mount, &series) as usize
}

fn requests(ground: &Counted, request: &str, outcome: &str) -> usize {
    let labels = [("outcome", outcome), ("request", request)];
    sample(
        &ground.mount,
        &series("etagfs_store_requests_total", &labels),
    ) as usize
}

const KINDS: [(&str, Op); 5] = [
    ("get", Op::Get),
    ("head", Op::Head),
    ("put", Op::Put),
    ("delete", Op::Delete),
    ("list", Op::List),
];

#[test]
fn every_message_that_the_store_saw_is_counted_also_those_sent_again() {
    let ground = or_skip!(ground());
    ground.other.put("key", "value");
    let retried = When::op(Op::Get).key("key").once();
    ground.proxy.inject(retried, Fault::slow_down());
    let lost = When::op(Op::Put).key("new").once();
    ground.proxy.inject(lost, Fault::LoseReply);
    let throttled = When::op(Op::Put).key("slow").once();
    ground.proxy.inject(throttled, Fault::slow_down());
    // The mount's own probe asked too.
    let before = (requests(&ground, "get", "ok"), messages(&ground, "get"));
    ground
        .run(Script::bash(
            "cat key; echo 1 > new; echo 2 > slow; rm key; ls",
        ))
        .ok();
    ground.proxy.settle();
    let seen = ground.proxy.log().counts();
    for (request, op) in KINDS {
        assert_eq!(
            messages(&ground, request),
            seen.of(op),
            "{request}: {seen:?}"
        );
    }
    // The SDK sent a read again, which is one request; `settle` made the writes requests of their own.
    let answered = |status| {
        let labels = [("request", "get"), ("status", status)];
        sample(
            &ground.mount,
            &series("etagfs_store_answers_total", &labels),
        )
    };
    let after = (requests(&ground, "get", "ok"), messages(&ground, "get"));
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 2));
    assert_eq!(answered("503"), 1.0);
    assert_eq!(requests(&ground, "put", "unknown"), 1);
    assert_eq!(requests(&ground, "put", "unreachable"), 1);
}

fn operations(ground: &Counted, op: &str, errno: &str) -> usize {
    let labels = [("errno", errno), ("op", op)];
    sample(&ground.mount, &series("etagfs_operations_total", &labels)) as usize
}

#[test]
fn operations_are_counted_by_the_errno_that_programs_got() {
    let ground = or_skip!(ground());
    lose_a_race(&ground, "key");
    assert!(fs::read(ground.mount.file("missing")).is_err());
    assert_eq!(fs::read(ground.mount.file("key")).unwrap(), b"theirs");
    assert_eq!(operations(&ground, "fsync", "EAGAIN"), 1);
    assert_eq!(operations(&ground, "lookup", "ENOENT"), 1);
    assert!(operations(&ground, "read", "OK") >= 1);
    let bytes = |op| {
        sample(
            &ground.mount,
            &series("etagfs_operation_bytes_total", &[("op", op)]),
        )
    };
    assert_eq!((bytes("write"), bytes("read") >= 6.0), (4.0, true));
    let count = "etagfs_operation_duration_seconds_count";
    assert_eq!(
        sample(&ground.mount, &series(count, &[("op", "fsync")])),
        1.0
    );
}

#[test]
fn conflicts_rescues_drafts_and_caches_are_counted() {
    let ground = or_skip!(ground());
    let value = |name: &str| sample(&ground.mount, name) as usize;
    lose_a_race(&ground, "key");
    assert_eq!(value("etagfs_conflicts_total"), 1);
    assert_eq!(value("etagfs_rescues_total"), 1);
    // The kernel tells of last closes without waiting for anybody.
    wait::until("the lost draft is closed", wait::SOON, || {
        value("etagfs_drafts") == 0
    });
    fs::write(ground.mount.file("new"), "12345").unwrap();
    assert_eq!(value("etagfs_saves_total"), 1);

    let mut draft = File::create(ground.mount.file("draft")).unwrap();
    draft.write_all(b"123").unwrap();
    assert_eq!(value("etagfs_drafts"), 1);
    assert_eq!(value("etagfs_draft_bytes"), 3);
    wait::until("all other writers are closed", wait::SOON, || {
        value(&series("etagfs_open_handles", &[("kind", "writer")])) == 1
    });
    drop(draft);

    let hits = || {
        let labels = [("cache", "values"), ("result", "hit")];
        value(&series("etagfs_cache_lookups_total", &labels))
    };
    let before = hits();
    assert_eq!(fs::read(ground.mount.file("new")).unwrap(), b"12345");
    assert_eq!(hits(), before + 1);
    assert!(value(&series("etagfs_cache_bytes", &[("cache", "values")])) >= 5);
}

#[test]
fn a_failed_request_is_remembered_with_the_id_that_the_server_gave_it() {
    let ground = or_skip!(ground());
    ground.other.put("key", "value");
    let denied = Fault::Edit(Arc::new(|head, body| {
        head.status = 403_u16.try_into().unwrap();
        head.headers
            .insert("x-amz-request-id", "REQ42".parse().unwrap());
        *body = b"<Error><Code>AccessDenied</Code></Error>"[..].into();
        head.headers.insert("content-length", body.len().into());
    }));
    ground.proxy.inject(When::op(Op::Get).key("key"), denied);
    assert!(fs::read(ground.mount.file("key")).is_err());
    let failures = own(&ground.mount, "failures");
    let failed: serde_json::Value = serde_json::from_str(failures.trim_end()).unwrap();
    assert_eq!(failed["request"], "get");
    assert_eq!(failed["object"], "key");
    assert_eq!(failed["outcome"], "denied");
    assert_eq!(failed["status"], 403);
    assert_eq!(failed["request_id"], "REQ42");
    // One line in the log, with the same.
    let log = ground.unmount().mount_log;
    let told: Vec<_> = log
        .lines()
        .filter(|line| line.contains("request failed"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains("WARN") && told[0].contains("request_id=\"REQ42\""),
        "{told:?}"
    );
}

/// The metrics that the table of the documentation has.
fn documented() -> BTreeSet<String> {
    let rows = include_str!("../../../docs/operations.md").lines();
    let names = rows
        .filter_map(|line| line.strip_prefix("| ")?.split('|').next())
        .flat_map(|cell| cell.split('`'));
    names
        .filter(|name| name.starts_with("etagfs_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_documentation_lists_every_metric_and_no_other() {
    let ground = or_skip!(ground());
    let text = own(&ground.mount, "stats");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<_> = types
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(documented(), shown);
}
