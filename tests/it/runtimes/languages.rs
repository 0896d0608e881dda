//! How the program of each language is built and started. What it does is in `programs/`, what is
//! expected of it in [`super`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/runtimes/programs");

/// A language.
#[derive(Clone, Copy, Debug)]
pub(super) enum Language {
    Python,
    Node,
    Go,
    Rust,
    Java,
}

impl Language {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Java => "java",
        }
    }

    fn source(self) -> PathBuf {
        Path::new(PROGRAMS).join(match self {
            Self::Python => "writer.py",
            Self::Node => "writer.mjs",
            Self::Go => "writer.go",
            Self::Rust => "writer.rs",
            Self::Java => "Writer.java",
        })
    }

    /// The version that is installed.
    ///
    /// # Errors
    /// It is not: the reason, for `or_skip!`.
    pub(super) fn version(self) -> Result<String, String> {
        let (program, argument) = match self {
            Self::Python => ("python3", "--version"),
            Self::Node => ("node", "--version"),
            Self::Go => ("go", "version"),
            Self::Rust => ("rustc", "--version"),
            Self::Java => ("javac", "--version"),
        };
        let out = Command::new(program).arg(argument).output();
        let out = out.map_err(|error| format!("{program}: {error}; run tests/setup"))?;
        assert!(out.status.success(), "{program} {argument}: {out:?}");
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    /// The program, built if its source or the language changed since it last was.
    ///
    /// # Panics
    /// When it cannot be built.
    pub(super) fn program(self, version: &str) -> Command {
        let source = self.source();
        match self {
            Self::Python => {
                let mut command = Command::new("python3");
                command.arg(source);
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(source);
                command
            }
            Self::Go | Self::Rust => Command::new(self.built(version).join("writer")),
            Self::Java => {
                let mut command = Command::new("java");
                // A small and quickly started machine: there are two processors for all tests.
                command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m"]);
                command.arg("-cp").arg(self.built(version)).arg("Writer");
                command
            }
        }
    }

    /// The directory with what the compiler made.
    fn built(self, version: &str) -> PathBuf {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes");
        let directory = all.join(self.name());
        let made_of = format!("{version}\n{}", fs::read_to_string(self.source()).unwrap());
        let is_made =
            || fs::read_to_string(directory.join("made-of")).is_ok_and(|of| of == made_of);
        if !is_made() {
            fs::create_dir_all(&all).unwrap();
            // Beside it, and then at once: other tests may run at the same time.
            let fresh = tempfile::tempdir_in(&all).unwrap();
            self.compile(fresh.path());
            fs::write(fresh.path().join("made-of"), &made_of).unwrap();
            let _ = fs::remove_dir_all(&directory);
            if fs::rename(fresh.path(), &directory).is_err() {
                assert!(is_made(), "{} cannot be replaced", directory.display());
            }
        }
        directory
    }

    fn compile(self, into: &Path) {
        let mut command = match self {
            Self::Go => {
                let mut command = Command::new("go");
                command
                    .args(["build", "-o"])
                    .arg(into.join("writer"))
                    // It needs no module and no network.
                    .env("GO111MODULE", "off")
                    .env("GOPROXY", "off");
                command
            }
            Self::Rust => {
                let mut command = Command::new("rustc");
                command
                    .args(["--edition", "2024", "-o"])
                    .arg(into.join("writer"));
                command
            }
            Self::Java => {
                let mut command = Command::new("javac");
                command.arg("-d").arg(into);
                command
            }
            Self::Python | Self::Node => unreachable!("{self:?} has no compiler"),
        };
        let out = command.arg(self.source()).output().unwrap();
        assert!(out.status.success(), "{command:?}: {out:#?}");
    }
}
