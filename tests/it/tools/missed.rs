//! Who finds no file and then saves one (W1): another machine that created the key meanwhile keeps its
//! value, and the program hears of it. What only looks like that is refused nothing: blind writers, families
//! whose members make what the others missed, programs that wait for a file. The other half of `jobs`.

use super::bench::{Bench, THEIRS, missing};
use super::jobs::{Job, refused, replaces, run_over};

#[test]
fn what_a_script_did_not_find_counts_for_what_it_saves() {
    run_over(
        None,
        "scripts that find no file and save one",
        &[
            refused(
                "n=$(cat f || echo 0); echo > f",
                "n=$(cat $F 2> $D/e || echo 0); $THEIRS $F; echo $n+ > $F",
            ),
            refused(
                "n=$(cat f || echo 0); dd of=f conv=fsync",
                "n=$(cat $F 2> $D/e || echo 0); $THEIRS $F; echo $n+ | dd of=$F conv=fsync 2> $D/e",
            ),
            refused(
                "[ -e f ] || echo > f",
                "[ -e $F ] || { $THEIRS $F; echo 1 > $F; }",
            ),
            refused(
                "test -e f || cp x f",
                "echo 1 > $D/x; /usr/bin/test -e $F || { $THEIRS $F; cp $D/x $F; }",
            ),
            refused(
                "[ -e f ] || mv t f",
                "[ -e $F ]; echo 1 > $F.t; $THEIRS $F; mv $F.t $F || { rm $F.t; exit 1; }",
            ),
            refused(
                "read n < f; echo > f",
                "{ read n < $F; } 2> $D/e; $THEIRS $F; echo 0 > $F",
            ),
            refused("rm -f f; echo > f", "rm -f $F; $THEIRS $F; echo 1 > $F"),
            refused(
                "a helper script looks",
                "echo '[ -e \"$1\" ]' > $D/helper; sh $D/helper $F; $THEIRS $F; echo 1 > $F",
            ),
            refused(
                "cat f || cp f f.bak; echo > f",
                "cat $F 2> $D/e; $THEIRS $F; cp $F $F.bak; echo 1 > $F",
            ),
            refused(
                "until [ -e f ]; : > f",
                "[ -e $F ]; $THEIRS $F; until [ -e $F ]; do sleep 0.1; done; /bin/echo 1 > $F",
            ),
            refused(
                "python: open, then open('w')",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\ntry: open(f)\nexcept FileNotFoundError: pass\ns.check_call([os.environ['THEIRS'], f]); open(f, 'w').write('1')\"",
            ),
            refused(
                "python: exists, then replace(t, f)",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\nos.path.exists(f); open(f + '.t', 'w').write('1'); s.check_call([os.environ['THEIRS'], f])\ntry: os.replace(f + '.t', f)\nfinally: os.path.exists(f + '.t') and os.unlink(f + '.t')\"",
            ),
            refused(
                "python: exists, then ftruncate",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\nos.path.exists(f); s.check_call([os.environ['THEIRS'], f]); fd = os.open(f, os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 0)\"",
            ),
            Job {
                needs: "make",
                ..refused(
                    "make",
                    "printf '%s:\\n\\t$(THEIRS) $(F)\\n\\techo 1 > $(F)\\n' $F | make -s -f -",
                )
            },
        ],
    );
}

#[test]
fn who_only_opens_or_lists_is_blind() {
    run_over(
        None,
        "blind writers of a new key",
        &[
            replaces("echo > f", "$THEIRS $F; echo 1 > $F"),
            replaces("echo > g; mv g f", "echo 1 > $F.g; $THEIRS $F; mv $F.g $F"),
            replaces("ls; echo > f", "ls > $D/x; $THEIRS $F; echo 1 > $F"),
            replaces(
                "echo > f, again and again",
                "echo 1 > $F; $THEIRS $F; echo 2 > $F; $THEIRS $F; /bin/echo 3 > $F",
            ),
            replaces(
                "ls -l, find; echo > f",
                "ls -l > $D/x; find . > $D/y; $THEIRS $F; echo 1 > $F",
            ),
            replaces(
                "a symbolic link that is refused; echo > f",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\ntry: os.symlink('x', f)\nexcept OSError: pass\ns.check_call([os.environ['THEIRS'], f]); open(f, 'w').write('1')\"",
            ),
            replaces(
                "a link that is refused; echo > f",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\ntry: open('g' + f, 'w').close(); os.link('g' + f, f)\nexcept OSError: pass\ns.check_call([os.environ['THEIRS'], f]); open(f, 'w').write('1')\"",
            ),
            replaces(
                "a fifo that is refused; echo > f",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\ntry: os.mkfifo(f)\nexcept OSError: pass\ns.check_call([os.environ['THEIRS'], f]); open(f, 'w').write('1')\"",
            ),
            replaces(
                "a directory that cannot be moved; echo > f",
                "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\ntry: os.mkdir('d' + f); os.rename('d' + f, f)\nexcept OSError: pass\ns.check_call([os.environ['THEIRS'], f]); open(f, 'w').write('1')\"",
            ),
            replaces(
                "setsid cat f; echo > f",
                "setsid --wait cat $F 2> $D/e; $THEIRS $F; echo 1 > $F",
            ),
        ],
    );
}

/// Nobody else has a part in these.
const ALONE: [(&str, &str, &str); 12] = [
    (
        "",
        "[ -e f ] || date > f",
        "[ -e $F ] || date > $F; echo 1 > $F; date >> $F; echo 2 > $F; cp $D/x $F",
    ),
    (
        "",
        "cat f; touch f",
        "cat $F 2> $D/e; touch $F; echo 1 > $F; sh -c 'echo 2 > $F'; sed -i s/2/3/ $F; echo 4 > $F",
    ),
    (
        "",
        "rm, and again",
        "for i in 1 2 3; do [ -e $F ] || echo $i > $F; date > $F; rm $F; cat $F 2> $D/e; done; echo 1 > $F",
    ),
    (
        "",
        "a lock of the shell",
        "for i in 1 2 3; do until (set -C; echo $$ > $F) 2> $D/e; do sleep 0.1; done; cat $F > $D/x; rm $F; done; echo 1 > $F",
    ),
    (
        "",
        "mv, and back",
        "[ -e $F ]; echo 1 > $F.t; mv $F.t $F; [ -e $F.t ]; mv $F $F.t; echo 2 > $F; mv $F.t $F; echo 3 > $F",
    ),
    (
        "",
        "a backup",
        "[ -e $F ]; echo 1 > $F; mv $F $F~; [ -e $F ]; echo 2 > $F; echo 3 > $F; rm $F~; echo 4 > $F",
    ),
    (
        "",
        "workers",
        "for i in 1 2 3; do { [ -e $F.$i ] || date > $F.$i; echo $i > $F.$i; } & done; wait; cat $F.? > $F; echo 1 > $F",
    ),
    (
        "",
        "python",
        "python3 -I -c \"import os, subprocess as s; f = os.environ['F']\nfor i in range(3):\n  os.path.exists(f) or s.check_call(['touch', f]); open(f, 'w').write('1'); s.check_call(['cp', f, f + '.b']); open(f, 'w').write('2'); os.unlink(f)\nopen(f, 'w').write('1')\"",
    ),
    (
        "make",
        "make",
        "printf 'all: %s\\n\\techo 2 > $(F)\\n\\tcp $(D)/x $(F)\\n%s:\\n\\tdate > $(F)\\n\\techo 1 > $(F)\\n' $F $F | make -s -f -",
    ),
    (
        "tar",
        "tar",
        "mkdir $D/t; echo 1 > $D/t/$F; tar cf $D/a.tar -C $D/t $F; [ -e $F ]; tar xf $D/a.tar; echo 2 > $F; tar xf $D/a.tar",
    ),
    (
        "git",
        "git",
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; git init -q r$F; cd r$F; for i in 1 2 3; do echo $i > f; git add f; git commit -qm $i; done; git gc -q; git pack-refs --all; echo 4 > f; git commit -qam 4; git clone -q . ../c$F; git -C ../c$F log --oneline > $D/log; git fsck 2> $D/e; cd ..; echo 1 > $F",
    ),
    (
        "",
        "ours, read",
        "until cat $F > $D/y 2> $D/e; do (sleep 0.2; echo 1 > $F) & sleep 0.3; done; echo 2 > $F",
    ),
];

#[test]
fn a_family_that_makes_what_it_missed_is_refused_nothing() {
    let bench = or_skip!(Bench::new([]));
    for (n, (needs, what, script)) in ALONE.iter().enumerate() {
        if !needs.is_empty()
            && let Some(reason) = missing(needs)
        {
            crate::world::skip::note(&format!("{what}: {reason}"));
            continue;
        }
        let key = format!("{n:02}-key");
        let done = bench.run(
            &key,
            &format!("set -e; trap 'echo line $LINENO >&2' ERR; echo x > $D/x; set +e; {script}"),
        );
        assert_eq!(done.code, Some(0), "{what}: {done:#?}");
        assert_eq!(bench.losses(), 0, "{what}: {done:#?}");
        assert!(bench.bucket().get(&key).is_some(), "{what}: {done:#?}");
    }
}

/// Who waits for a file of somebody else reads it, moves it or deletes it.
#[test]
fn who_waited_for_a_file_takes_it_as_it_is() {
    const WAIT: &str = "[ -e $F ]; $THEIRS $F; until [ -e $F ]; do sleep 0.1; done;";
    let bench = or_skip!(Bench::new([]));
    let ways = [
        ("rm $F", None),
        ("mv $F $F.taken; cat $F.taken", None),
        ("cp $F $D/y; rm $F", None),
        ("cp $F $F.mine; rm $F", None),
        ("cat $F; echo 1 > $F", Some("1\n")),
        ("echo 1 >> $F", Some("theirs\n1\n")),
        ("sed -i.bak s/theirs/ours/ $F", Some("ours\n")),
        ("sed -i s/theirs/ours/ $F", Some("ours\n")),
        ("touch $F", Some(THEIRS)),
    ];
    for (n, (way, left)) in ways.into_iter().enumerate() {
        let key = format!("{n:02}-key");
        let done = bench.run(&key, &format!("{WAIT} {way}"));
        assert_eq!(done.code, Some(0), "{way}: {done:#?}");
        let found = bench.bucket().get(&key);
        let found = found.as_ref().map(|object| object.text());
        assert_eq!(found, left, "{way}: {done:#?}");
    }
    assert_eq!(bench.losses(), 0);
}

/// A backup is moved away because what is saved next takes its place: emacs does so.
#[test]
fn who_missed_a_file_does_not_move_it_away_to_save_its_own() {
    let bench = or_skip!(Bench::new([]));
    let script = "[ -e $F ]; $THEIRS $F; mv $F $F~ && echo 1 > $F";
    let done = bench.run("key", script);
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_eq!(bench.bucket().text("key"), THEIRS);
}

/// The second save of somebody who insists replaces what the first was told of, and nothing newer.
#[test]
fn who_was_refused_is_told_once() {
    let bench = or_skip!(Bench::new([]));
    let script = "n=$(cat $F 2> $D/e || echo 0); $THEIRS $F; echo 1 > $F; echo $n > $F";
    let done = bench.run("key", script);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert_eq!(bench.bucket().text("key"), "0\n");
    let script =
        "n=$(cat $F 2> $D/e || echo 0); $THEIRS $F; echo 1 > $F; ${THEIRS}-again $F; echo $n > $F";
    let done = bench.run("again", script);
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert_eq!(bench.bucket().text("again"), "more theirs\n");
    // And whoever reads after a refusal goes on, as a loop does.
    let script = "until n=$(cat $F 2> $D/e || echo 0); [ -e $D/once ] || $THEIRS $F; touch $D/once; echo $n+ | dd of=$F conv=fsync 2> $D/e; do :; done";
    let done = bench.run("loop", script);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert_eq!(bench.bucket().text("loop"), "theirs+\n");
}
