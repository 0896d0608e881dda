//! A terminal that a test types into and reads from: a tmux server of its own, one window at a time,
//! of a fixed size. It knows keys and screens, not editors. The server ends with the test; a failing
//! test prints the last screen.
//!
//! ```ignore
//! let terminal = Terminal::start();
//! terminal.run("cat", Path::new("/"));
//! terminal.text("hello");
//! terminal.press("Enter");
//! wait::until("an echo", SOON, || terminal.screen().matches("hello").count() == 2);
//! ```

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::world::tied::{self, OnOurDeath, Tied};
use crate::world::wait;

const COLUMNS: &str = "120";
const ROWS: &str = "24";

const CONFIGURATION: &str = "\
set -g status off
set -g default-terminal screen-256color
set -g default-shell /bin/sh
";

/// What the screen shows when the command has ended, and then the exit status.
pub(crate) const ENDED: &str = "ended with exit status ";

/// A terminal; its programs are hung up on drop.
pub(crate) struct Terminal {
    name: String,
    home: TempDir,
    _server: Tied,
}

impl Terminal {
    /// Starts one, with a home directory of its own.
    pub(crate) fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("etagfs-test-{}-{number}", std::process::id());
        let home = tempfile::Builder::new()
            .prefix("etagfs-home-")
            .tempdir()
            .unwrap();
        let configuration = home.path().join(".tmux.conf");
        std::fs::write(&configuration, CONFIGURATION).unwrap();

        let mut server = tied::command("tmux", OnOurDeath::Kill);
        server
            .args(["-L", &name, "-D", "-f"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        environment(&mut server, home.path());
        let terminal = Self {
            name,
            _server: tied::spawn(server),
            home,
        };
        wait::until("the terminal is there", wait::SOON, || {
            terminal.tmux(&["show-options", "-g"]).status.success()
        });
        terminal
    }

    /// Runs a command of the shell in a directory, on an empty screen; whatever ran before is hung up.
    /// Its end is told with the exit status, see [`ENDED`]; nobody stays in the directory then.
    #[track_caller]
    pub(crate) fn run(&self, command: &str, directory: &Path) {
        // There is none at first.
        let _ = self.tmux(&["kill-session"]);
        let directory = directory.display();
        let command = format!("(cd {directory} && exec {command}); echo \"{ENDED}$?\"; exec cat");
        let out = self.tmux(&["new-session", "-d", "-x", COLUMNS, "-y", ROWS, &command]);
        assert!(out.status.success(), "{command}: {out:?}");
    }

    /// Makes the window another size, and tells the program.
    #[track_caller]
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let out = self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
        assert!(out.status.success(), "{out:?}");
    }

    /// Types a text.
    #[track_caller]
    pub(crate) fn text(&self, text: &str) {
        self.send(&["send-keys", "-l", "--", text]);
    }

    /// Presses a key by its name in tmux: `Enter`, `C-s`, `F2`.
    #[track_caller]
    pub(crate) fn press(&self, key: &str) {
        self.send(&["send-keys", "--", key]);
    }

    /// Makes the screen empty behind the back of the program, and puts the cursor at its top.
    #[track_caller]
    pub(crate) fn wipe(&self) {
        self.send(&["send-keys", "-R"]);
    }

    #[track_caller]
    fn send(&self, arguments: &[&str]) {
        let out = self.tmux(arguments);
        assert!(out.status.success(), "{arguments:?}: {out:?}");
    }

    /// What is on the screen, line by line.
    pub(crate) fn screen(&self) -> String {
        let out = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.name]).args(arguments);
        environment(&mut command, self.home.path());
        command.output().unwrap()
    }
}

/// Nothing of the person who runs the tests, but where programs are.
fn environment(command: &mut Command, home: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .env("TMUX_TMPDIR", home)
        .env("LANG", "C.UTF-8")
        .env("TERM", "xterm");
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the last screen ---\n{}", self.screen().trim_end());
        }
        let _ = self.tmux(&["kill-server"]);
    }
}
