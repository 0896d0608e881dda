//! The programs of docs/retry.md, taken from the page: each loses one race for certain and begins
//! again, and then four of it at a time lose no increment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::counted::Counted;
use crate::world::mounts::Mount;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;

const PAGE: &str = include_str!("../../../docs/retry.md");

/// How many of a program run at a time on each of two mounts, and how often each adds 1.
const EACH: usize = 2;
const TIMES: usize = 10;

/// A program of the page.
struct Program {
    /// Its heading.
    heading: &'static str,
    /// The name that its file gets.
    file: &'static str,
    /// What makes a program of the file, if it has to be made.
    compiler: &'static [&'static str],
    /// What runs it.
    runner: &'static [&'static str],
}

const PROGRAMS: [Program; 6] = [
    Program {
        heading: "Shell",
        file: "increment.sh",
        compiler: &[],
        runner: &["sh", "increment.sh"],
    },
    Program {
        heading: "Python",
        file: "increment.py",
        compiler: &[],
        runner: &["python3", "increment.py"],
    },
    Program {
        heading: "Node",
        file: "increment.mjs",
        compiler: &[],
        runner: &["node", "increment.mjs"],
    },
    Program {
        heading: "Go",
        file: "increment.go",
        compiler: &["go", "build", "-o", "increment-go", "increment.go"],
        runner: &["./increment-go"],
    },
    Program {
        heading: "Rust",
        file: "increment.rs",
        compiler: &[
            "rustc",
            "--edition=2024",
            "-o",
            "increment-rust",
            "increment.rs",
        ],
        runner: &["./increment-rust"],
    },
    Program {
        heading: "Clojure",
        file: "increment.clj",
        compiler: &[],
        runner: &["clojure", "increment.clj"],
    },
];

/// The first block of code below a heading of the page.
fn code(heading: &str) -> &'static str {
    let (_, below) = PAGE
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("the page has no {heading}"));
    let block = below.split("```").nth(1).expect("a block of code");
    block.split_once('\n').expect("a language, and lines").1
}

impl Program {
    /// Takes the program from the page, and makes it.
    ///
    /// # Errors
    /// The language is not installed.
    fn make(&self, directory: &Path) -> Result<(), String> {
        fs::write(directory.join(self.file), code(self.heading)).unwrap();
        let tools = [self.compiler.first(), self.runner.first()];
        for tool in tools
            .into_iter()
            .flatten()
            .filter(|tool| !tool.starts_with('.'))
        {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output();
            if !found.unwrap().status.success() {
                return Err(format!("{tool} is not installed; run tests/setup"));
            }
        }
        if let [compiler, arguments @ ..] = self.compiler {
            let out = Command::new(compiler)
                .args(arguments)
                .current_dir(directory)
                .env("GO111MODULE", "off")
                .env("GOPROXY", "off")
                .output()
                .unwrap();
            assert!(out.status.success(), "{}: {out:#?}", self.heading);
        }
        Ok(())
    }

    /// The program, to add 1 so often.
    fn command(&self, made: &Path, file: PathBuf, times: usize) -> Command {
        let [runner, arguments @ ..] = self.runner else {
            unreachable!("every program has one");
        };
        let mut command = Command::new(runner);
        command
            .args(arguments)
            .arg(file)
            .arg(times.to_string())
            .current_dir(made)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// One race that it loses, then all races at once; how many saves were refused.
    fn race(&self) -> Result<usize, String> {
        let made = tempfile::tempdir().unwrap();
        let here = Counted::mount(|mount| mount.flat())?;
        self.make(made.path())?;
        let there = Mount::of(&here.bucket).flat().start();

        here.other.put("counter", "7\n");
        let gate = Gate::new();
        let put = When::op(Op::Put).key("counter").once();
        here.proxy.inject(put, Fault::HoldRequest(gate.clone()));
        let one = self.command(made.path(), here.mount.file("counter"), 1);
        let one = run(one);
        gate.wait_for(1);
        here.other.put("counter", "100\n");
        gate.open();
        one.ok(self.heading);
        assert_eq!(here.other.text("counter"), "101\n", "{}", self.heading);

        here.other.put("counter", "0\n");
        let running: Vec<_> = [&here.mount, &there]
            .into_iter()
            .flat_map(|mount| (0..EACH).map(|_| mount.file("counter")))
            .map(|file| run(self.command(made.path(), file, TIMES)))
            .collect();
        for one in running {
            one.ok(self.heading);
        }
        let all = format!("{}\n", 2 * EACH * TIMES);
        assert_eq!(here.other.text("counter"), all, "{}", self.heading);
        let refused = [&here.mount, &there].map(|mount| {
            let told = fs::read_to_string(mount.file(".etagfs/conflicts")).unwrap();
            told.lines().count()
        });
        Ok(refused.iter().sum())
    }
}

/// A running program; ended when it is dropped.
struct Run(Option<std::process::Child>);

fn run(mut command: Command) -> Run {
    Run(Some(command.spawn().unwrap()))
}

impl Run {
    #[track_caller]
    fn ok(mut self, what: &str) {
        let child = self.0.take().expect("it runs");
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{what}: {out:#?}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[track_caller]
fn all_increments_are_kept(heading: &str) -> Result<(), String> {
    let program = PROGRAMS.iter().find(|program| program.heading == heading);
    let refused = program.expect("a program of the page").race()?;
    let line = format!(
        "{} of {} increments kept, {refused} saves refused and done again",
        2 * EACH * TIMES,
        2 * EACH * TIMES
    );
    report::write(&format!("retry loop in {heading}"), &line);
    assert!(refused > 0, "{heading}");
    Ok(())
}

#[test]
fn the_loop_in_shell_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Shell"));
}

#[test]
fn the_loop_in_python_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Python"));
}

#[test]
fn the_loop_in_node_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Node"));
}

#[test]
fn the_loop_in_go_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Go"));
}

#[test]
fn the_loop_in_rust_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Rust"));
}

#[test]
fn the_loop_in_clojure_keeps_every_increment() {
    or_skip!(all_increments_are_kept("Clojure"));
}

#[test]
fn every_program_of_the_page_is_run() {
    let headings: Vec<_> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let run: Vec<_> = PROGRAMS.iter().map(|program| program.heading).collect();
    assert_eq!(headings, run);
}
