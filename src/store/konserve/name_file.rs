//! The file in which names outlive a mount: one line for each object that was seen, the last one counts.
//!
//! It is a cache. Each line carries a sum of itself: one that is not whole, or damaged, or of an older
//! program, is left out, and what it said is learned again. It is appended to, by all mounts that share
//! the state directory, and written anew when most of its lines are outdated. It knows nothing of what names
//! mean: `names.rs` does.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A longer line was not written by this program.
const MAX_LINE: u64 = 4 << 20;
/// A file is written anew when it has this many lines more than twice those that count.
const WORN: usize = 10_000;

/// The file of one store.
#[derive(Debug)]
pub(super) struct NameFile {
    file: PathBuf,
    /// How many lines it has, as far as this mount knows.
    lines: AtomicUsize,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameLine {
    pub(super) object: Uuid,
    /// None of an element of a log.
    pub(super) key: Option<String>,
    pub(super) etag: String,
    pub(super) size: Option<u64>,
    pub(super) raw: bool,
}

impl NameLine {
    fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        writeln!(out, "{:016x} {text}", sum(text.as_bytes()))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (told, text) = bytes.split_at_checked(16)?;
        let text = text.strip_prefix(b" ")?.strip_suffix(b"\n")?;
        let told = u64::from_str_radix(std::str::from_utf8(told).ok()?, 16).ok()?;
        if told != sum(text) {
            return None;
        }
        serde_json::from_slice(text).ok()
    }
}

/// FNV-1a. It finds accidents; a key that is not that of its object is found out in any case.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl NameFile {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            lines: AtomicUsize::new(0),
        }
    }

    /// The last line of each object, in the order of the file.
    pub(super) fn read(&self) -> Vec<NameLine> {
        let Ok(file) = fs::File::open(&self.file) else {
            return Vec::new();
        };
        let mut file = io::BufReader::new(file);
        let mut found = HashMap::new();
        let mut count = 0;
        loop {
            let mut bytes = Vec::new();
            match (&mut file).take(MAX_LINE).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(_) => count += 1,
            }
            if let Some(line) = NameLine::read(&bytes) {
                found.insert(line.object, (count, line));
            }
        }
        self.lines.store(count, Ordering::Relaxed);
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_unstable_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, line)| line).collect()
    }

    /// Whether most of its lines are outdated, if this many are current.
    pub(super) fn is_worn(&self, known: usize) -> bool {
        self.lines.load(Ordering::Relaxed) > 2 * known + WORN
    }

    /// Appends lines; or puts `all`, if they are given, in the place of the file, complete or not at all.
    ///
    /// # Errors
    /// Any of the disk.
    pub(super) fn write(&self, new: &[NameLine], all: &[NameLine]) -> io::Result<()> {
        if let Some(dir) = self.file.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(dir)?;
        }
        match all.is_empty() {
            true => self.append(new),
            false => self.replace(all),
        }
    }

    fn append(&self, lines: &[NameLine]) -> io::Result<()> {
        // If the last line of the file broke off, these begin anew.
        let mut bytes = vec![b'\n'];
        for line in lines {
            line.write(&mut bytes)?;
        }
        let mut options = fs::OpenOptions::new();
        let options = options.append(true).create(true).mode(0o600);
        options.open(&self.file)?.write_all(&bytes)?;
        self.lines.fetch_add(lines.len() + 1, Ordering::Relaxed);
        Ok(())
    }

    fn replace(&self, lines: &[NameLine]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            line.write(&mut bytes)?;
        }
        // Of this mount alone.
        let written = self.file.with_extension(format!("{}.new", Uuid::new_v4()));
        let mut options = fs::OpenOptions::new();
        let put = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&written)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&written, &self.file));
        if put.is_err() {
            // What is left of it is of no use; the error says why.
            let _ = fs::remove_file(&written);
        }
        self.lines.store(lines.len(), Ordering::Relaxed);
        put
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u128, size: u64) -> NameLine {
        NameLine {
            object: Uuid::from_u128(n),
            key: Some(format!(":key-{n}")),
            etag: format!("\"{n}-{size}\""),
            size: Some(size),
            raw: false,
        }
    }

    fn kept() -> (tempfile::TempDir, NameFile) {
        let dir = tempfile::tempdir().unwrap();
        let kept = NameFile::new(dir.path().join("konserve").join("store.names"));
        (dir, kept)
    }

    #[test]
    fn the_last_line_of_an_object_counts() {
        let (_dir, kept) = kept();
        assert_eq!(kept.read(), []);
        kept.write(&[line(1, 1), line(2, 1)], &[]).unwrap();
        kept.write(&[line(1, 2)], &[]).unwrap();
        assert_eq!(kept.read(), [line(2, 1), line(1, 2)]);
    }

    #[test]
    fn of_a_damaged_file_every_whole_line_is_read_and_nothing_else() {
        let (_dir, kept) = kept();
        let lines: Vec<_> = (0..20).map(|n| line(n, 7)).collect();
        kept.write(&lines, &[]).unwrap();
        let whole = fs::read(&kept.file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&kept.file, &damaged).unwrap();
            let read = kept.read();
            assert!(read.len() >= 18, "at {at}: {}", read.len());
            assert!(read.iter().all(|line| lines.contains(line)), "at {at}");
        }
        // Broken off by a crash; what comes later is read all the same.
        fs::write(&kept.file, &whole[..whole.len() / 2]).unwrap();
        kept.write(&[line(30, 1)], &[]).unwrap();
        let read = kept.read();
        assert!(read.len() >= 9 && read.last() == Some(&line(30, 1)));
        // No line at all, and longer than any.
        fs::write(&kept.file, vec![b'x'; 5 << 20]).unwrap();
        assert_eq!(kept.read(), []);
    }

    #[test]
    fn a_file_whose_lines_are_outdated_is_written_anew() {
        let (_dir, kept) = kept();
        let many: Vec<_> = (0..WORN as u64 + 10).map(|size| line(1, size)).collect();
        kept.write(&many, &[]).unwrap();
        assert!(kept.is_worn(1) && !kept.is_worn(10));
        let last = &many[many.len() - 1..];
        kept.write(last, last).unwrap();
        assert!(!kept.is_worn(1));
        assert_eq!(kept.read(), last);
        let names = fs::read_dir(kept.file.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1);
    }
}
