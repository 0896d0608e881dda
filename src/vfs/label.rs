//! Labels: the names of scratch files and where they belong; and the view of scratch files from outside of a
//! mount.
//!
//! It knows the files; `scratch_dir.rs` knows what is open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pairs::{self, Odd, value_path};
use crate::model::Server;

/// The name of a scratch file, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The version of the format.
    #[serde(default = "first")]
    pub(super) format: u32,
    /// The name of its files; what `etagfs rescue show` takes.
    pub id: String,
    /// When it was made or renamed, in RFC 3339.
    pub time: String,
    /// What was mounted: `s3://bucket/prefix`.
    pub source: String,
    /// The server that it was on; older versions of etagfs did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// Where.
    pub mounted_at: PathBuf,
    /// The store; `flat` without a store level.
    pub store: String,
    /// The directory in the store: empty, or ends in `/`.
    pub dir: String,
    /// Its name there.
    pub name: String,
    /// Its target, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

fn first() -> u32 {
    1
}

impl pairs::Record for Label {
    fn id(&self) -> &str {
        &self.id
    }

    fn size(&self) -> Option<u64> {
        None
    }
}

/// The scratch files of all mounts in a state directory, as seen from outside.
#[derive(Debug)]
pub struct ScratchFiles {
    dir: PathBuf,
    labels: Vec<Label>,
    odd: Vec<Odd>,
}

impl ScratchFiles {
    /// Those below a state directory.
    ///
    /// # Errors
    /// When their directory cannot be read; one that does not exist holds none.
    pub fn of(state_dir: &Path) -> io::Result<Self> {
        let dir = state_dir.join("scratch");
        let (labels, odd) = pairs::all(&dir)?;
        Ok(Self { dir, labels, odd })
    }

    /// The labels of all, in no order.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter()
    }

    /// Those whose labels cannot be read.
    pub fn odd(&self) -> impl Iterator<Item = &Odd> {
        self.odd.iter()
    }

    /// Whether one has this id.
    pub fn has(&self, id: &str) -> bool {
        let labels = self.labels.iter().map(|label| &label.id);
        labels
            .chain(self.odd.iter().map(|odd| &odd.id))
            .any(|one| one == id)
    }

    /// Forgets one whose label cannot be read. All others are deleted in their mount.
    ///
    /// # Errors
    /// Any error of the local file system; `NotFound` for an unknown id; `WouldBlock` when a mount has it.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        match pairs::is_in_use(&self.dir, id) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => pairs::forget(&self.dir, id),
        }
    }

    /// Whether one whose label can be read has this id.
    pub fn is_labelled(&self, id: &str) -> bool {
        self.labels.iter().any(|label| label.id == id)
    }

    /// The size of one of them, in bytes; 0 for links and for those that are gone.
    pub fn size(&self, id: &str) -> u64 {
        fs::symlink_metadata(value_path(&self.dir, id)).map_or(0, |data| data.len())
    }

    /// The bytes of one of them; of a link, its target.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn open(&self, id: &str) -> io::Result<Box<dyn io::Read>> {
        let label = self.labels.iter().find(|label| label.id == id);
        match label.and_then(|label| label.link.clone()) {
            Some(target) => Ok(Box::new(io::Cursor::new(target.into_bytes()))),
            None => Ok(Box::new(pairs::open_value(&self.dir, id)?)),
        }
    }
}
