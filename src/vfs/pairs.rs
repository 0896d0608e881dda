//! Pairs of files: `ID.value` holds bytes, `ID.json` describes them. Rescues and scratch files are such
//! pairs.
//!
//! Other programs and accidents can leave anything in such a directory. A pair that cannot be read is
//! [`Odd`]: it is listed, hides nothing else, and can be deleted. Only regular files are opened, so that no
//! pipe or device can block a thread.
//!
//! Bytes are written before their record, and deleted after it. A process that works on them holds a lock
//! (flock); bytes without a lock and without a record are left over from a process that was killed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The version of the records that this program writes. A higher one is from a newer program.
pub(super) const FORMAT: u32 = 1;

/// A longer record was not written by this program.
const MAX_RECORD: u64 = 1 << 20;

/// What is known of the bytes of a pair.
pub(super) trait Record: DeserializeOwned {
    /// The name of both files.
    fn id(&self) -> &str;

    /// How many bytes there are, if that was known when they were written.
    fn size(&self) -> Option<u64>;
}

/// A pair that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// The name of its files.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
    /// How many bytes it has, if there are any.
    pub size: Option<u64>,
}

/// Where the bytes of a pair are.
pub(super) fn value_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.value"))
}

/// The path of its record.
pub(super) fn record_path(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.json"))
}

/// Makes sure that an id from the command line stays inside the directory.
///
/// # Errors
/// `NotFound`.
pub(super) fn checked(id: &str) -> io::Result<&str> {
    match !id.is_empty() && !id.contains(['/', '\0']) {
        true => Ok(id),
        false => Err(io::Error::new(io::ErrorKind::NotFound, "no such rescue")),
    }
}

/// The ids in a directory, sorted.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Ids with a record.
    pub(super) recorded: Vec<String>,
    /// Ids with bytes alone, or that had bytes alone when the directory was read.
    pub(super) alone: Vec<String>,
}

/// The ids in a directory; none if it does not exist.
///
/// # Errors
/// Any error of the local file system.
pub(super) fn ids(dir: &Path) -> io::Result<Ids> {
    let mut ids = Ids::default();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ids),
        entries => entries?,
    };
    for entry in entries {
        // A name that is not UTF-8 is not ours, nor is a hidden file.
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        match name.rsplit_once('.') {
            Some((id, _)) if id.is_empty() || id.starts_with('.') => {}
            Some((id, "json")) => ids.recorded.push(id.to_owned()),
            Some((id, "value")) => ids.alone.push(id.to_owned()),
            _ => {}
        }
    }
    ids.recorded.sort_unstable();
    let recorded = &ids.recorded;
    ids.alone.retain(|id| recorded.binary_search(id).is_err());
    ids.alone.sort_unstable();
    Ok(ids)
}

/// Marks these bytes as in use, as long as the file is open.
pub(super) fn hold(value: &File) {
    // Without locks, they look abandoned for a moment. That alone deletes nothing.
    let _ = flock(value, FlockOperation::NonBlockingLockExclusive);
}

fn is_held(value: &File) -> bool {
    flock(value, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// Whether the bytes of a pair have no record, and no process is about to write or delete one.
fn is_alone(dir: &Path, id: &str) -> bool {
    let path = value_path(dir, id);
    let is_missing = |path: &Path| matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    match fs::symlink_metadata(&path) {
        Ok(data) if data.is_file() => {
            match open_regular(&path, File::options().read(true)) {
                Ok(value) if !is_held(&value) => {}
                // It is unknown, or in use.
                _ => return false,
            }
        }
        Ok(_) => {}
        Err(_) => return false,
    }
    // The process that held it a moment ago may be done.
    is_missing(&record_path(dir, id)) && !is_missing(&path)
}

/// Whether the bytes of a pair are in use.
pub(super) fn is_in_use(dir: &Path, id: &str) -> bool {
    open_value(dir, id).is_ok_and(|value| is_held(&value))
}

/// Deletes a pair, or what is left of one.
///
/// # Errors
/// Any error of the local file system; `NotFound` for an unknown id; `WouldBlock` when its record is about to be
/// written.
pub(super) fn forget(dir: &Path, id: &str) -> io::Result<()> {
    let id = checked(id)?;
    let value = value_path(dir, id);
    let is_recorded = fs::symlink_metadata(record_path(dir, id)).is_ok();
    if !is_recorded && is_in_use(dir, id) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // No process should see bytes without a record in between.
    let held = open_value(dir, id).ok();
    held.iter().for_each(hold);
    let record = remove(&record_path(dir, id));
    if let Err(error) = &record
        && error.kind() != io::ErrorKind::NotFound
    {
        return record;
    }
    match (record, remove(&value)) {
        // Only one of the two may exist.
        (Ok(()), Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        (_, value) => value,
    }
}

/// Removes a file, or an empty directory that is in its place.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        removed => removed,
    }
}

/// What is known of a pair. The bytes are not read.
///
/// # Errors
/// What is wrong with it; `None` if it is gone.
pub(super) fn record<T: Record>(dir: &Path, id: &str) -> Result<T, Option<Odd>> {
    let (size, missing) = match fs::symlink_metadata(value_path(dir, id)) {
        Ok(data) if data.is_file() => (Some(data.len()), None),
        Ok(_) => (None, Some("its bytes are no regular file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (None, Some("its bytes are missing".to_owned()))
        }
        Err(error) => (None, Some(format!("its bytes: {error}"))),
    };
    let odd = |why: String| {
        let id = id.to_owned();
        Err(Some(Odd { id, why, size }))
    };
    let json = match small(&record_path(dir, id)) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match is_alone(dir, id) {
                true => odd("its record is missing".to_owned()),
                false => Err(None),
            };
        }
        Err(error) => return odd(format!("its record cannot be read: {error}")),
    };
    // The other fields may have changed, but not this one.
    #[derive(Deserialize)]
    struct Any {
        #[serde(default)]
        format: u32,
    }
    match serde_json::from_slice::<Any>(&json) {
        Ok(any) if any.format > FORMAT => {
            let format = any.format;
            return odd(format!(
                "its record is of a newer etagfs (format {format}; this one reads {FORMAT})"
            ));
        }
        Ok(_) => {}
        Err(error) => return odd(format!("its record is damaged: {error}")),
    }
    let record: T = match serde_json::from_slice(&json) {
        Ok(record) => record,
        Err(error) => return odd(format!("its record is damaged: {error}")),
    };
    if record.id() != id {
        return odd(format!("its record is that of {}", record.id()));
    }
    if let Some(missing) = missing {
        return odd(missing);
    }
    match (record.size(), size) {
        (Some(told), Some(found)) if told != found => {
            odd(format!("it has {found} bytes, and had {told}"))
        }
        _ => Ok(record),
    }
}

/// All pairs of a directory, by their ids.
///
/// # Errors
/// When the directory itself cannot be read.
pub(super) fn all<T: Record>(dir: &Path) -> io::Result<(Vec<T>, Vec<Odd>)> {
    let (mut records, mut odd) = (Vec::new(), Vec::new());
    let Ids { recorded, alone } = ids(dir)?;
    for id in recorded.into_iter().chain(alone) {
        match record(dir, &id) {
            Ok(one) => records.push(one),
            Err(one) => odd.extend(one),
        }
    }
    Ok((records, odd))
}

/// The bytes of a pair, for reading.
///
/// # Errors
/// Any error of the local file system; `NotFound` for an unknown id.
pub(super) fn open_value(dir: &Path, id: &str) -> io::Result<File> {
    let mut options = File::options();
    open_regular(&value_path(dir, checked(id)?), options.read(true))
}

/// Opens a regular file: no link, pipe, device or directory.
///
/// # Errors
/// Any error of the local file system.
pub fn open_regular(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    // Checked before it is opened, because opening a device can have effects; and afterwards, to be sure.
    let regular = |data: fs::Metadata| match data.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    };
    match fs::symlink_metadata(path) {
        Ok(data) => regular(data)?,
        // It may be about to be created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)?;
    regular(file.metadata()?)?;
    Ok(file)
}

/// The content of a small file.
///
/// # Errors
/// Any error of the local file system.
pub(super) fn small(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path, File::options().read(true))?;
    let mut bytes = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Known {
        id: String,
        size: u64,
    }

    impl Record for Known {
        fn id(&self) -> &str {
            &self.id
        }

        fn size(&self) -> Option<u64> {
            Some(self.size)
        }
    }

    #[test]
    fn whatever_cannot_be_read_is_named_and_hides_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let pair = |id: &str, json: &str| {
            fs::write(at(&format!("{id}.value")), "12345").unwrap();
            fs::write(at(&format!("{id}.json")), json).unwrap();
        };
        pair("good", r#"{"id":"good","size":5,"of_later":1}"#);
        pair("torn", r#"{"id":"torn","si"#);
        pair("empty", "");
        pair("cut", r#"{"id":"cut","size":6}"#);
        pair("newer", r#"{"id":"newer","format":2,"how_many":5}"#);
        pair("moved", r#"{"id":"good","size":5}"#);
        pair("lone", r#"{"id":"lone","size":5}"#);
        fs::remove_file(at("lone.value")).unwrap();
        fs::create_dir(at("dir.json")).unwrap();
        std::os::unix::fs::symlink("good.json", at("link.json")).unwrap();
        let pipe = rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe.json"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        );
        pipe.unwrap();
        fs::write(at("left.value"), "of a kill").unwrap();
        let (good, odd) = all::<Known>(dir.path()).unwrap();
        assert_eq!(
            good.iter().map(|one| &*one.id).collect::<Vec<_>>(),
            ["good"]
        );
        let found: Vec<_> = odd
            .iter()
            .map(|one| (&*one.id, one.size, one.why.split(':').next().unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ("cut", Some(5), "it has 5 bytes, and had 6"),
                ("dir", None, "its record cannot be read"),
                ("empty", Some(5), "its record is damaged"),
                ("link", None, "its record cannot be read"),
                ("lone", None, "its bytes are missing"),
                ("moved", Some(5), "its record is that of good"),
                (
                    "newer",
                    Some(5),
                    "its record is of a newer etagfs (format 2; this one reads 1)"
                ),
                ("pipe", None, "its record cannot be read"),
                ("torn", Some(5), "its record is damaged"),
                ("left", Some(9), "its record is missing"),
            ]
        );
        // Each can be deleted, and the others stay.
        for (id, ..) in found {
            forget(dir.path(), id).unwrap();
        }
        let (good, odd) = all::<Known>(dir.path()).unwrap();
        assert_eq!((good.len(), odd), (1, vec![]));
    }

    #[test]
    fn any_name_that_is_listed_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let names = [
            "a copy", "_u", "n\nl", "..x", "a..b", "\u{e9}", "a.b.c", " ",
        ];
        for name in names {
            fs::write(at(&format!("{name}.json")), "{}").unwrap();
        }
        // These are not pairs.
        for name in [
            ".json",
            ".value",
            ".hidden.json",
            "json",
            "x.json.new",
            "x.applying",
        ] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir_all(at("full.json/of")).unwrap();
        let listed = all::<Known>(dir.path()).unwrap().1;
        let mut listed: Vec<_> = listed.iter().map(|odd| &*odd.id).collect();
        let mut expected: Vec<_> = names
            .iter()
            .copied()
            .filter(|name| *name != "..x")
            .collect();
        expected.push("full");
        expected.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, expected);
        for name in names {
            forget(dir.path(), name).unwrap();
            let again = forget(dir.path(), name).map_err(|error| error.kind());
            assert_eq!(again, Err(io::ErrorKind::NotFound), "{name}");
        }
        let full = forget(dir.path(), "full").unwrap_err();
        assert!(full.to_string().contains("full.json"), "{full}");
        assert_eq!(all::<Known>(dir.path()).unwrap().1.len(), 1);
    }

    #[test]
    fn bytes_that_somebody_works_on_are_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id.value");
        fs::write(&path, "bytes").unwrap();
        let held = File::open(&path).unwrap();
        hold(&held);
        let odd = || all::<Known>(dir.path()).unwrap().1.len();
        assert_eq!(odd(), 0);
        let kind = forget(dir.path(), "id").map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::WouldBlock));
        drop(held);
        // A listing at the same time disturbs nothing.
        let reader = File::open(&path).unwrap();
        assert!(!is_held(&reader));
        assert_eq!(odd(), 1);
        forget(dir.path(), "id").unwrap();
        assert_eq!(odd(), 0);
    }

    #[test]
    fn an_id_cannot_lead_out_of_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["../x", "a/b", "", ".."] {
            let opened = open_value(dir.path(), id).map_err(|error| error.kind());
            assert_eq!(opened.err(), Some(io::ErrorKind::NotFound));
        }
    }
}
