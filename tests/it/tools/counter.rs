//! The naive counter of a shell on two machines, `until n=$(cat c) && echo $((n+1)) > c; do :; done`:
//! what it loses where `echo` does not look at what close(2) says, that no loss is silent for etagfs,
//! and what loses nothing. What README says of shells is what is held true here.

use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::rescues;
use crate::world::servers::{self, Kind};

/// What came of two machines that counted together.
struct Tally {
    /// The counter at the end.
    value: u64,
    /// What they were told they had counted.
    acknowledged: u64,
    /// Saves that were lost at close(2), where the bytes were kept.
    kept: u64,
}

/// Two machines count to `each`, in this shell and with this command for `echo`.
fn count(
    shell: fn(&str) -> Script,
    echo: &str,
    each: u64,
    options: impl Fn(Mount) -> Mount,
) -> Result<Tally, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let client = bucket.client();
    client.put("c", "0\n");
    let machines: Vec<Mounted> = (0..2)
        .map(|_| options(Mount::of(&bucket).flat()).start())
        .collect();
    let script = format!(
        "i=0; again=0
while [ $i -lt {each} ]; do
  until n=$(cat c) && {echo}; do again=$((again+1)); done 2> /dev/null
  i=$((i+1))
done
echo $i $again"
    );
    let running: Vec<_> = machines
        .iter()
        .map(|at| shell(&script).within(at.path()).start())
        .collect();
    let (mut acknowledged, mut again) = (0, 0);
    for script in running {
        let out = script.finish().ok().stdout;
        let numbers: Vec<u64> = out
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        acknowledged += numbers[0];
        again += numbers[1];
    }
    let kept = machines
        .iter()
        .map(|at| rescues::of_key(at.state_dir(), "c").len() as u64)
        .sum();
    let counted = Tally {
        value: client.text("c").trim().parse().unwrap(),
        acknowledged,
        kept,
    };
    report::append_line(
        "shell counters",
        &format!(
            "{echo:<44} {acknowledged} acknowledged, {} counted, {kept} kept as rescues, {again} times again",
            counted.value
        ),
    );
    Ok(counted)
}

#[test]
fn a_counter_of_commands_that_look_at_close_is_exact() {
    let shells = [Script::bash as fn(&str) -> Script, Script::dash];
    for echo in [
        "echo $((n+1)) | dd of=c conv=fsync status=none",
        "echo $((n+1)) | tee c > /dev/null",
        "{ echo $((n+1)) > c.$$ && mv c.$$ c || { rm c.$$; false; }; }",
    ] {
        for shell in shells {
            let counted = or_skip!(count(shell, echo, 10, |mount| mount));
            assert_eq!(counted.acknowledged, 20, "{echo}");
            assert_eq!(counted.value, 20, "{echo}: {} lost", counted.kept);
        }
    }
    // bash opens the file in the command's own process; dash does in its own, and closes it unheard.
    let echo = "/bin/echo $((n+1)) > c";
    let counted = or_skip!(count(Script::bash, echo, 10, |mount| mount));
    assert_eq!((counted.acknowledged, counted.value), (20, 20));
    let counted = or_skip!(count(Script::dash, echo, 10, |mount| mount));
    assert_eq!(counted.value + counted.kept, counted.acknowledged);
}

/// The builtin does not see EAGAIN from close(2), so that the loop goes on with a lost increment. No
/// increment is lost without a trace: each is a rescue.
#[test]
fn a_counter_of_a_builtin_loses_what_close_refuses_and_each_loss_is_kept() {
    for shell in [Script::bash as fn(&str) -> Script, Script::dash] {
        let counted = or_skip!(count(shell, "echo $((n+1)) > c", 25, |mount| mount));
        assert_eq!(counted.acknowledged, 50);
        assert_eq!(counted.value + counted.kept, 50);
    }
}

/// The same without luck: the other machine saves while the save of the builtin is on its way.
#[test]
fn a_builtin_that_loses_at_close_says_nothing_and_its_bytes_are_kept() {
    let bench = or_skip!(super::bench::Bench::new([("c", "41\n")]));
    let naive = "until n=$(cat c) && echo $((n+1)) > c; do :; done; echo done";
    let done = bench.run_into_a_late_save("c", "c", naive).ok();
    assert_eq!((&*done.stdout, &*done.stderr), ("done\n", ""));
    assert_eq!(bench.bucket().text("c"), super::bench::THEIRS);
    assert_eq!(bench.rescued("c"), ["42\n"]);
}

#[test]
fn a_counter_of_a_builtin_is_exact_where_every_write_is_saved() {
    for shell in [Script::bash as fn(&str) -> Script, Script::dash] {
        let sync = |mount: Mount| mount.arg("-o").arg("sync");
        let counted = or_skip!(count(shell, "echo $((n+1)) > c", 50, sync));
        assert_eq!((counted.acknowledged, counted.value), (100, 100));
    }
}

/// Several workers of one script are one process group, as are the commands of `xargs -P` and
/// `make -j`: what the one was shown the others were not (W1).
#[test]
fn workers_of_one_script_count_as_exactly_as_machines_do() {
    let count = "until n=$(cat c) && echo $((n+1)) | dd of=c conv=fsync status=none; do :; done 2> /dev/null";
    let of_ten = format!("worker() {{ for i in 1 2 3 4 5 6 7 8 9 10; do {count}; done; }}\n");
    let recipe = count.replace('$', "$$");
    let makefile = format!("all: $(addprefix w,$(shell seq 40))\nw%:\n\t@{recipe}\n");
    for (how, needs, script) in [
        (
            "worker & worker & wait",
            "",
            format!("{of_ten} worker & worker & worker & worker & wait"),
        ),
        (
            "xargs -P 4",
            "xargs",
            format!("seq 40 | xargs -P 4 -I{{}} sh -c '{count}'"),
        ),
        (
            "make -j 4",
            "make",
            format!("cat > $D/Makefile <<'END'\n{makefile}END\nmake -s -j 4 -f $D/Makefile"),
        ),
    ] {
        if let Some(reason) = needs.split_whitespace().find_map(super::bench::missing) {
            crate::world::skip::note(&format!("{how}: {reason}"));
            continue;
        }
        for shell in [Script::bash as fn(&str) -> Script, Script::dash] {
            let bench = or_skip!(super::bench::Bench::new([("c", "0\n")]));
            bench.script("c", shell(&script)).run().ok();
            assert_eq!(bench.bucket().text("c"), "40\n", "{how}");
            report::append_line("shell counters", &format!("{how}: 40 of 40"));
        }
    }
}
