//! What each tool tells when another machine saves between its reading and its save: the winner
//! stands, the loser's bytes are kept, and the exit code says so where the tool looks at all. Those
//! that do not look are named, with what their user sees. The table goes into the report.
//!
//! The other machine saves *early*, before the tool begins to save (the script calls `$THEIRS` there),
//! or *late*, when the request that saves is on its way (the proxy holds it).

use std::fmt::Write as _;

use super::bench::{Bench, THEIRS, missing, said};
use crate::world::procs::Output;
use crate::world::report;

/// A tool that makes `new` of `old` in `$F`.
struct Race {
    tool: &'static str,
    needs: &'static str,
    /// With `$THEIRS $F` between reading and saving, and the exit code.
    early: Option<(&'static str, i32)>,
    /// Its save of `$F` is held, and the exit code.
    late: Option<(&'static str, i32)>,
    before: Option<&'static str>,
    mine: &'static str,
}

const fn tool(tool: &'static str) -> Race {
    Race {
        tool,
        needs: "",
        early: None,
        late: None,
        before: Some("old\n"),
        mine: "new\n",
    }
}

impl Race {
    const fn needs(self, needs: &'static str) -> Self {
        Self { needs, ..self }
    }

    const fn early(self, script: &'static str, code: i32) -> Self {
        Self {
            early: Some((script, code)),
            ..self
        }
    }

    const fn late(self, script: &'static str, code: i32) -> Self {
        Self {
            late: Some((script, code)),
            ..self
        }
    }

    const fn over(self, before: Option<&'static str>, mine: &'static str) -> Self {
        Self {
            before,
            mine,
            ..self
        }
    }
}

/// What is wrong with what a lost race came to.
fn faults(bench: &Bench, key: &str, mine: &str, code: i32, done: &Output) -> Vec<String> {
    let mut faults = Vec::new();
    if done.code != Some(code) {
        faults.push(format!("exit code: {done:#?}"));
    }
    let there = bench.bucket().get(key);
    let there = there.as_ref().map(|object| object.text());
    if there != Some(THEIRS) {
        faults.push(format!("the winner does not stand: {there:?}, {done:#?}"));
    }
    let conflicts = bench.conflicts(key);
    if conflicts.is_empty() {
        faults.push("no conflict was noted".to_owned());
    }
    // Who hears of it early may not have written yet.
    let has_bytes = conflicts.iter().any(|line| line["rescue"].is_string());
    let rescued = bench.rescued(key);
    if (has_bytes || key.ends_with("late")) && !rescued.iter().any(|bytes| bytes == mine) {
        faults.push(format!("not rescued: {mine:?}, but {rescued:?}"));
    }
    faults
}

/// The calls that told of it.
fn told(bench: &Bench, key: &str) -> String {
    let conflicts = bench.conflicts(key);
    let mut calls: Vec<_> = conflicts
        .iter()
        .filter_map(|line| line["op"].as_str())
        .collect();
    calls.dedup();
    calls.join(", ")
}

#[track_caller]
fn run(heading: &str, races: &[Race]) {
    let keys: Vec<_> = (0..races.len())
        .flat_map(|n| [format!("{n:02}-early"), format!("{n:02}-late")])
        .collect();
    let objects = keys
        .iter()
        .zip(races.iter().flat_map(|race| [race, race]))
        .filter_map(|(key, race)| Some((&**key, race.before?)));
    let bench = or_skip!(Bench::new(objects));
    let mut table = format!("{heading}\n");
    let mut problems = Vec::new();
    for (race, keys) in races.iter().zip(keys.chunks(2)) {
        if let Some(reason) = race.needs.split_whitespace().find_map(missing) {
            crate::world::skip::note(&format!("{}: {reason}", race.tool));
            continue;
        }
        let mut row = |when: &str, key: &str, code: i32, done: &Output| {
            let told = told(&bench, key);
            let says = match (said(done).replace(key, "F"), done.code) {
                (said, _) if !said.is_empty() => said,
                (_, Some(0)) => "(nothing: the bytes are in `etagfs rescue`)".to_owned(),
                _ => String::new(),
            };
            let exit = done.code.unwrap_or(-1);
            writeln!(
                table,
                "{:<26} {when:<6} {told:<14} exit {exit:<3} {says}",
                race.tool
            )
            .unwrap();
            for fault in faults(&bench, key, race.mine, code, done) {
                problems.push(format!("{} {when}: {fault}", race.tool));
            }
        };
        if let Some((script, code)) = race.early {
            row("early", &keys[0], code, &bench.run(&keys[0], script));
        }
        if let Some((script, code)) = race.late {
            let done = bench.run_into_a_late_save(&keys[1], &keys[1], script);
            row("late", &keys[1], code, &done);
        }
    }
    println!("{table}");
    report::append_line("tools that lose", &table);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn tools_that_edit_tell_of_a_lost_race() {
    const DIFF: &str = "printf -- '--- f\\n+++ f\\n@@ -1 +1 @@\\n-old\\n+new\\n' | patch -s $F";
    run(
        "editing",
        &[
            tool("sed -i")
                .early("sed -i -e \"1e $THEIRS $F\" -e s/old/new/ $F", 4)
                .late("sed -i s/old/new/ $F", 4),
            tool("sed -i~")
                .early("sed -i~ -e \"1e $THEIRS $F\" -e s/old/new/ $F", 4)
                .late("sed -i~ s/old/new/ $F", 4),
            tool("sed -i.bak")
                .early("sed -i.bak -e \"1e $THEIRS $F\" -e s/old/new/ $F", 4)
                .late("sed -i.bak s/old/new/ $F", 4),
            tool("perl -i")
                .needs("perl")
                .early("perl -i -pe 'system(@ENV{qw(THEIRS F)}); s/old/new/' $F", 11)
                .late("perl -i -pe s/old/new/ $F", 11),
            tool("perl -i.bak")
                .needs("perl")
                .early("perl -i.bak -pe 'system(@ENV{qw(THEIRS F)}); s/old/new/' $F", 11)
                .late("perl -i.bak -pe s/old/new/ $F", 11),
            tool("patch").needs("patch").late(DIFF, 2),
            tool("ed")
                .needs("ed")
                .early("printf 's/old/new/\\n!$THEIRS $F\\nw\\n' | ed -s $F", 2)
                .late("printf 's/old/new/\\nw\\n' | ed -s $F", 2),
            tool("sed | sponge")
                .needs("sponge")
                .early("(sed s/old/new/ $F; $THEIRS $F) | sponge $F", 1)
                .late("sed s/old/new/ $F | sponge $F", 1),
            tool("jq > t && mv t")
                .needs("jq")
                .over(Some("{\"a\": \"new\"}"), "new\n")
                .early("jq -r .a $F > $F.t && $THEIRS $F && mv $F.t $F; x=$?; rm -f $F.t; exit $x", 1)
                .late("jq -r .a $F > $F.t && mv $F.t $F; x=$?; rm -f $F.t; exit $x", 1),
            tool("mktemp, sed > t, mv t")
                .early("t=$(mktemp ./t.XXXXXX); sed s/old/new/ $F > $t; $THEIRS $F; mv $t $F; x=$?; rm -f $t; exit $x", 1)
                .late("t=$(mktemp ./t.XXXXXX); sed s/old/new/ $F > $t; mv $t $F; x=$?; rm -f $t; exit $x", 1),
            tool("python os.replace")
                .early("python3 -I -c \"import os, subprocess; f = os.environ['F']; t = f + '.t'; open(t, 'w').write(open(f).read().replace('old', 'new')); subprocess.run([os.environ['THEIRS'], f]); os.replace(t, f)\" || { rm $F.t; exit 1; }", 1),
            tool("sort -o").over(Some("b\na\n"), "a\nb\n").late("sort -o $F $F", 2),
            tool("truncate").over(Some("old\n"), "ol").late("truncate -s 2 $F", 1),
        ],
    );
}

#[test]
fn tools_that_write_tell_of_a_lost_race() {
    const READ: &str = "sed s/old/new/ $F > $D/x; $THEIRS $F;";
    let read = |save: &str| -> &'static str { format!("{READ} {save}").leak() };
    let has = |save: &str| -> &'static str { format!("echo new > $D/x; {save}").leak() };
    let both = |name, needs, save, code| {
        tool(name)
            .needs(needs)
            .early(read(save), code)
            .late(has(save), code)
    };
    run(
        "writing what the same job has read",
        &[
            both("cp", "", "cp $D/x $F", 1),
            both("mv from outside", "", "mv $D/x $F", 1),
            both("install", "", "install $D/x $F", 1),
            both("dd", "", "dd if=$D/x of=$F status=none", 1),
            both(
                "dd conv=fsync",
                "",
                "dd if=$D/x of=$F conv=fsync status=none",
                1,
            ),
            both("tee", "", "tee $F < $D/x > /dev/null", 1),
            both("cat >", "", "cat $D/x > $F", 1),
            both("sponge", "sponge", "sponge $F < $D/x", 1),
            both("gio save", "gio", "gio save $F < $D/x", 2),
            both("/bin/echo >", "", "/bin/echo new > $F", 1),
            tool("awk print >")
                .needs("mawk")
                .late("mawk 'BEGIN { print \"new\" }' > $F", 2),
            tool("dd conv=notrunc").late("printf 'new' | dd of=$F conv=notrunc status=none", 1),
            tool("gio copy")
                .needs("gio")
                .late(has("gio copy $D/x $F"), 1),
            tool("rsync")
                .needs("rsync")
                .late(has("rsync -c $D/x $F"), 23),
            tool("rsync --inplace")
                .needs("rsync")
                .late(has("rsync -c --inplace $D/x $F"), 11),
            tool("mv within").late("echo new > $F.t; mv $F.t $F; x=$?; rm $F.t; exit $x", 1),
            tool("cp, new")
                .over(None, "new\n")
                .late(has("cp $D/x $F"), 1),
            tool("mv from outside, new")
                .over(None, "new\n")
                .late(has("mv $D/x $F"), 1),
            tool("install, new")
                .over(None, "new\n")
                .late(has("install $D/x $F"), 1),
            tool("tar x, new").over(None, "new\n").late(
                "cd $D; echo new > $F; tar cf x.tar $F; cd ~-; tar xf $D/x.tar",
                2,
            ),
            tool("rm").early("cat $F > /dev/null; $THEIRS $F; rm -f $F", 1),
        ],
    );
}

/// They do not look at what close(2) says. Early they are told by open(2); late nobody is, but the
/// winner stands all the same, and the bytes are kept.
#[test]
fn the_tools_that_cannot_tell_of_a_late_loss_are_these() {
    const READ: &str = "cat $F > /dev/null; $THEIRS $F;";
    let read = |save: &str| -> &'static str { format!("{READ} {save}").leak() };
    let both = |name, save: &'static str, early, late| {
        tool(name).early(read(save), early).late(save, late)
    };
    run(
        "programs that do not look at what close says",
        &[
            both("bash: echo >", "echo new > $F", 1, 0),
            both("bash: printf >", "printf 'new\\n' > $F", 1, 0),
            both("bash: { ..; } >", "{ echo new; } > $F", 1, 0),
            both("dash: echo >", "dash -c 'echo new > $F'", 2, 0),
            both("perl -e print >", "perl -e 'print qq(new\\n)' > $F", 1, 0),
            both(
                "python3 print >",
                "python3 -I -c 'print(\"new\")' > $F",
                1,
                0,
            ),
        ],
    );
}
