//! What fsync(2) means for scratch files: their bytes are on the local disk, and so are their names.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::pairs;
use super::place::folder;
use super::scratch::Scratch;
use super::{Error, Vfs};
use crate::model::Ino;

/// The name of a scratch file on the disk. The table of scratch files need not be locked while it is made
/// durable.
#[derive(Debug)]
pub(super) struct NameOnDisk {
    pub(super) dir: PathBuf,
    pub(super) label: PathBuf,
}

impl NameOnDisk {
    /// Makes it durable, unless the file is no longer in the directory.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn sync(&self) -> io::Result<()> {
        match pairs::open_regular(&self.label, File::options().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            label => label?.sync_all()?,
        }
        File::open(&self.dir)?.sync_all()
    }
}

impl Vfs {
    /// Makes scratch files durable: their bytes, and their names in the directory.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::NoSpace`].
    pub(super) async fn sync_scratch(&self, files: Vec<Arc<Scratch>>) -> Result<(), Error> {
        let names: Vec<_> = {
            let scratch_dir = self.scratch_dir();
            files
                .iter()
                .filter_map(|one| scratch_dir.name_of(one))
                .collect()
        };
        let synced = tokio::task::spawn_blocking(move || {
            files.iter().try_for_each(|one| one.sync())?;
            names.iter().try_for_each(NameOnDisk::sync)
        });
        let synced = synced.await.unwrap_or_else(|error| Err(error.into()));
        synced.map_err(Error::of_disk)
    }

    /// Makes the scratch files of a directory durable.
    ///
    /// # Errors
    /// As [`save`](Self::save) of each.
    pub async fn sync_dir(&self, ino: Ino) -> Result<(), Error> {
        let Ok((store, dir)) = self.dir(ino) else {
            return Ok(());
        };
        let folder = folder(&store, &dir);
        let files: Vec<_> = {
            let scratch_dir = self.scratch_dir();
            let files = scratch_dir.in_folder(&folder);
            files.map(|(_, scratch)| Arc::clone(scratch)).collect()
        };
        self.sync_scratch(files).await
    }
}
