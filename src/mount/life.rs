//! Whether a process goes on: a pidfd for each that has files open for writing.
//!
//! However many files it has. Descriptors are scarce (1024 by default, and the store and the rescues
//! need some), so no more than a quarter of them watches processes; a process for which there is none is
//! looked at when somebody asks. Only the kernel's word that there is no such process means that it is
//! gone: whoever is taken for dead may find a half of its file saved (W2).

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::limit::descriptor_limit;
use crate::model::Process;
use crate::vfs::Life;

/// Which processes are watched.
#[derive(Clone, Debug)]
pub(super) struct Lives {
    watched: Arc<Mutex<HashMap<Process, Weak<WatchedProcess>>>>,
    /// How many descriptors may watch at a time.
    most: usize,
}

impl Lives {
    pub(super) fn new() -> Self {
        Self {
            watched: Arc::default(),
            most: descriptor_limit() / 4,
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Process, Weak<WatchedProcess>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a process that waits for an answer, so that its number cannot be another's yet.
    pub(super) fn watch(&self, process: Process) -> Arc<dyn Life> {
        let mut watched = self.watched();
        if let Some(known) = watched.get(&process).and_then(Weak::upgrade) {
            return known;
        }
        let has_room = watched.len() < self.most;
        let state = match has_room.then(|| open(process.id)) {
            Some(Ok(pidfd)) => Pidfd::Held(pidfd),
            Some(Err(Errno::SRCH)) => Pidfd::Gone,
            Some(Err(_)) | None => Pidfd::AskedFor,
        };
        let life = Arc::new(WatchedProcess {
            process,
            state,
            among: self.clone(),
        });
        if !matches!(life.state, Pidfd::AskedFor) {
            watched.insert(process, Arc::downgrade(&life));
        }
        life
    }
}

/// A process, for as long as somebody wants to know of it.
#[derive(Debug)]
struct WatchedProcess {
    process: Process,
    state: Pidfd,
    among: Lives,
}

#[derive(Debug)]
enum Pidfd {
    /// By this pidfd, which becomes readable when the process ends (pidfd_open(2)).
    Held(OwnedFd),
    /// By a pidfd of the moment.
    AskedFor,
    /// There was none.
    Gone,
}

impl Life for WatchedProcess {
    fn goes_on(&self) -> bool {
        match &self.state {
            Pidfd::Held(pidfd) => !has_ended(pidfd),
            Pidfd::AskedFor => match open(self.process.id) {
                Ok(pidfd) => !has_ended(&pidfd),
                Err(error) => error != Errno::SRCH,
            },
            Pidfd::Gone => false,
        }
    }
}

impl Drop for WatchedProcess {
    fn drop(&mut self) {
        let mut watched = self.among.watched();
        // Somebody may have begun to watch it anew between the last use of this one and now.
        let is_this = |known: &Weak<Self>| known.strong_count() == 0;
        if watched.get(&self.process).is_some_and(is_this) {
            watched.remove(&self.process);
        }
    }
}

fn open(process: u32) -> Result<OwnedFd, Errno> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    pidfd_open(pid.ok_or(Errno::SRCH)?, PidfdFlags::empty())
}

/// A zombie has.
fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut poll_fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    matches!(poll(&mut poll_fds, Some(&now)), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn cat() -> Child {
        let cat = Command::new("cat").stdin(Stdio::piped()).spawn();
        cat.expect("cat runs")
    }

    fn process(child: &Child) -> Process {
        Process {
            id: child.id(),
            start: 0,
        }
    }

    fn ends(life: &Arc<dyn Life>) -> bool {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while life.goes_on() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        !life.goes_on()
    }

    #[test]
    fn a_process_that_ended_does_not_go_on_even_before_it_is_waited_for() {
        for most in [1, 0] {
            let lives = Lives {
                most,
                ..Lives::new()
            };
            let mut child = cat();
            let life = lives.watch(process(&child));
            assert!(life.goes_on());
            drop(child.stdin.take());
            assert!(ends(&life), "with {most} pidfds");
            child.wait().expect("it ended");
            assert!(!life.goes_on() && !lives.watch(process(&child)).goes_on());
        }
    }

    #[test]
    fn a_process_is_watched_once_however_many_files_it_has_open() {
        let lives = Lives::new();
        let me = Process {
            id: std::process::id(),
            start: 0,
        };
        let (one, two) = (lives.watch(me), lives.watch(me));
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(lives.watched().len(), 1);
        drop(one);
        assert!(two.goes_on());
        drop(two);
        assert!(lives.watched().is_empty());
        assert!(lives.watch(me).goes_on());
    }

    #[test]
    fn who_has_no_pidfd_goes_on_until_the_kernel_says_that_it_does_not() {
        let lives = Lives {
            most: 1,
            ..Lives::new()
        };
        let (mut one, mut two) = (cat(), cat());
        let held = lives.watch(process(&one));
        let asked = lives.watch(process(&two));
        assert_eq!(lives.watched().len(), 1);
        assert!(held.goes_on() && asked.goes_on());
        drop((one.stdin.take(), two.stdin.take()));
        assert!(ends(&held) && ends(&asked));
        one.wait().expect("it ended");
        two.wait().expect("it ended");
    }
}
