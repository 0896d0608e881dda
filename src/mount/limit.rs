//! How many descriptors this process may have.
//!
//! It is read in `/proc/self/limits` (proc(5)): getrlimit(2) is one call with setrlimit(2) on Linux
//! (prlimit(2)), which services are often forbidden, and rustix believes that it cannot fail.
//!
//! When there is none left, the process table must still be readable: whoever is not known to have
//! read a key is blind, and would overwrite what others saved. So one is kept for that.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

/// A descriptor that is given up to read a file when there is no other.
static SPARE: Mutex<Option<File>> = Mutex::new(None);

/// Reads a file of `/proc`, also when this process has no descriptor left.
///
/// # Errors
/// Any error of reading it.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let read = || fs::read_to_string(path.as_ref());
    match read() {
        Err(error) if is_want_of_descriptors(&error) => {
            let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
            // The file is closed before the next line, and nobody else gives it up meanwhile.
            drop(spare.take());
            let found = read();
            *spare = spare_descriptor();
            found
        }
        found => found,
    }
}

/// Sets a descriptor aside.
pub(super) fn keep_spare() {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.is_none() {
        *spare = spare_descriptor();
    }
}

fn spare_descriptor() -> Option<File> {
    File::open("/dev/null").ok()
}

fn is_want_of_descriptors(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

/// Allows this process as many descriptors as the administrator does. The usual limit, 1024, is for
/// programs that use select(2); a mount needs one for each request to the store, large draft, rescue and
/// process that writes. Where that is not allowed, the log says so, and all works with fewer at a time.
pub fn raise_descriptor_limit() {
    if let Err(error) = raise() {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

fn raise() -> io::Result<()> {
    let limit = limit()?;
    if limit.current == limit.maximum {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// How many descriptors this process may have; 1024, if that is not known.
pub fn descriptor_limit() -> usize {
    limit().map_or(1024, |limit| {
        let most = limit.current.unwrap_or(u64::MAX);
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

fn limit() -> io::Result<Rlimit> {
    let text = fs::read_to_string("/proc/self/limits")?;
    parse(&text).ok_or_else(|| io::Error::other("/proc/self/limits has no \"Max open files\""))
}

fn parse(text: &str) -> Option<Rlimit> {
    let rest = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = rest.split_ascii_whitespace();
    let mut next = || match words.next()? {
        "unlimited" => Some(None),
        number => Some(Some(number.parse().ok()?)),
    };
    Some(Rlimit {
        current: next()?,
        maximum: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_in_its_line() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             31                   unlimited            processes\n\
                    Max open files            1024                 524288               files\n";
        let limit = parse(text).expect("it is there");
        assert_eq!((limit.current, limit.maximum), (Some(1024), Some(524_288)));
        let unlimited =
            parse("Max open files            64                   unlimited            files\n");
        assert_eq!(unlimited.expect("it is there").maximum, None);
        assert!(parse("Max open files  many\n").is_none() && parse("").is_none());
    }

    #[test]
    fn this_process_has_a_limit_and_may_raise_it() {
        assert!(descriptor_limit() > 0);
        raise().expect("nobody forbids it here");
        let limit = limit().expect("it is there");
        assert_eq!(limit.current, limit.maximum);
    }
}
