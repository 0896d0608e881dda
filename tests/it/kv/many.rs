//! `mget`, `mput`, `mrm`: many keys, one line for each, in order.

use serde_json::Value as Json;

use super::{Desk, fails};
use crate::world::procs::Output;
use crate::world::proxy::{Fault, Gate, Op, When};

fn lines(out: &Output) -> Vec<Json> {
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    out.stdout.lines().map(parse).collect()
}

fn each<'a>(lines: &'a [Json], field: &str) -> Vec<&'a str> {
    lines
        .iter()
        .map(|line| line[field].as_str().unwrap_or("-"))
        .collect()
}

#[test]
fn mget_keeps_the_order_and_tells_of_absent_keys() {
    let desk = or_skip!(Desk::new());
    for key in ["a", "b", "c"] {
        desk.other.put(&desk.object(key), key.to_uppercase());
    }
    // The first answer comes last.
    let gate = Gate::new();
    let first = When::op(Op::Get).key(&desk.object("c")).once();
    desk.proxy.inject(first, Fault::HoldRequest(gate.clone()));
    let running = desk.script("etagfs mget --in $S c no a b").start();
    gate.wait_for(1);
    gate.open();
    let out = running.finish().ok();
    let found = lines(&out);
    assert_eq!(each(&found, "key"), ["c", "no", "a", "b"]);
    assert_eq!(
        each(&found, "status"),
        ["found", "absent", "found", "found"]
    );
    assert_eq!(each(&found, "value"), ["C", "-", "A", "B"]);
    assert_eq!(
        found[2]["etag"],
        desk.other.head(&desk.object("a")).unwrap().etag
    );
    let out = desk.run("printf 'b\\na\\n' | etagfs mget --in $S").ok();
    assert_eq!(each(&lines(&out), "value"), ["B", "A"]);
    assert_eq!(desk.says("etagfs mget --in $S < /dev/null"), "");
    let urls = desk.run("etagfs mget $S/a $S/b").ok();
    assert_eq!(each(&lines(&urls), "value"), ["A", "B"]);
}

#[test]
fn any_number_of_keys_is_read_written_and_deleted() {
    let desk = or_skip!(Desk::new());
    desk.says(
        "seq -f 'k%04g' 1 300 > keys
         jq -Rc '{key: ., value: .}' keys | etagfs mput --in $S > saved
         etagfs mget --in $S < keys > found
         jq -r .value found | cmp - keys && jq -r .key saved | cmp - keys
         etagfs mrm --in $S < keys | jq -r .status | sort | uniq -c | tr -d ' ' | grep -x 300removed > /dev/null
         rm keys saved found",
    );
    assert_eq!(desk.other.keys(), [desk.object("")]);
}

#[test]
fn what_mget_prints_can_be_changed_and_put_back_under_its_versions() {
    let desk = or_skip!(Desk::new());
    desk.says("for k in a b c; do printf $k | etagfs put $S/$k --content-type text/x --meta k=$k; done >/dev/null");
    let change = "etagfs mget --in $S a b new > lines
        [ -z \"$RACE\" ] || printf theirs | etagfs put $S/b > /dev/null
        jq -c '.value |= ((. // \"\") + \"!\")' lines | etagfs mput --in $S --if-unchanged; code=$?; rm lines; exit $code";
    let out = desk.run(change).ok();
    assert_eq!(each(&lines(&out), "status"), ["saved"; 3]);
    let found = desk.other.get(&desk.object("a")).unwrap();
    assert_eq!(
        (found.text(), found.content_type.as_deref()),
        ("a!", Some("text/x"))
    );
    assert_eq!(found.metadata["k"], "a");
    assert_eq!(desk.other.text(&desk.object("new")), "!");
    let out = desk.script(change).env("RACE", "yes").run();
    fails(&out, 75, &["at 1 keys", "\"conflict\""]);
    assert_eq!(each(&lines(&out), "status"), ["saved", "conflict", "saved"]);
    assert_eq!(desk.other.text(&desk.object("b")), "theirs");
    let out = desk.run("etagfs mget --in $S a b | tee old | sed s/etag/x/ > /dev/null; printf z | etagfs put $S/b > /dev/null; etagfs mrm --in $S --if-unchanged < old; code=$?; rm old; exit $code");
    assert_eq!(
        (out.code, each(&lines(&out), "status")),
        (Some(75), vec!["removed", "conflict"])
    );
}

#[test]
fn what_changes_keys_goes_on_when_nobody_reads_of_it_any_more() {
    let desk = or_skip!(Desk::new());
    let script = "set -o pipefail
        seq 2000 | jq -Rc '{key: (\"k\" + .), value: \"\"}' | etagfs mput --in $S --create | head -n 1 > /dev/null
        etagfs ls $S | wc -l
        etagfs ls $S | etagfs mrm --in $S | head -n 1 > /dev/null
        etagfs ls $S | wc -l";
    assert_eq!(desk.says(script), "2000\n0\n");
}

#[test]
fn a_key_may_end_with_a_carriage_return() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "theirs");
    desk.other.put(&desk.object("a\r"), "mine");
    desk.says("etagfs ls $S | tail -n 1 | etagfs mrm --in $S > /dev/null");
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("a")]);
}

#[test]
fn an_ordered_mput_stops_at_the_first_failure() {
    let desk = or_skip!(Desk::new());
    let input = r#"{"key":"part-1","value":"1"}
{"key":"part-2","value":"2","if_match":"other"}
{"key":"pointer","value":"part-2"}"#;
    let put = |options: &str| {
        let script = format!("etagfs mput --in $S {options} <<'END'\n{input}\nEND");
        desk.run(&script)
    };
    let out = put("--ordered");
    fails(&out, 75, &["at 1 keys"]);
    assert_eq!(
        each(&lines(&out), "status"),
        ["saved", "conflict", "skipped"]
    );
    assert_eq!(desk.other.get(&desk.object("pointer")), None);
    let out = put("");
    assert_eq!(each(&lines(&out), "status"), ["saved", "conflict", "saved"]);
    let out = put("--create");
    assert_eq!(
        each(&lines(&out), "status"),
        ["conflict", "saved", "conflict"]
    );
}

#[test]
fn a_bad_line_is_a_failure_of_its_own() {
    let desk = or_skip!(Desk::new());
    let out = desk.run("printf '%s\\n' nonsense '{\"key\":\"a\"}' '' '{\"key\":\"b\",\"value\":\"1\"}' | etagfs mput --in $S");
    fails(&out, 1, &["2 keys failed", "\"failed\""]);
    let found = lines(&out);
    assert_eq!(each(&found, "status"), ["failed", "failed", "saved"]);
    assert!(found[0]["message"].as_str().unwrap().contains("nonsense"));
    assert!(found[1]["message"].as_str().unwrap().contains("value"));
}

#[test]
fn no_more_keys_are_worked_on_at_once_than_allowed() {
    let desk = or_skip!(Desk::new());
    for key in ["a", "b", "c", "d"] {
        desk.other.put(&desk.object(key), key);
    }
    let gate = Gate::new();
    desk.proxy
        .inject(When::op(Op::Get), Fault::HoldRequest(gate.clone()));
    let running = desk
        .script("etagfs mget --in $S --at-once 2 a b c d")
        .start();
    gate.wait_for(2);
    assert_eq!(gate.arrived(), 2);
    gate.open();
    assert_eq!(running.finish().ok().stdout.lines().count(), 4);
}
