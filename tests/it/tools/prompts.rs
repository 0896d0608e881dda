//! Jobs at a prompt: interactive shells on a terminal of their own, each line typed ahead. There each
//! pipeline is a job; what was looked at in one counts for none of the others, but what the shell
//! itself read counts for all that it saves. The other half of `jobs`.

use std::fmt::Write as _;
use std::fs;

use super::bench::{Bench, THEIRS, missing};
use super::jobs::Verdict::{self, Refused, Replaces};
use crate::world::report;

/// Lines typed at a prompt.
struct Prompt {
    how: &'static str,
    lines: &'static [&'static str],
    verdict: Verdict,
}

const PROMPTS: [Prompt; 22] = [
    Prompt {
        how: "sed f | sponge f",
        lines: &["(sed s/old/new/ $F; $THEIRS $F) | sponge $F"],
        verdict: Refused,
    },
    Prompt {
        how: "n=$(cat f); echo > f",
        lines: &["n=$(cat $F)", "$THEIRS $F", "echo $n+ > $F"],
        verdict: Refused,
    },
    Prompt {
        how: "until n=$(cat f); echo > f",
        lines: &["for i in 1; do n=$(cat $F); $THEIRS $F; echo $n+ > $F; done"],
        verdict: Refused,
    },
    Prompt {
        how: "n=$(timeout 60 cat f); echo > f",
        lines: &["n=$(timeout 60 cat $F)", "$THEIRS $F", "echo $n+ > $F"],
        verdict: Refused,
    },
    Prompt {
        how: "read n < f; echo > f",
        lines: &["read n < $F", "$THEIRS $F", "echo $n+ > $F"],
        verdict: Refused,
    },
    Prompt {
        how: "sed f > t; mv t f",
        lines: &["sed s/old/new/ $F > $F.t", "$THEIRS $F", "mv $F.t $F"],
        verdict: Refused,
    },
    Prompt {
        how: "timeout 60 sed f > t; mv t f",
        lines: &[
            "timeout 60 sed s/old/new/ $F > $F.t",
            "$THEIRS $F",
            "mv $F.t $F",
        ],
        verdict: Refused,
    },
    Prompt {
        how: "mktemp; sed f > t; mv t f",
        lines: &[
            "t=$(mktemp ./x.XXXXXX)",
            "sed s/old/new/ $F > $t",
            "$THEIRS $F",
            "mv $t $F",
        ],
        verdict: Refused,
    },
    Prompt {
        how: "sed f | cat > t; mv t f",
        lines: &["sed s/old/new/ $F | cat > $F.t", "$THEIRS $F", "mv $F.t $F"],
        verdict: Refused,
    },
    Prompt {
        how: "( sed f > /tmp/t; cp /tmp/t f )",
        lines: &["(sed s/old/new/ $F > $D/t; $THEIRS $F; cp $D/t $F)"],
        verdict: Refused,
    },
    Prompt {
        how: "sh script, which reads and saves",
        lines: &["sh -c 'n=$(cat $F); $THEIRS $F; echo $n+ > $F'"],
        verdict: Refused,
    },
    Prompt {
        how: "{ sed f > /tmp/t; cp /tmp/t f; }",
        lines: &["{ sed s/old/new/ $F > $D/t; $THEIRS $F; cp $D/t $F; }"],
        verdict: Replaces,
    },
    Prompt {
        how: "sed f > /tmp/t; cp /tmp/t f",
        lines: &["sed s/old/new/ $F > $D/t", "$THEIRS $F", "cp $D/t $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "sed f > /tmp/t; mv /tmp/t f",
        lines: &["sed s/old/new/ $F > $D/t", "$THEIRS $F", "mv $D/t $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "cat f (yesterday); echo > f",
        lines: &["cat $F", "$THEIRS $F", "echo new > $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "timeout 60 cat f (yesterday); echo > f",
        lines: &["timeout 60 cat $F", "$THEIRS $F", "echo new > $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "cat f & (yesterday); echo > f",
        lines: &["cat $F & wait", "$THEIRS $F", "echo new > $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "cat f (yesterday); /bin/echo > f",
        lines: &["cat $F", "$THEIRS $F", "/bin/echo new > $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "cat f (yesterday); cp x f",
        lines: &["echo new > $D/x", "cat $F", "$THEIRS $F", "cp $D/x $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "cat f (yesterday); mv t f",
        lines: &["cat $F", "echo new > $F.t", "$THEIRS $F", "mv $F.t $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "echo > f (yesterday); echo > f",
        lines: &["echo 1 > $F", "$THEIRS $F", "echo new > $F"],
        verdict: Replaces,
    },
    Prompt {
        how: "ls, stat, test (yesterday); echo > f",
        lines: &[
            "ls -l $F; stat $F; test -s $F",
            "$THEIRS $F",
            "echo new > $F",
        ],
        verdict: Replaces,
    },
];

#[track_caller]
fn at_the_prompts_of(name: &str, shell: &str) {
    for program in ["script", "sponge", name] {
        if let Some(reason) = missing(program) {
            skip!("{reason}");
        }
    }
    let keys: Vec<_> = (0..PROMPTS.len()).map(|n| format!("{n:02}-key")).collect();
    let objects = keys.iter().map(|key| (&**key, "old\n"));
    let bench = or_skip!(Bench::new(objects));
    let mut table = format!("at the prompt of {name}\n");
    let mut problems = Vec::new();
    for (prompt, key) in PROMPTS.iter().zip(&keys) {
        let outside = bench.outside(key);
        let lines = prompt.lines.join("\n");
        let typed = format!("{lines}\necho $? > $D/code\nexit\n");
        fs::write(outside.join("lines"), typed).unwrap();
        let script = "TERM=dumb script -qec \"$INTERACTIVE\" $D/typescript < $D/lines > $D/screen";
        let script = crate::world::procs::Script::bash(script).env("INTERACTIVE", shell);
        let done = bench.script(key, script).run();
        let code = fs::read_to_string(outside.join("code")).unwrap_or_default();
        let there = bench.bucket().text(key);
        let verdict = match there == THEIRS {
            true => Refused,
            false => Replaces,
        };
        let code = code.trim();
        writeln!(table, "{:<44} {verdict:<9?} exit {code}", prompt.how).unwrap();
        if verdict != prompt.verdict || (code == "0") != (verdict == Replaces) {
            let screen = fs::read_to_string(outside.join("screen")).unwrap_or_default();
            problems.push(format!("{}: {there:?}, {done:#?}\n{screen}", prompt.how));
        }
    }
    println!("{table}");
    report::append_line("jobs", &table);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn at_the_prompt_of_bash_each_pipeline_is_a_job() {
    at_the_prompts_of("bash", "bash --norc --noprofile -i");
}

/// It opens redirections itself, unlike bash, and lets commands write to them.
#[test]
fn at_the_prompt_of_dash_each_pipeline_is_a_job() {
    at_the_prompts_of("dash", "dash -i");
}
