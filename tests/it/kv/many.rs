//! `mget`, `mput`, `mrm`: many keys, one line for each, in order.

use std::fs;

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
    // Something was saved: not the code of what did not happen.
    fails(&out, 1, &["2 keys are done", "at 1 keys", "\"conflict\""]);
    assert_eq!(each(&lines(&out), "status"), ["saved", "conflict", "saved"]);
    assert_eq!(desk.other.text(&desk.object("b")), "theirs");
    let out = desk.run("etagfs mget --in $S a b | tee old | sed s/etag/x/ > /dev/null; printf z | etagfs put $S/b > /dev/null; etagfs mrm --in $S --if-unchanged < old; code=$?; rm old; exit $code");
    assert_eq!(
        (out.code, each(&lines(&out), "status")),
        (Some(1), vec!["removed", "conflict"])
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
    fails(&out, 1, &["1 keys are done", "at 1 keys"]);
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

#[test]
fn a_conflict_is_one_when_nothing_was_changed() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "1");
    let out = desk.run("echo '{\"key\":\"a\",\"value\":\"2\"}' | etagfs mput --create --in $S");
    fails(&out, 75, &["at 1 keys"]);
    // What was not there was not changed either.
    let gone = r#"(echo '{"key":"a","etag":"\"0\""}'; echo '{"key":"none"}') | etagfs mrm --if-unchanged --in $S"#;
    let out = desk.run(gone);
    assert_eq!(each(&lines(&out), "status"), ["conflict", "absent"]);
    fails(&out, 75, &["at 1 keys"]);
    // What was, is told.
    desk.other.put(&desk.object("b"), "1");
    let both = r#"(echo '{"key":"a","etag":"\"0\""}'; etagfs mget --in $S b) | etagfs mrm --if-unchanged --in $S"#;
    let out = desk.run(both);
    assert_eq!(each(&lines(&out), "status"), ["conflict", "removed"]);
    fails(&out, 1, &["1 keys are done"]);
}

#[test]
fn a_line_without_an_end_is_a_failure_and_not_the_end_of_memory() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("a"), "1");
    for script in [
        "(echo a; tr '\\0' x < /dev/zero) | etagfs mget --in $S",
        "(printf 'a\\0'; tr '\\0' x < /dev/zero) | etagfs mget --null --in $S",
        "(echo a; cat /dev/zero) | etagfs mget --in $S",
    ] {
        let out = desk.run(&format!("ulimit -v 4000000; {script}"));
        assert_eq!(each(&lines(&out), "status"), ["found", "failed"]);
        assert!(
            out.stdout.contains("line 2 is longer than 65536 bytes"),
            "{out:#?}"
        );
        assert_eq!(out.code, Some(1), "{out:#?}");
    }
    let object = "(echo '{\"key\":\"a\",\"value\":\"'; tr '\\0' x < /dev/zero) | tr -d '\n' | etagfs mput --in $S";
    let out = desk.run(object);
    assert!(out.stdout.contains("line 1 is longer than"), "{out:#?}");
    assert_eq!(desk.other.text(&desk.object("a")), "1");
}

#[test]
fn a_line_that_makes_no_sense_stops_no_other() {
    let desk = or_skip!(Desk::new());
    for key in ["a", "b", "\r", "\u{feff}c"] {
        desk.other.put(&desk.object(key), "1");
    }
    let out =
        desk.run(r"printf '\xef\xbb\xbfa\n\xff\n\r\na\n\n\xc3\x28b\nb\n' | etagfs mrm --in $S");
    fails(&out, 1, &["4 keys failed"]);
    let found = lines(&out);
    assert_eq!(
        each(&found, "status"),
        ["failed", "failed", "failed", "removed", "failed", "removed"]
    );
    for (line, words) in [
        (0, "line 1 begins"),
        (1, "line 2 is not"),
        (2, "line 3 is a"),
        (4, "line 6"),
    ] {
        let message = found[line]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let json = r#"printf '\xef\xbb\xbf{"key":"x","value":"1"}\n{"key":"\xff","value":""}\n\r\n{"key":"y","value":"1"}\r\n'"#;
    let out = desk.run(&format!("{json} | etagfs mput --in $S"));
    assert_eq!(
        each(&lines(&out), "status"),
        ["failed", "failed", "failed", "saved"]
    );
    // As they are, with NUL between them.
    let out = desk
        .run(r"printf '\r\0\xef\xbb\xbfc\0' | etagfs mrm --null --in $S")
        .ok();
    assert_eq!(each(&lines(&out), "status"), ["removed", "removed"]);
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("y")]);
}

#[test]
fn every_name_that_ls_prints_is_read_back() {
    let desk = or_skip!(Desk::new());
    let names = [
        "a", "a\nb", "b", "c\r", " d ", "\"e\"", "f\\", "g\t", "\u{e9}",
    ];
    for name in names {
        desk.other.put(&desk.object(name), name);
    }
    let plain = desk.run("etagfs ls $S");
    fails(&plain, 1, &["1 names are not printed", "--null"]);
    assert!(!plain.stdout.lines().any(|line| line.contains("a\nb")));
    assert_eq!(plain.stdout.matches('\n').count(), names.len() - 1);
    let long = desk.says("etagfs ls -l $S");
    assert_eq!(long.lines().count(), names.len());
    for (print, read) in [("--null", "--null"), ("--json", "--json")] {
        let script = format!("etagfs ls {print} $S | etagfs mget {read} --in $S");
        let found = lines(&desk.run(&script).ok());
        let mut values = each(&found, "value");
        values.sort_unstable();
        let mut expected = names;
        expected.sort_unstable();
        assert_eq!(values, expected, "{print}");
    }
    // Nothing but what is meant.
    desk.says("etagfs ls --null $S | grep -z '^a.' | etagfs mrm --null --in $S > /dev/null");
    let left: Vec<_> = names
        .iter()
        .filter(|name| **name != "a\nb")
        .map(|name| desk.object(name))
        .collect();
    let mut expected = left;
    expected.push(desk.object(""));
    expected.sort_unstable();
    assert_eq!(desk.other.keys(), expected);
}

#[test]
fn names_that_are_no_text_are_told_by_their_bytes() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run().ok().stdout;
    run("printf 1 > $'\\xff'; mkdir d; printf 2 > d/$'n\\xfe'");
    let json = run("etagfs ls -R --json .");
    let names: Vec<Json> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(each(&names, "name_base64"), ["ZC9u/g==", "/w=="]);
    assert_eq!(
        run("etagfs ls -0 . | xargs -0 -n 1 sh -c 'test -e \"$0\" && echo yes'"),
        "yes\nyes\n"
    );
    for command in ["get --json", "stat --json", "put --json --if-none-match"] {
        let target = match command.starts_with("put") {
            true => "$'new\\xff' < /dev/null",
            false => "$'\\xff'",
        };
        let told: Json = serde_json::from_str(&run(&format!("etagfs {command} {target}"))).unwrap();
        assert!(told["target_base64"].is_string(), "{told}");
    }
    let log = run("printf 'a\\xff\\nb\\n' > log; etagfs log --json log");
    let lines: Vec<Json> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["text_base64"], &lines[1]["text"]),
        (&"Yf8=".into(), &"b".into())
    );
}

/// What a hostile bucket holds is written below the directory, or nowhere.
#[test]
fn no_key_leads_out_of_a_directory() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let hostile = [
        format!("{}/absolute", outside.display()),
        "../outside/up".to_owned(),
        "a/../../outside/up".to_owned(),
        "link/below".to_owned(),
        "file".to_owned(),
        "..".to_owned(),
    ];
    for key in hostile
        .iter()
        .map(String::as_str)
        .chain(["good", "sub/good", "inside"])
    {
        desk.other.put(&desk.object(key), "hostile");
    }
    let prepare = "mkdir -p d/sub d/a; ln -s ../outside d/link; ln -s ../outside/file d/file; ln -s sub/good d/inside
        echo theirs > outside/theirs";
    desk.script(prepare).within(dir.path()).run().ok();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    let out = run("etagfs ls -R --null $S | etagfs mget --null --in $S | etagfs mput --in d");
    assert_eq!(out.code, Some(1), "{out:#?}");
    let told = lines(&out);
    let with = |status: &str| {
        let mut keys: Vec<_> = told
            .iter()
            .filter(|line| line["status"] == status)
            .map(|line| line["key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(with("saved"), ["good", "inside", "sub/good"]);
    let mut expected = hostile.to_vec();
    expected.sort_unstable();
    assert_eq!(with("failed"), expected);
    let left = run("ls outside; cat d/sub/good d/good; readlink d/inside")
        .ok()
        .stdout;
    assert_eq!(left, "theirs\nhostilehostilesub/good\n");
    // To read and to delete is the same.
    let keys = "printf '%s\\0' ../outside/theirs link/theirs $PWD/outside/theirs good none no/dir";
    let found = lines(&run(&format!("{keys} | etagfs mget --null --in d")));
    assert_eq!(
        each(&found, "status"),
        ["failed", "failed", "failed", "found", "absent", "absent"]
    );
    let found = lines(&run(&format!("{keys} | etagfs mrm --null --in d")));
    assert_eq!(
        each(&found, "status"),
        ["failed", "failed", "failed", "removed", "absent", "absent"]
    );
    assert!(outside.join("theirs").exists());
}

#[test]
fn what_cannot_be_printed_stops_no_work_and_is_told() {
    let desk = or_skip!(Desk::new());
    for (round, output) in ["/dev/full", "&-"].into_iter().enumerate() {
        let many = format!(
            "seq 300 | jq -Rc '{{key: (\"k{round}-\" + .), value: \"\"}}' | etagfs mput --in $S --create >{output}"
        );
        fails_alone(
            &desk.run(&many),
            &["300 keys are done", "300 of them untold", "standard output"],
        );
        let saved = desk.run(&format!("echo 1 | etagfs put $S/one{round} >{output}"));
        let etag = desk
            .other
            .head(&desk.object(&format!("one{round}")))
            .unwrap()
            .etag;
        fails_alone(&saved, &["was saved, as", &etag, "standard output"]);
        for script in [
            "update --print $S/two -- echo 2",
            "create $S/three < /etc/hostname",
            "put --json $S/four < /etc/hostname",
        ] {
            let out = desk.run(&format!(
                "etagfs {} >{output}",
                script.replace("$S/", &format!("$S/{round}"))
            ));
            fails_alone(&out, &["was saved"]);
        }
        fails_alone(
            &desk.run(&format!("etagfs get $S/one{round} >{output}")),
            &["standard output"],
        );
    }
    assert_eq!(desk.other.keys().len(), 1 + 2 * 304);
    // One that is closed for writing alone is no output either.
    fails_alone(
        &desk.run("echo 1 | etagfs put $S/five 1</dev/null"),
        &["was saved"],
    );
}

/// Asserts that it failed, with a message that has these words.
#[track_caller]
fn fails_alone(out: &Output, words: &[&str]) {
    assert_eq!(out.code, Some(1), "{out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
    }
}

#[test]
fn a_closed_input_is_no_empty_one() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    for script in [
        "etagfs put $S/key <&-",
        "etagfs put $S/key 0>/dev/null",
        "etagfs create $S/new <&-",
        "etagfs cp - $S/key <&-",
        "etagfs append $S/key <&-",
        "(exec <&-; exec etagfs put $S/key)",
    ] {
        let out = desk.run(script);
        fails_alone(
            &out,
            &["standard input", "closed"].map(|word| match script.contains("0>") {
                true => "could not be read",
                false => word,
            }),
        );
    }
    let out = desk.run("etagfs mrm --in $S <&-");
    fails_alone(&out, &["1 keys failed"]);
    assert_eq!(desk.other.text(&desk.object("key")), "value");
    assert_eq!(desk.other.keys(), [desk.object(""), desk.object("key")]);
    // An empty one is what it says, however it is opened.
    for input in ["< /dev/null", "<> /dev/null", "< <(:)"] {
        desk.says(&format!("etagfs put $S/key {input} > /dev/null"));
        assert_eq!(desk.other.text(&desk.object("key")), "");
    }
}

#[test]
fn what_mget_printed_goes_back_to_where_it_was() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    desk.other.put(&desk.object("k"), "old");
    run("etagfs mget --in $S k | jq -c '.value = \"new\"' | etagfs mput > /dev/null").ok();
    assert_eq!(desk.other.text(&desk.object("k")), "new");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // With --in it goes there.
    run("etagfs mget --in $S k | etagfs mput --in $S/copy > /dev/null").ok();
    assert_eq!(desk.other.text(&desk.object("copy/k")), "new");
}

#[test]
fn a_line_that_is_no_object_is_told_in_words_of_its_own() {
    let desk = or_skip!(Desk::new());
    let out = desk.run("printf '%s\\n' '[\"k\"]' 7 nonsense | etagfs mput --in $S");
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(!out.stdout.contains("struct"), "{out:#?}");
    assert_eq!(out.stdout.matches("\"failed\"").count(), 3, "{out:#?}");
}
