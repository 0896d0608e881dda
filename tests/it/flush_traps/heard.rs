//! A save that writes nothing is a save: `close` tells what became of it (W2, W10). And which programs
//! look at that.

use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Op, When};
use crate::world::report;

/// A program that creates or empties `$F`.
struct Program {
    name: &'static str,
    script: Script,
    /// It looks at the result of close(2).
    listens: bool,
    /// It empties a file that is there without deleting it first.
    empties: bool,
}

impl Program {
    fn new(name: &'static str, script: Script) -> Self {
        Self {
            name,
            script,
            listens: true,
            empties: true,
        }
    }

    fn deaf(self) -> Self {
        Self {
            listens: false,
            ..self
        }
    }

    fn creates_only(self) -> Self {
        Self {
            empties: false,
            ..self
        }
    }
}

fn programs() -> Vec<Program> {
    let python =
        |text: &str| Script::python(&format!("import os, pathlib\nF = os.environ['F']\n{text}"));
    let exclusive = "os.close(os.open(F, os.O_WRONLY | os.O_CREAT | os.O_EXCL))";
    let node = "node -e 'require(\"fs\").writeFileSync(process.env.F, \"\")'";
    let perl = "perl -e 'open my $f, \">\", $ENV{F} or die; close $f or die'";
    vec![
        Program::new("touch", Script::bash("touch $F")).creates_only(),
        Program::new("truncate -s 0", Script::bash("truncate -s 0 $F")),
        Program::new("install /dev/null", Script::bash("install /dev/null $F")).creates_only(),
        Program::new("cp /dev/null", Script::bash("cp /dev/null $F")),
        Program::new("dd", Script::bash("dd if=/dev/null of=$F status=none")),
        Program::new("cat /dev/null >", Script::bash("cat /dev/null > $F")),
        Program::new("true | tee", Script::bash("true | tee $F")),
        Program::new("sed -n p >", Script::bash("sed -n p /dev/null > $F")),
        Program::new("sort -o", Script::bash("sort -o $F /dev/null")),
        Program::new("perl", Script::bash(perl)),
        Program::new("python 'w'", python("open(F, 'w').close()")),
        Program::new("python 'x'", python("open(F, 'x').close()")).creates_only(),
        Program::new("python O_EXCL", python(exclusive)).creates_only(),
        Program::new("python touch()", python("pathlib.Path(F).touch()")).creates_only(),
        Program::new(
            "python write_text('')",
            python("pathlib.Path(F).write_text('')"),
        ),
        Program::new("node writeFileSync", Script::bash(node)),
        Program::new("noclobber of bash", Script::bash("set -C; : > $F")).creates_only(),
        Program::new("noclobber of dash", Script::dash("set -C; : > $F")).creates_only(),
        Program::new(": > of bash", Script::bash(": > $F")).deaf(),
        Program::new(": > of dash", Script::dash(": > $F")).deaf(),
        Program::new("true > of bash", Script::bash("true > $F")).deaf(),
        Program::new("exec 3> of bash", Script::bash("exec 3>$F; exec 3>&-")).deaf(),
    ]
}

#[test]
fn a_program_that_ended_well_has_its_empty_file_in_the_bucket() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    for (n, program) in programs().into_iter().enumerate() {
        let key = format!("key-{n}");
        ground.run(program.script.env("F", &key)).ok();
        // At once: nobody waits for anything.
        let found = ground
            .other
            .get(&key)
            .map(|object| object.text().to_owned());
        assert_eq!(found.as_deref(), Some(""), "{}", program.name);
        assert_eq!(ground.puts(&key), [""], "{}", program.name);
    }
}

#[test]
fn a_store_that_denies_every_save_is_heard_of_by_each_program_that_looks() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    for n in 0..programs().len() {
        ground.other.put(&format!("old-{n}"), "before");
    }
    ground
        .proxy
        .inject(When::op(Op::Put), Fault::access_denied());
    let mut table = Vec::new();
    for kind in ["new", "old"] {
        for (n, program) in programs().into_iter().enumerate() {
            if kind == "old" && !program.empties {
                continue;
            }
            let key = format!("{kind}-{n}");
            let out = ground.run(program.script.env("F", &key));
            let said = match out.code {
                Some(0) => "ends with 0",
                _ => "fails",
            };
            table.push(format!("{}, a {kind} file: {said}", program.name));
            assert_eq!(
                out.code != Some(0),
                program.listens,
                "{}: {out:#?}",
                program.name
            );
            let found = ground
                .other
                .get(&key)
                .map(|object| object.text().to_owned());
            let before = (kind == "old").then_some("before");
            assert_eq!(found.as_deref(), before, "{}", program.name);
        }
    }
    report::write("who-hears-close", &table.join("\n"));
}
