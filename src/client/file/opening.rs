//! How files are opened and read, and what the errors of that say. It knows neither versions nor saves.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

use super::super::value::ValueBytes;
use super::way::Way;

/// Opens a file, of whatever kind; a named pipe would wait for somebody to write.
pub(super) fn open_at_once(way: &Way) -> io::Result<File> {
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut how = OpenOptions::new();
    way.open(how.read(true).custom_flags(no_wait))
}

/// Opens a regular file.
pub(super) fn open_regular(way: &Way) -> io::Result<File> {
    let file = open_at_once(way)?;
    let kind = file.metadata()?;
    match kind.is_file() || kind.is_dir() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Whether an error says that there is no such file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether an error of a save is a conflict: where each write is a save (W13) a lost race is ESTALE.
pub(super) fn is_conflict(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::StaleNetworkFileHandle
    )
}

/// Whether an error of a save under a condition says that somebody else was first.
pub(super) fn lost(error: &io::Error) -> bool {
    is_conflict(error) || matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound)
}

pub(super) fn memory(mut file: impl Read) -> io::Result<ValueBytes> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(ValueBytes::Memory(bytes.into()))
}
