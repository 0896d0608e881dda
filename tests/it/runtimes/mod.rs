//! What the runtimes of five languages make of a lost race: which call shows it, as what, and which
//! do not. A program of each (`programs/`) saves a key in every usual way, and loses the race to
//! another machine each time; the expectations below are what its reader can count on.
//!
//! `tests/run` prints them as tables. How the programs are built: [`languages`].

mod languages;

use languages::Language;

use crate::world::counted::Counted;
use crate::world::dialogue::Dialogue;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;
use crate::world::rescues;

/// What the calls of a step come to.
type Told = &'static [&'static str];

/// When the other machine saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Winner {
    /// After the program has prepared the step.
    First,
    /// While the program's own save is on its way to the store: the only moment between the open
    /// and the close of a function that does both.
    Between,
    /// Never.
    Nobody,
}

/// One way to save a key.
struct Step {
    name: &'static str,
    winner: Winner,
    told: Told,
}

const fn first(name: &'static str, told: Told) -> Step {
    Step {
        name,
        winner: Winner::First,
        told,
    }
}

const fn between(name: &'static str, told: Told) -> Step {
    Step {
        name,
        winner: Winner::Between,
        told,
    }
}

/// Runs the program of a language through all its steps, twice: without a winner, and with one.
fn lose(language: Language, steps: &[Step]) -> Result<(), String> {
    let version = language.version()?;
    // What the other machine makes is seen at once.
    let ground = Counted::mount(|mount| mount.flat().arg("--ttl=0"))?;
    let mut command = language.program(&version);
    command.current_dir(ground.mount.path()).env("LC_ALL", "C");
    let mut program = Dialogue::with(command);

    for step in steps {
        let key = format!("{}-alone", step.name);
        ground.other.put(&key, "before");
        let told = run(&ground, &mut program, step.name, &key, Winner::Nobody);
        assert!(
            told.iter()
                .all(|line| line.ends_with(": ok") || line.ends_with(": nothing")),
            "{language:?} {}, without a race: {told:?}",
            step.name
        );
        // What only opened the file saves nothing as long as it is open.
        if step.name != "open" {
            let saved = ground.other.text(&key);
            assert!(saved.starts_with(&text(language)), "{}: {saved}", step.name);
        }
    }
    assert_eq!(rescues::of(ground.mount.state_dir()), []);

    let mut table = format!("{version}\n");
    let mut wrong = false;
    for step in steps {
        ground.other.put(step.name, "before");
        let told = run(&ground, &mut program, step.name, step.name, step.winner);
        wrong |= told != step.told;
        assert_eq!(ground.other.text(step.name), "theirs", "{}", step.name);
        let kept = rescues::of_key(ground.mount.state_dir(), step.name);
        match step.name {
            "open" => assert_eq!(kept, [""; 0]),
            name => assert_eq!(kept, [text(language)], "{name}"),
        }
        table += &format!("{:10} {}\n", step.name, told.join("; "));
    }
    assert!(!wrong, "not as expected:\n{table}");
    program.finish();
    report::write(&format!("runtime-{}", language.name()), &table);
    Ok(())
}

/// What the program of a language writes.
fn text(language: Language) -> String {
    format!("from {}", language.name())
}

/// Runs one step; what its calls came to.
#[track_caller]
fn run(
    ground: &Counted,
    program: &mut Dialogue,
    step: &str,
    key: &str,
    winner: Winner,
) -> Vec<String> {
    program.say(&format!("{step} {key}"));
    assert_eq!(program.hear(), "ready", "{step}");
    match winner {
        Winner::Nobody => program.say("go"),
        Winner::First => {
            ground.other.put(key, "theirs");
            program.say("go");
        }
        Winner::Between => {
            let gate = Gate::new();
            let put = When::op(Op::Put).key(key).once();
            ground.proxy.inject(put, Fault::HoldRequest(gate.clone()));
            program.say("go");
            gate.wait_for(1);
            ground.other.put(key, "theirs");
            gate.open();
        }
    }
    let lines = std::iter::from_fn(|| Some(program.hear()).filter(|line| line != "done"));
    lines.collect()
}

/// `BlockingIOError` is what Python calls EAGAIN. A file that is closed by its last reference says
/// nothing.
#[test]
fn python_raises_blocking_io_error_unless_the_file_is_not_closed() {
    let steps = [
        first(
            "fsync",
            &[
                "fsync: BlockingIOError EAGAIN",
                "write: OSError ESTALE",
                "close: BlockingIOError EAGAIN",
            ],
        ),
        first("close", &["close: BlockingIOError EAGAIN"]),
        first("rename", &["rename: BlockingIOError EAGAIN"]),
        first("open", &["open: BlockingIOError EAGAIN"]),
        between("whole", &["write_text: BlockingIOError EAGAIN"]),
        between("dropped", &["no close: ok"]),
    ];
    or_skip!(lose(Language::Python, &steps));
}

/// A stream has finished before its file is closed: who listens to `finish` alone hears of a success.
#[test]
fn node_has_the_code_eagain_and_a_stream_has_it_after_finish() {
    let steps = [
        first(
            "fsync",
            &[
                "fsync: Error EAGAIN",
                "write: Error ESTALE",
                "close: Error EAGAIN",
            ],
        ),
        first("close", &["close: Error EAGAIN"]),
        first("rename", &["rename: Error EAGAIN"]),
        first("open", &["open: Error EAGAIN"]),
        between("whole", &["writeFile: Error EAGAIN"]),
        between("stream", &["finish: ok", "error: Error EAGAIN"]),
        between("pipeline", &["pipeline: Error EAGAIN"]),
    ];
    or_skip!(lose(Language::Node, &steps));
}

/// Go polls its files and would wait for one whose write says EAGAIN; no call hangs.
#[test]
fn go_returns_eagain_unless_nobody_looks_at_what_close_returns() {
    let steps = [
        first(
            "fsync",
            &["fsync: EAGAIN", "write: ESTALE", "close: EAGAIN"],
        ),
        first("close", &["close: EAGAIN"]),
        first("rename", &["rename: EAGAIN"]),
        first("open", &["open: EAGAIN"]),
        between("whole", &["WriteFile: EAGAIN"]),
        between("deferred", &["defer Close: ok"]),
    ];
    or_skip!(lose(Language::Go, &steps));
}

/// The end of a `File` closes it and looks at nothing: so do `fs::write` and `BufWriter`.
#[test]
fn rust_shows_would_block_from_sync_and_rename_and_open_and_nothing_from_drop() {
    let steps = [
        first(
            "fsync",
            &[
                "sync_all: WouldBlock",
                "write: StaleNetworkFileHandle",
                "drop: nothing",
            ],
        ),
        first("close", &["drop: nothing"]),
        first("rename", &["rename: WouldBlock"]),
        first("open", &["open: WouldBlock"]),
        between("whole", &["fs::write: ok"]),
        between("buffered", &["BufWriter flush: ok", "drop: nothing"]),
    ];
    or_skip!(lose(Language::Rust, &steps));
}

/// Java has no errno, but for the text, and `FileDescriptor.sync` not even that. An open that is refused
/// is a `FileNotFoundException`, whatever the reason.
#[test]
fn java_throws_an_io_exception_with_the_text_of_eagain() {
    let steps = [
        first(
            "fsync",
            &[
                "FileDescriptor.sync: SyncFailedException (sync failed)",
                "write: IOException (Stale file handle)",
                "close: IOException (Resource temporarily unavailable)",
            ],
        ),
        first(
            "force",
            &[
                "FileChannel.force: IOException (Resource temporarily unavailable)",
                "write: IOException (Stale file handle)",
                "close: IOException (Resource temporarily unavailable)",
            ],
        ),
        first(
            "close",
            &["close: IOException (Resource temporarily unavailable)"],
        ),
        first(
            "rename",
            &[
                "Files.move: FileSystemException (rename.new -> rename: Resource temporarily unavailable)",
            ],
        ),
        first(
            "open",
            &["FileOutputStream: FileNotFoundException (open (Resource temporarily unavailable))"],
        ),
        between(
            "whole",
            &["Files.writeString: IOException (Resource temporarily unavailable)"],
        ),
    ];
    or_skip!(lose(Language::Java, &steps));
}
