//! Where the tools work: a counted mount, and a second one that is another machine. A script finds
//! its key in `$F`, a directory of its own outside of the mount in `$D`, and in `$THEIRS` a command
//! that saves a key on the other machine before it returns: so a script decides itself when it loses.
//!
//! ```ignore
//! let bench = or_skip!(Bench::new(&[("key", "old\n")]));
//! let done = bench.run("key", "n=$(cat $F); $THEIRS $F; echo $n > $F");
//! assert_eq!(done.code, Some(1));
//! ```

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Output, Running, Script, write_program};
use crate::world::proxy::{Fault, Gate, Log, Op, When};
use crate::world::rescues;
use crate::world::servers::{self, Kind};
use crate::world::wait::{self, SOON};

/// What the other machine saves.
pub(super) const THEIRS: &str = "theirs\n";

/// Two mounts of a bucket: the tools' and, never looked into, the other machine's.
pub(super) struct Bench {
    pub(super) ground: Counted,
    _other: Mounted,
    outside: TempDir,
}

impl Bench {
    /// A bench whose bucket holds these objects from the beginning: a listing may be a second old.
    ///
    /// # Errors
    /// Why nothing can be mounted here.
    pub(super) fn new<'a>(
        objects: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        Self::mounted(objects, Mount::flat)
    }

    /// As [`new`](Self::new), with the tools' mount made like this.
    ///
    /// # Errors
    /// Why nothing can be mounted here.
    pub(super) fn mounted<'a>(
        objects: impl IntoIterator<Item = (&'a str, &'a str)>,
        options: impl FnOnce(Mount) -> Mount,
    ) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        for (key, text) in objects {
            bucket.client().put(key, text.to_owned());
        }
        let outside = tempfile::tempdir().unwrap();
        let other = Mount::of(&bucket).flat().start();
        let theirs = outside.path().join("theirs");
        let at = other.path().display();
        let text = THEIRS.trim_end();
        write_program(
            &theirs,
            &format!(
                "#!/bin/sh\n# Keeps a pipe that it writes to open until it has saved.\n/bin/echo {text} > {at}/\"$1\"\n"
            ),
        );
        write_program(
            &outside.path().join("theirs-again"),
            &format!("#!/bin/sh\n/bin/echo more {text} > {at}/\"$1\"\n"),
        );
        Ok(Self {
            ground: Counted::of(&bucket, options),
            _other: other,
            outside,
        })
    }

    /// Looks at the bucket.
    pub(super) fn bucket(&self) -> &Client {
        &self.ground.other
    }

    /// The directory `$D` of a key.
    pub(super) fn outside(&self, key: &str) -> PathBuf {
        let directory = self.outside.path().join(key.replace('/', "_"));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    /// A script in the mount, with the variables of a key.
    pub(super) fn script(&self, key: &str, script: Script) -> Script {
        script
            .within(self.ground.mount.path())
            .env("F", key)
            .env("D", self.outside(key))
            .env("THEIRS", self.outside.path().join("theirs"))
            .env("TMPDIR", self.outside(key))
            // Nothing of the person who runs the tests.
            .env("HOME", self.outside(key))
            .env("LC_ALL", "C")
    }

    /// Runs a script for bash.
    pub(super) fn run(&self, key: &str, text: &str) -> Output {
        self.script(key, Script::bash(text)).run()
    }

    /// Starts a script for bash.
    pub(super) fn start(&self, key: &str, text: &str) -> Running {
        self.script(key, Script::bash(text)).start()
    }

    /// Runs a script for bash, and lets the other machine save its key just before its first request
    /// that would change that key arrives.
    pub(super) fn run_into_a_late_save(&self, key: &str, saved: &str, text: &str) -> Output {
        let gate = Gate::new();
        let put = When::op(Op::Put).key(saved).once();
        self.ground
            .proxy
            .inject(put, Fault::HoldRequest(gate.clone()));
        let running = self.start(key, text);
        let came = wait::eventually(SOON, || gate.arrived() > 0 || running.ended());
        assert!(came && gate.arrived() > 0, "nothing was saved: {text}");
        self.bucket().put(saved, THEIRS);
        gate.open();
        running.finish()
    }

    /// The requests of a run, when all of them are over.
    pub(super) fn requests_of<T>(&self, puts: usize, run: impl FnOnce() -> T) -> (T, Log) {
        let mark = self.ground.proxy.mark();
        let result = run();
        // Some saves happen after the call that causes them has returned.
        let _ = wait::eventually(SOON, || {
            self.ground.proxy.since(mark).counts().of(Op::Put) >= puts
        });
        self.ground.proxy.settle();
        (result, self.ground.proxy.since(mark))
    }

    /// `.etagfs/conflicts`, the lines that tell of a key.
    pub(super) fn conflicts(&self, key: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.ground.mount.file(".etagfs/conflicts")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &serde_json::Value| line["key"] == key)
            .collect()
    }

    /// How many saves were lost on the tools' mount.
    pub(super) fn losses(&self) -> usize {
        let text = fs::read_to_string(self.ground.mount.file(".etagfs/conflicts")).unwrap();
        text.lines().count()
    }

    /// The kept bytes of a key's lost saves.
    pub(super) fn rescued(&self, key: &str) -> Vec<String> {
        rescues::of_key(self.ground.mount.state_dir(), key)
    }
}

/// Why this tool cannot be tested, if it is not installed.
pub(super) fn missing(program: &str) -> Option<String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|directory| directory.join(program).is_file());
    (!found).then(|| format!("{program} is not installed"))
}

/// What a program said last, for a table.
pub(super) fn said(output: &Output) -> String {
    let last = output.stderr.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or_default().trim().chars().take(90).collect()
}
