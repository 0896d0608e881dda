//! What counts as one job (W1): a script reads a key, another machine saves it, the script saves it.
//! Where etagfs can see that reading and saving belong together the save is refused; where it cannot,
//! the script is blind, and so is who never read. Both are written down, and into the report: the
//! table of "Jobs" in `docs/semantics.md` tells no more than this.

use std::fmt::Write as _;

use super::bench::{Bench, THEIRS, missing, said};
use crate::world::procs::Script;
use crate::world::report;

/// What becomes of the save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The other machine's value stands, and the script hears of it.
    Refused,
    /// It is replaced: the writer is blind.
    Replaces,
}

/// A script that reads, loses or not, and saves.
pub(super) struct Job {
    pub(super) how: &'static str,
    pub(super) needs: &'static str,
    pub(super) script: &'static str,
    pub(super) verdict: Verdict,
}

pub(super) fn refused(how: &'static str, script: &'static str) -> Job {
    Job {
        how,
        needs: "",
        script,
        verdict: Verdict::Refused,
    }
}

pub(super) fn replaces(how: &'static str, script: &'static str) -> Job {
    Job {
        verdict: Verdict::Replaces,
        ..refused(how, script)
    }
}

/// Runs each script in bash and in dash, over a key that is there.
#[track_caller]
fn run(heading: &str, jobs: &[Job]) {
    run_over(Some("old\n"), heading, jobs);
}

/// Runs each script in bash and in dash.
#[track_caller]
pub(super) fn run_over(before: Option<&str>, heading: &str, jobs: &[Job]) {
    let keys: Vec<_> = (0..jobs.len())
        .flat_map(|n| [format!("{n:02}-bash"), format!("{n:02}-dash")])
        .collect();
    let objects = keys.iter().filter_map(|key| Some((&**key, before?)));
    let bench = or_skip!(Bench::new(objects));
    let mut table = format!("{heading}\n");
    let mut problems = Vec::new();
    for (job, keys) in jobs.iter().zip(keys.chunks(2)) {
        if let Some(reason) = job.needs.split_whitespace().find_map(missing) {
            crate::world::skip::note(&format!("{}: {reason}", job.how));
            continue;
        }
        for (key, shell) in keys
            .iter()
            .zip([Script::bash as fn(&str) -> Script, Script::dash])
        {
            let done = bench.script(key, shell(job.script)).run();
            let there = bench.bucket().text(key);
            let verdict = match there == THEIRS {
                true => Verdict::Refused,
                false => Verdict::Replaces,
            };
            let shell = &key[3..];
            let says = said(&done).replace(key.as_str(), "F");
            writeln!(table, "{:<44} {shell}  {verdict:<9?} {says}", job.how).unwrap();
            let told = done.code != Some(0);
            let conflicts = bench.conflicts(key).len();
            if verdict != job.verdict
                || told != (verdict == Verdict::Refused)
                || (conflicts > 0) != told
            {
                problems.push(format!(
                    "{} ({shell}): {there:?}, {conflicts} conflicts, {done:#?}",
                    job.how
                ));
            }
        }
    }
    println!("{table}");
    report::append_line("jobs", &table);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_a_script_read_counts_for_what_it_saves() {
    run(
        "scripts that read and save: one job",
        &[
            Job {
                needs: "sponge",
                ..refused(
                    "sed f | sponge f",
                    "(sed s/old/new/ $F; $THEIRS $F) | sponge $F",
                )
            },
            refused(
                "n=$(cat f); echo > f",
                "n=$(cat $F); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "n=$(cat f); /bin/echo > f",
                "n=$(cat $F); $THEIRS $F; /bin/echo $n+ > $F",
            ),
            refused(
                "read n < f; echo > f",
                "read n < $F; $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "while read < f; echo > f",
                "while read n; do x=$n; done < $F; $THEIRS $F; echo $x+ > $F",
            ),
            refused(
                "sed f > t; mv t f",
                "sed s/old/new/ $F > $F.t; $THEIRS $F; mv $F.t $F || { rm $F.t; exit 1; }",
            ),
            refused(
                "mktemp; sed f > t; mv t f",
                "t=$(mktemp ./x.XXXXXX); sed s/old/new/ $F > $t; $THEIRS $F; mv $t $F || { rm $t; exit 1; }",
            ),
            refused(
                "sed f > /tmp/t; cp /tmp/t f",
                "sed s/old/new/ $F > $D/t; $THEIRS $F; cp $D/t $F",
            ),
            refused(
                "sed f > /tmp/t; mv /tmp/t f",
                "sed s/old/new/ $F > $D/t; $THEIRS $F; mv $D/t $F",
            ),
            refused(
                "cat f & wait; cp x f",
                "cat $F > $D/t & wait; $THEIRS $F; cp $D/t $F",
            ),
            refused("cat f; rm f", "cat $F > $D/t; $THEIRS $F; rm $F"),
            refused(
                "n=$(timeout 60 cat f); echo > f",
                "n=$(timeout 60 cat $F); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "timeout 60 sed f > t; mv t f",
                "timeout 60 sed s/old/new/ $F > $F.t; $THEIRS $F; mv $F.t $F || { rm $F.t; exit 1; }",
            ),
            Job {
                needs: "sponge",
                ..refused(
                    "timeout 60 sed f | timeout 60 sponge f",
                    "(timeout 60 sed s/old/new/ $F; $THEIRS $F) | timeout 60 sponge $F",
                )
            },
            refused(
                "timeout 60 sh -c 'read and save'",
                "timeout 60 sh -c 'n=$(cat $F); $THEIRS $F; echo $n+ > $F'",
            ),
            refused(
                "a helper script reads",
                "echo 'cat \"$1\"' > $D/helper; n=$(sh $D/helper $F); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "a helper script saves",
                "echo 'echo \"$2\" > \"$1\"' > $D/helper; n=$(cat $F); $THEIRS $F; sh $D/helper $F $n+",
            ),
            refused(
                "nohup, nice, env",
                "n=$(nohup nice env cat $F 2> $D/e); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "xargs cat",
                "n=$(echo $F | xargs cat); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "xargs sh -c 'read and save'",
                "echo $F | xargs -I{} sh -c 'n=$(cat {}); $THEIRS {}; echo $n+ > {}'",
            ),
            Job {
                needs: "make",
                ..refused(
                    "make",
                    "printf 'all:\\n\\tcat $(F) > $(D)/t\\n\\t$(THEIRS) $(F)\\n\\tcp $(D)/t $(F)\\n' | make -s -f -",
                )
            },
            refused(
                "flock f sh -c 'read and save'",
                "flock $F sh -c 'n=$(cat $F); $THEIRS $F; echo $n+ > $F'",
            ),
            refused(
                "setsid sh -c 'read and save'",
                "setsid --wait sh -c 'n=$(cat $F); $THEIRS $F; echo $n+ > $F'",
            ),
            refused(
                "python: check_output(cat), then open('w')",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']; x = s.check_output(['cat', f]); s.check_call([os.environ['THEIRS'], f]); open(f, 'wb').write(x)\"",
            ),
            refused(
                "python: read, then run(cp)",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']; open(os.environ['D'] + '/t', 'w').write(open(f).read()); s.check_call([os.environ['THEIRS'], f]); s.check_call(['cp', os.environ['D'] + '/t', f])\"",
            ),
            // The shell has its set -m from the first line on, and job control needs no terminal in bash.
            refused(
                "set -m; n=$(cat f); echo > f",
                "set -m 2> $D/e; n=$(cat $F); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "set -m; sed f > t; mv t f",
                "set -m 2> $D/e; sed s/old/new/ $F > $F.t; $THEIRS $F; mv $F.t $F || { rm $F.t; exit 1; }",
            ),
        ],
    );
}

#[test]
fn who_never_read_a_key_replaces_it_and_hears_nothing() {
    run(
        "blind writers, and jobs that etagfs cannot see",
        &[
            replaces(
                "echo > f, again and again",
                "echo 1 > $F; $THEIRS $F; echo 2 > $F; $THEIRS $F; echo 3 > $F",
            ),
            replaces(
                "cp x f, again",
                "echo 1 > $D/x; cp $D/x $F; $THEIRS $F; cp $D/x $F",
            ),
            replaces(
                "mv x f, again",
                "echo 1 > $D/x; cp $D/x $D/y; mv $D/x $F; $THEIRS $F; mv $D/y $F",
            ),
            replaces(
                "echo > t; mv t f, again",
                "echo 1 > $F.t; mv $F.t $F; $THEIRS $F; echo 2 > $F.t; mv $F.t $F",
            ),
            replaces(
                "ls, stat, test; echo > f",
                "ls -l $F > $D/x; stat $F > $D/x; test -s $F; $THEIRS $F; echo 1 > $F",
            ),
            replaces("touch f; echo > f", "touch $F; $THEIRS $F; echo 1 > $F"),
            replaces(
                "cat g; echo > f",
                "cat * > $D/x 2>&1 < /dev/null; cat $F > $D/x; echo 1 > $F",
            ),
            replaces(
                "cat f, and again; echo > f",
                "cat $F > $D/x; $THEIRS $F; cat $F > $D/x; echo 1 > $F",
            ),
            replaces(
                "a daemon that rewrites its file",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\nfor i in range(4): open(f, 'w').write(str(i)); s.check_call([os.environ['THEIRS'], f])\nopen(f, 'w').write('last')\"",
            ),
            replaces(
                "setsid cat f; echo > f",
                "n=$(setsid cat $F); $THEIRS $F; echo $n+ > $F",
            ),
            replaces(
                "cat f; setsid sh -c 'echo > f'",
                "n=$(cat $F); $THEIRS $F; setsid --wait sh -c \"echo $n+ > $F\"",
            ),
            replaces(
                "python: start_new_session",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']; x = s.check_output(['cat', f], start_new_session=True); s.check_call([os.environ['THEIRS'], f]); open(f, 'wb').write(x)\"",
            ),
        ],
    );
}

/// What the table of "Jobs" in `docs/semantics.md` says of who locks the key that it saves.
#[test]
fn to_lock_a_key_is_not_to_read_it() {
    run(
        "a lock on the key itself",
        &[
            replaces(
                "flock f true; echo > f",
                "flock $F true; $THEIRS $F; echo 1 > $F",
            ),
            replaces(
                "flock f.lock true; echo > f",
                "flock $D/lock true; $THEIRS $F; echo 1 > $F",
            ),
        ],
    );
}
