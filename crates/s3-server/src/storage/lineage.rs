//! Whether the index and the bodies beside it belong together.
//!
//! An index that was lost, or replaced by an older copy, does not know the bodies that were stored
//! since. A server that started with it would take them for waste, and would serve a past without
//! saying so. So the index and a file beside it both hold the store's name and a count, which grows at
//! each start and at each orderly end: an index whose count is behind that of the file is an older one. Nothing is removed or written before this check. Read [`super::disk`] for the files.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, TableDefinition};
use serde::{Deserialize, Serialize};

use super::Durability;
use crate::error::{Error, Mismatch};

/// Of the index: one row, [`Lineage`] as JSON.
const LINEAGE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("lineage");
const ROW: &str = "this";
/// Beside the index.
const MARKER: &str = "lineage.json";

/// Which store this is, and how often it was opened and closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lineage {
    store: String,
    count: u64,
}

/// Moves the count on, in the index and beside it.
pub(super) struct Keeper {
    dir: PathBuf,
    durability: Durability,
    now: Lineage,
}

/// Refuses a directory that holds other things and nothing of a server: nothing is written there.
pub(super) fn check_is_ours(dir: &Path, index: &Path, bodies: &Path) -> Result<(), Error> {
    if index.exists() || dir.join(MARKER).exists() {
        return Ok(());
    }
    let entries = match dir.read_dir() {
        Ok(entries) => entries,
        // It is made, or what is wrong with it is told, when it is prepared.
        Err(_) => return Ok(()),
    };
    if bodies.is_dir()
        && !super::blobs::stored(bodies)
            .map_err(|e| Error::io(dir, e))?
            .is_empty()
    {
        return Ok(());
    }
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        // The top of a filesystem, and what a start that was killed has made.
        let is_harmless = entry.file_name() == "lost+found" || entry.path() == bodies;
        if !is_harmless {
            return Err(Error::Foreign {
                path: dir.to_owned(),
                found: entry.file_name().display().to_string(),
            });
        }
    }
    Ok(())
}

/// Refuses a directory whose index is missing or empty although something was stored there.
pub(super) fn check_index_is_there(dir: &Path, index: &Path, bodies: &Path) -> Result<(), Error> {
    let is_there = index.metadata().is_ok_and(|index| index.len() > 0);
    let was_used = || -> io::Result<bool> {
        Ok(dir.join(MARKER).exists() || !super::blobs::stored(bodies)?.is_empty())
    };
    match !is_there && was_used().map_err(|e| Error::io(dir, e))? {
        true => Err(Error::mismatch(dir, Mismatch::NoIndex)),
        false => Ok(()),
    }
}

impl Keeper {
    /// Compares the index with the bodies, and begins the next count. `live` are the bodies that
    /// the index counts. A store that has no count yet begins with one.
    pub(super) fn begin(
        dir: &Path,
        bodies: &Path,
        db: &Database,
        live: &HashSet<u64>,
        durability: Durability,
    ) -> Result<Self, Error> {
        let marker = read_marker(dir).map_err(|e| Error::io(dir, e))?;
        let index = read_row(db).map_err(|e| Error::corrupt(dir, e))?;
        let now = match (index, marker) {
            (None, None) => Lineage {
                store: uuid::Uuid::new_v4().to_string(),
                count: 0,
            },
            (Some(index), None) => index,
            (Some(index), Some(marker)) if index.store != marker.store => {
                return Err(Error::mismatch(dir, Mismatch::OtherIndex));
            }
            (Some(index), Some(marker)) if index.count >= marker.count => index,
            (_, Some(_)) => return Err(Error::mismatch(dir, Mismatch::OldIndex)),
        };
        let stored = super::blobs::stored(bodies).map_err(|e| Error::io(dir, e))?;
        let missing = live.difference(&stored).count();
        if missing > 0 {
            return Err(Error::mismatch(dir, Mismatch::NoBodies(missing)));
        }
        let mut keeper = Self {
            dir: dir.to_owned(),
            durability,
            now,
        };
        keeper
            .advance(db)
            .map_err(|error| Error::corrupt(dir, error))?;
        Ok(keeper)
    }

    /// The next count, in the index first: a crash in between leaves an index that is ahead.
    pub(super) fn advance(&mut self, db: &Database) -> Result<(), super::Refusal> {
        self.now.count += 1;
        let row = serde_json::to_vec(&self.now).map_err(super::Refusal::broken)?;
        let tx = db.begin_write()?;
        tx.open_table(LINEAGE)?.insert(ROW, row.as_slice())?;
        tx.commit()?;
        let mut file =
            tempfile::NamedTempFile::new_in(&self.dir).map_err(super::Refusal::broken)?;
        file.write_all(&row).map_err(super::Refusal::broken)?;
        if self.durability == Durability::PowerLoss {
            file.as_file().sync_all().map_err(super::Refusal::broken)?;
        }
        file.persist(self.dir.join(MARKER))
            .map_err(super::Refusal::broken)?;
        if self.durability == Durability::PowerLoss {
            std::fs::File::open(&self.dir)
                .and_then(|dir| dir.sync_all())
                .map_err(super::Refusal::broken)?;
        }
        Ok(())
    }
}

fn read_marker(dir: &Path) -> io::Result<Option<Lineage>> {
    match std::fs::read(dir.join(MARKER)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_row(db: &Database) -> Result<Option<Lineage>, super::Refusal> {
    let tx = db.begin_read()?;
    let table = match tx.open_table(LINEAGE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(row) = table.get(ROW)? else {
        return Ok(None);
    };
    serde_json::from_slice(row.value())
        .map(Some)
        .map_err(super::Refusal::broken)
}
