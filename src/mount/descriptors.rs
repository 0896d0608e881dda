//! Which processes can write to a file: what `/proc` says of their descriptors.
//!
//! When a flush arrives, the descriptor that was closed is gone from the table of its process already.
//! `/proc/PID/fdinfo` (proc(5)) tells of each of the others how it was opened, and the mount and number
//! of its file, without asking any filesystem. That they are the same file whatever it is called is known
//! by the number and by the device of the mount; a process may see the mount elsewhere (another mount
//! namespace, a bind mount), so that its own table of mounts is asked. None of this waits for an execve
//! on Linux 6.18; the links in `/proc/PID/fd` would. Before Linux 5.14 the number is not told.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use super::table;

/// What is looked for: descriptors of one mount.
#[derive(Debug)]
pub(super) struct Descriptors {
    mounted_at: PathBuf,
    device: OnceLock<String>,
}

impl Descriptors {
    pub(super) fn new(mounted_at: &Path) -> Self {
        Self {
            mounted_at: mounted_at.to_owned(),
            device: OnceLock::new(),
        }
    }

    /// Whether a process, or one that descends from it, can write to a file. `thread` is one of the
    /// process's, and its descriptors are meant: the first thread of a process may have ended. The file has
    /// one of these numbers.
    pub(super) fn can_write(
        &self,
        process: u32,
        thread: u32,
        file: &[u64],
        until: Instant,
    ) -> Option<bool> {
        let device = self.device()?;
        if writes(thread, file, device, until)? {
            return Some(true);
        }
        let mut next = children(process)?;
        while let Some(child) = next.pop() {
            let seen = writes(child, file, device, until).zip(children(child));
            match seen {
                Some((true, _)) => return Some(true),
                Some((false, children)) => next.extend(children),
                // It may have ended meanwhile, and has nothing open then.
                None if is_there(child) => return None,
                None => {}
            }
        }
        Some(false)
    }

    fn device(&self) -> Option<&str> {
        if self.device.get().is_none() {
            let found = table::device_at(&self.mounted_at).ok()??;
            return Some(self.device.get_or_init(|| found));
        }
        self.device.get().map(String::as_str)
    }
}

/// Whether a thread has a descriptor that can write to this file.
fn writes(thread: u32, file: &[u64], device: &str, until: Instant) -> Option<bool> {
    for descriptor in fs::read_dir(format!("/proc/{thread}/fdinfo")).ok()? {
        if Instant::now() > until {
            return None;
        }
        let info = match head(&descriptor.ok()?.path()) {
            Ok(text) => Info::parse(&text)?,
            // It was closed meanwhile, by another thread.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => return None,
        };
        if info.can_write && file.contains(&info.file) && is_at(thread, info.mount, device)? {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether what a process has mounted there, by the number of the mount, is this device. What is in its
/// table of mounts no more may be.
fn is_at(thread: u32, mount: u64, device: &str) -> Option<bool> {
    let mounts = fs::read_to_string(format!("/proc/{thread}/mountinfo")).ok()?;
    let found = table::device_of(&mounts, mount);
    Some(found.is_none_or(|found| found == device))
}

/// The first lines of a file of `/proc`; those of an epoll descriptor have thousands.
fn head(path: &Path) -> io::Result<String> {
    let mut text = [0; 256];
    let len = File::open(path)?.read(&mut text)?;
    Ok(String::from_utf8_lossy(&text[..len]).into_owned())
}

/// The processes that the threads of a process have started. A kernel without that file (it is an option of
/// its configuration) knows of none.
fn children(process: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        match fs::read_to_string(thread.ok()?.path().join("children")) {
            Ok(text) => {
                let ids = text.split_ascii_whitespace();
                found.extend(ids.filter_map(|id| id.parse::<u32>().ok()));
            }
            // Or the thread has ended.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(found)
}

fn is_there(process: u32) -> bool {
    // Its directory has this name, whether or not it lets itself be looked at.
    fs::symlink_metadata(format!("/proc/{process}")).is_ok()
}

/// What `/proc/PID/fdinfo/N` says of any descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Info {
    can_write: bool,
    mount: u64,
    file: u64,
}

impl Info {
    fn parse(text: &str) -> Option<Self> {
        let field = |name| {
            let value = |line: &str| Some(line.strip_prefix(name)?.trim().to_owned());
            text.lines().find_map(value)
        };
        let flags = i32::from_str_radix(&field("flags:")?, 8).ok()?;
        Some(Self {
            // Neither O_RDONLY nor O_PATH.
            can_write: flags & libc::O_ACCMODE != libc::O_RDONLY && flags & libc::O_PATH == 0,
            mount: field("mnt_id:")?.parse().ok()?,
            file: field("ino:")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_descriptor_is_read_whatever_follows() {
        let info = |flags: &str| {
            let text = format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t29\nino:\t7\nlock:\t1: FLOCK\n");
            Info::parse(&text).expect("it is complete").can_write
        };
        // O_WRONLY, O_RDWR with O_CLOEXEC; O_RDONLY with O_LARGEFILE, O_PATH.
        assert!(info("0100001") && info("02100002"));
        assert!(!info("0100000") && !info("012000000"));
        let complete = Info {
            can_write: true,
            mount: 29,
            file: 7,
        };
        assert_eq!(
            Info::parse("flags:\t01\nmnt_id:\t29\nino:\t7\n"),
            Some(complete)
        );
        // Before Linux 5.14.
        assert_eq!(Info::parse("pos:\t0\nflags:\t01\nmnt_id:\t29\n"), None);
    }

    #[test]
    fn the_descriptors_of_this_process_and_its_children_are_found() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let file = File::create(&path).expect("a file");
        let meta = file.metadata().expect("it is there");
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        let descriptors = Descriptors {
            mounted_at: PathBuf::new(),
            device: OnceLock::from(format!("{major}:{minor}")),
        };
        let me = std::process::id();
        let until = Instant::now() + std::time::Duration::from_secs(60);
        let can_write = || descriptors.can_write(me, me, &[meta.ino()], until);
        assert_eq!(can_write(), Some(true));
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(file)
            .spawn()
            .expect("cat runs");
        assert_eq!(can_write(), Some(true));
        drop(child.stdin.take());
        child.wait().expect("it ended");
        // To read is not to write; and other tests' children may have been forked in between.
        let _reads = File::open(&path).expect("it is there");
        while can_write() == Some(true) && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(can_write(), Some(false));
        assert_eq!(
            descriptors.can_write(me, me, &[meta.ino()], Instant::now()),
            None
        );
    }
}
