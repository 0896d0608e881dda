//! Processes of whose descriptors the daemon sees nothing: those of another user, without the right to look
//! at them; and those of another PID namespace. What is created exclusively is saved by the first close
//! there, and heard; the rest at the last one, unheard, and never an emptied value in between (W2, W15).

use std::path::PathBuf;

use crate::world::counted::Counted;
use crate::world::procs::{Script, write_program};
use crate::world::proxy::{Fault, Op, When};
use crate::world::wait;

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// A daemon that cannot look, and how users are to be run.
struct Blind {
    ground: Counted,
    user: &'static str,
    _programs: tempfile::TempDir,
}

impl Blind {
    /// A daemon that is started by this command.
    fn by(launcher: &str, user: &'static str) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can start a daemon that may not look".to_owned());
        }
        let programs = tempfile::tempdir().unwrap();
        let program: PathBuf = programs.path().join("etagfs");
        write_program(
            &program,
            &format!("#!/bin/sh\nexec {launcher} '{ETAGFS}' \"$@\"\n"),
        );
        let ground = Counted::mount(|mount| {
            let modes = [
                "--flat",
                "--allow-other",
                "--file-mode=666",
                "--dir-mode=777",
            ];
            mount.by(&program).args(&modes)
        })?;
        // Other users have to get there.
        Script::bash("chmod 755 ..")
            .within(ground.mount.path())
            .run()
            .ok();
        Ok(Self {
            ground,
            user,
            _programs: programs,
        })
    }

    fn another_user() -> Result<Self, String> {
        // Root without this right looks at other users as they look at each other.
        let launcher = "setpriv --bounding-set=-sys_ptrace --inh-caps=-all --";
        Self::by(
            launcher,
            "setpriv --reuid 65534 --regid 65534 --clear-groups --",
        )
    }

    fn another_namespace() -> Result<Self, String> {
        Self::by("unshare --pid --fork --kill-child --", "")
    }

    /// Runs a script as a user; its exit code.
    fn run(&self, shell: &str, text: &str) -> Option<i32> {
        let script = format!("exec {} {shell} -c \"$TEXT\"", self.user);
        self.ground
            .run(Script::bash(&script).env("TEXT", text))
            .code
    }

    #[track_caller]
    fn keeps_the_promises(self) {
        let exclusive = |key: &str| {
            let how = "O_WRONLY | O_CREAT | O_EXCL";
            format!(
                "perl -MFcntl -e 'sysopen my $f, \"{key}\", {how} or exit 2; close $f or exit 1'"
            )
        };
        assert_eq!(self.run("dash", &exclusive("exclusive")), Some(0));
        assert_eq!(self.ground.puts("exclusive"), [""]);
        for (key, shell, text, value) in [
            ("touched", "bash", "touch touched", ""),
            ("emptied", "dash", ": > emptied", ""),
            ("echoed", "bash", "echo hi > echoed", "hi\n"),
            ("grouped", "bash", "(true; /bin/echo hi) > grouped", "hi\n"),
            ("copied", "bash", "cp emptied copied", ""),
        ] {
            assert_eq!(self.run(shell, text), Some(0), "{key}");
            self.ground.wait_for_puts(key, 1);
            assert_eq!(self.ground.puts(key), [value], "{key}");
        }
        let denied = When::op(Op::Put);
        self.ground.proxy.inject(denied, Fault::access_denied());
        assert_eq!(self.run("dash", &exclusive("denied")), Some(1));
        // And this is what is not promised: it says so in the contract.
        assert_eq!(self.run("bash", "touch unheard"), Some(0));
        let log = || self.ground.mount.log();
        wait::until("the log says so", wait::SOON, || {
            log().contains("unheard was denied")
        });
        self.ground.proxy.heal();
        self.ground.unmount();
    }
}

#[test]
fn of_another_users_files_those_that_are_created_exclusively_are_saved_by_the_first_close() {
    or_skip!(Blind::another_user()).keeps_the_promises();
}

#[test]
fn in_another_pid_namespace_what_is_created_exclusively_is_saved_by_the_first_close() {
    or_skip!(Blind::another_namespace()).keeps_the_promises();
}
