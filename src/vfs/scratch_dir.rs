//! The scratch files of a mount, in the state directory (W9).
//!
//! Each [`Scratch`] is a [pair](super::pairs): its bytes, read and written in place, and its [`Label`], which
//! says what name it has in which directory. The label appears by renaming, last at the creation and first at
//! the removal, so that a scratch file is whole or absent after a crash; a file that had its name before is
//! removed when the label is on the disk. Calls block on the local disk. `scratch.rs` shows them as files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Who;
use super::durable::NameOnDisk;
use super::label::Label;
use super::pairs::{self, FORMAT, Odd, record_path, value_path};
use super::place::Folder;
use super::rescue::MountedSource;
use super::scratch::{Body, Scratch, ScratchId};
use super::state::replace;
use crate::model::{FileName, StoreId};
use crate::store::{Dir, StoreName};

/// The scratch files of a mount.
#[derive(Debug)]
pub(super) struct ScratchDir {
    /// None in a mount that only reads.
    dir: Option<PathBuf>,
    place: MountedSource,
    mounted_at: PathBuf,
    /// The prefix of the ids of this mount's files: the same after a restart.
    mark: String,
    next: ScratchId,
    files: HashMap<Folder, BTreeMap<FileName, Arc<Scratch>>>,
}

impl ScratchDir {
    /// The scratch files of the mount of `place` at `mounted_at`, with what an earlier mount left there.
    pub(super) fn new(dir: Option<PathBuf>, place: MountedSource, mounted_at: &Path) -> Self {
        let mut hash = Sha256::new();
        hash.update(&place.source);
        hash.update([0]);
        hash.update(mounted_at.as_os_str().as_encoded_bytes());
        let mut scratch_dir = Self {
            dir,
            place,
            mounted_at: mounted_at.to_owned(),
            mark: format!("scratch-{}", &hex::encode(hash.finalize())[..8]),
            next: 1,
            files: HashMap::new(),
        };
        if let Err(error) = scratch_dir.load() {
            tracing::warn!(%error, "the scratch files of an earlier mount cannot be read");
        }
        scratch_dir
    }

    /// Loads the existing files. Files that cannot be read hide no others.
    fn load(&mut self) -> io::Result<()> {
        let Some(dir) = self.dir.clone() else {
            return Ok(());
        };
        let (mut labels, odd) = pairs::all::<Label>(&dir)?;
        for Odd { id, why, .. } in odd {
            tracing::warn!(
                rescue = id,
                why,
                "a scratch file of an earlier mount cannot be read"
            );
        }
        // Of two with one name, as a crash can leave them, the later one has it.
        labels.sort_by(|one, other| one.time.cmp(&other.time));
        for label in labels {
            let id = label.id.clone();
            if let Err(error) = self.take_in(&dir, label) {
                tracing::warn!(rescue = id, %error, "a scratch file of an earlier mount cannot be read");
            }
        }
        Ok(())
    }

    /// Puts a file of an earlier mount into the directory, if it had the same source and mount point.
    fn take_in(&mut self, dir: &Path, label: Label) -> io::Result<()> {
        let id = label.id.strip_prefix(&self.mark);
        let id = id.and_then(|id| id.strip_prefix('-')?.parse::<ScratchId>().ok());
        let store = match &*label.store {
            "flat" => Some(StoreName::Flat),
            id => StoreId::parse(id).map(StoreName::Id),
        };
        let name = FileName::new(label.name.as_ref()).ok();
        let (Some(id), Some(store), Some(name)) = (id, store, name) else {
            return Ok(());
        };
        // No two files share a number, whatever their server.
        self.next = self.next.max(id + 1);
        if !self.place.is(&label.source, label.server.as_ref()) {
            return Ok(());
        }
        let body = match label.link {
            Some(target) => Body::Link(target),
            None => {
                let path = value_path(dir, &label.id);
                let file = pairs::open_regular(&path, File::options().read(true).write(true))?;
                pairs::hold(&file);
                Body::File(file)
            }
        };
        let folder = (store, Dir::of_prefix(label.dir));
        self.put_in(&folder, &name, Scratch::new(id, None, body));
        Ok(())
    }

    /// The scratch file of a name.
    pub(super) fn get(&self, folder: &Folder, name: &FileName) -> Option<Arc<Scratch>> {
        self.files.get(folder)?.get(name).cloned()
    }

    /// The scratch files of a directory, by name.
    pub(super) fn in_folder(
        &self,
        folder: &Folder,
    ) -> impl Iterator<Item = (&FileName, &Arc<Scratch>)> {
        self.files.get(folder).into_iter().flatten()
    }

    /// All of them, each with its directory and name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Folder, &FileName, &Arc<Scratch>)> {
        let folders = self.files.iter();
        folders.flat_map(|(folder, files)| {
            files
                .iter()
                .map(move |(name, scratch)| (folder, name, scratch))
        })
    }

    /// Where a scratch file is.
    pub(super) fn find(&self, id: ScratchId) -> Option<(Folder, FileName, Arc<Scratch>)> {
        let mut all = self.all();
        let (folder, name, scratch) = all.find(|(_, _, scratch)| scratch.id() == id)?;
        Some((folder.clone(), name.clone(), Arc::clone(scratch)))
    }

    /// Whether a directory, or one below it, holds scratch files.
    pub(super) fn is_in_use(&self, folder: &Folder) -> bool {
        let mut folders = self.files.keys();
        folders
            .any(|(store, dir)| *store == folder.0 && dir.prefix().starts_with(folder.1.prefix()))
    }

    /// Makes an empty file, or a symbolic link.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn make(
        &mut self,
        folder: &Folder,
        name: &FileName,
        link: Option<String>,
        creator: Who,
    ) -> io::Result<Arc<Scratch>> {
        let (id, file) = self.new_file()?;
        let body = match link {
            Some(target) => Body::Link(target),
            None => Body::File(file),
        };
        let made = Scratch::new(id, creator, body);
        match self.label(&made, folder, name, Durable::Later) {
            Ok(()) => Ok(self.put_in(folder, name, made)),
            Err(error) => {
                self.discard(&made);
                Err(error)
            }
        }
    }

    /// Makes an empty file that has no name yet: for [`put`](Self::put) or [`discard`](Self::discard).
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn make_aside(&mut self, creator: Who) -> io::Result<Arc<Scratch>> {
        let (id, file) = self.new_file()?;
        Ok(Scratch::new(id, creator, Body::File(file)))
    }

    /// Gives a name to a file that has none. The file that had the name before is taken out of the directory
    /// when the label is on the disk.
    ///
    /// # Errors
    /// Any error of the local file system; then the file is discarded, and all else is as it was.
    pub(super) fn put(
        &mut self,
        folder: &Folder,
        name: &FileName,
        made: Arc<Scratch>,
    ) -> io::Result<()> {
        let labelled = self.label(&made, folder, name, Durable::Now);
        if let Err(error) = labelled.and_then(|()| self.remove(folder, name).map(drop)) {
            self.discard(&made);
            return Err(error);
        }
        self.put_in(folder, name, made);
        Ok(())
    }

    /// Forgets a file that was never given a name.
    pub(super) fn discard(&self, made: &Scratch) {
        if let Ok(dir) = self.dir() {
            let id = self.full_id(made.id());
            // What is left of it has no label, and so is not visible.
            let _ = fs::remove_file(record_path(dir, &id));
            let _ = fs::remove_file(value_path(dir, &id));
        }
    }

    /// An empty file with an id of its own: another daemon may still be serving a mount that was detached
    /// from the same place. A link has one too, so that its id is taken.
    fn new_file(&mut self) -> io::Result<(ScratchId, File)> {
        let dir = self.dir()?.to_owned();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)?;
        loop {
            let id = self.next;
            self.next += 1;
            let made = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(value_path(&dir, &self.full_id(id)));
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let file = file?;
                    // It has no label yet, but its lock shows that a mount has it.
                    pairs::hold(&file);
                    return Ok((id, file));
                }
            }
        }
    }

    /// Gives a scratch file another name. The file that had the name before is taken out of the directory and
    /// returned.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn rename(
        &mut self,
        from: (&Folder, &FileName),
        to: (&Folder, &FileName),
    ) -> io::Result<Option<Arc<Scratch>>> {
        let Some(scratch) = self.get(from.0, from.1) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.label(&scratch, to.0, to.1, Durable::Now)?;
        self.take_out(from);
        let replaced = self.remove(to.0, to.1)?;
        self.put_in(to.0, to.1, scratch);
        Ok(replaced)
    }

    /// Takes a scratch file out of the directory. Open handles continue to read and write it.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn remove(
        &mut self,
        folder: &Folder,
        name: &FileName,
    ) -> io::Result<Option<Arc<Scratch>>> {
        let Some(scratch) = self.get(folder, name) else {
            return Ok(None);
        };
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let (dir, id) = (self.dir()?, self.full_id(scratch.id()));
        gone(fs::remove_file(record_path(dir, &id)))?;
        gone(fs::remove_file(value_path(dir, &id)))?;
        self.take_out((folder, name));
        Ok(Some(scratch))
    }

    fn put_in(&mut self, folder: &Folder, name: &FileName, scratch: Arc<Scratch>) -> Arc<Scratch> {
        let files = self.files.entry(folder.clone()).or_default();
        files.insert(name.clone(), Arc::clone(&scratch));
        scratch
    }

    fn take_out(&mut self, (folder, name): (&Folder, &FileName)) {
        if let Some(files) = self.files.get_mut(folder) {
            files.remove(name);
            if files.is_empty() {
                self.files.remove(folder);
            }
        }
    }

    /// Where the bytes of a file are.
    ///
    /// # Errors
    /// There is no state directory.
    pub(super) fn path(&self, scratch: &Scratch) -> io::Result<PathBuf> {
        Ok(value_path(self.dir()?, &self.full_id(scratch.id())))
    }

    fn dir(&self) -> io::Result<&Path> {
        let dir = self.dir.as_deref();
        dir.ok_or_else(|| io::ErrorKind::ReadOnlyFilesystem.into())
    }

    /// The name of a file's pair.
    fn full_id(&self, id: ScratchId) -> String {
        format!("{}-{id}", self.mark)
    }

    fn label(
        &self,
        scratch: &Scratch,
        folder: &Folder,
        name: &FileName,
        durable: Durable,
    ) -> io::Result<()> {
        let now = OffsetDateTime::now_utc().format(&Rfc3339);
        let id = self.full_id(scratch.id());
        let label = Label {
            format: FORMAT,
            id: id.clone(),
            time: now.map_err(io::Error::other)?,
            source: self.place.source.clone(),
            server: Some(self.place.server.clone()),
            mounted_at: self.mounted_at.clone(),
            store: folder.0.to_string(),
            dir: folder.1.prefix().to_owned(),
            name: name.to_string(),
            link: scratch.link().map(str::to_owned),
        };
        let json = serde_json::to_vec_pretty(&label).map_err(io::Error::other)?;
        let path = record_path(self.dir()?, &id);
        match durable {
            Durable::Now => replace(&path, &json),
            Durable::Later => {
                let new = path.with_extension("json.new");
                let mut options = File::options();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                options.open(&new)?.write_all(&json)?;
                fs::rename(&new, path)
            }
        }
    }

    /// The name of a file on the disk, which can be made durable without the lock of the directory.
    pub(super) fn name_of(&self, scratch: &Scratch) -> Option<NameOnDisk> {
        let dir = self.dir.clone()?;
        let label = record_path(&dir, &self.full_id(scratch.id()));
        Some(NameOnDisk { dir, label })
    }
}

/// When a label is made durable.
#[derive(Clone, Copy, Debug)]
enum Durable {
    /// Before the file that had its name, or the file's old name, is removed.
    Now,
    /// When a program asks for it, as for the bytes.
    Later,
}

#[cfg(test)]
mod tests;
