//! The shelf: where the scratch files of a mount lie, in the state directory (W9).
//!
//! Each [`Scratch`] is two files: `ID.value` (its bytes, read and written in place) and `ID.json` (its
//! [`Label`]: whose name it has in which directory). The label appears by renaming, last at the
//! creation and first at the removal, so that a scratch file is whole or absent after a crash. Its
//! calls block on the local disk. It knows nothing of keys; `scratch.rs` shows it as files.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Who;
use super::cache::Folder;
use super::scratch::{Body, Scratch, ScratchId};
use crate::model::{FileName, StoreId};
use crate::store::{Dir, StoreName};

/// What a scratch file is called, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The name of its files; what `etagfs rescue show` takes.
    pub id: String,
    /// When it was made or renamed, in RFC 3339.
    pub time: String,
    /// What was mounted: `s3://bucket/prefix`.
    pub source: String,
    /// Where.
    pub mounted_at: PathBuf,
    /// The store; `flat` without a store level.
    pub store: String,
    /// The directory in the store: empty, or ends in `/`.
    pub dir: String,
    /// Its name there.
    pub name: String,
    /// Where it points to, if it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// The scratch files of a mount.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    source: String,
    mounted_at: PathBuf,
    /// What the ids of this mount's files begin with: the same after a restart.
    mark: String,
    next: ScratchId,
    files: HashMap<Folder, BTreeMap<FileName, Arc<Scratch>>>,
}

impl Shelf {
    /// The shelf of the mount of `source` at `mounted_at`, with what an earlier mount left there.
    pub(super) fn new(state_dir: &Path, source: &str, mounted_at: &Path) -> Self {
        let mut hash = Sha256::new();
        hash.update(source);
        hash.update([0]);
        hash.update(mounted_at.as_os_str().as_encoded_bytes());
        let mut shelf = Self {
            dir: state_dir.join("scratch"),
            source: source.to_owned(),
            mounted_at: mounted_at.to_owned(),
            mark: format!("scratch-{}", &hex::encode(hash.finalize())[..8]),
            next: 1,
            files: HashMap::new(),
        };
        if let Err(error) = shelf.load() {
            tracing::warn!(dir = %shelf.dir.display(), %error, "the scratch files of an earlier mount cannot be read");
        }
        shelf
    }

    fn load(&mut self) -> io::Result<()> {
        let ours = format!("{}-", self.mark);
        for label in labels(&self.dir)? {
            let Some(id) = label
                .id
                .strip_prefix(&ours)
                .and_then(|id| id.parse::<ScratchId>().ok())
            else {
                continue;
            };
            let Ok(name) = FileName::new(label.name.as_ref()) else {
                continue;
            };
            let body = match label.link {
                Some(target) => Body::Link(target),
                None => Body::File(
                    File::options()
                        .read(true)
                        .write(true)
                        .open(self.value_path(id))?,
                ),
            };
            self.next = self.next.max(id + 1);
            let store = match &*label.store {
                "flat" => Some(StoreName::Flat),
                id => StoreId::parse(id).map(StoreName::Id),
            };
            let Some(store) = store else { continue };
            let folder = (store, Dir::of_prefix(label.dir));
            self.shelve(&folder, &name, Scratch::new(id, None, body));
        }
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
        let (folder, name, scratch) = all.find(|(_, _, scratch)| scratch.id == id)?;
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
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        let (id, file) = self.new_file()?;
        let body = match &link {
            Some(target) => Body::Link(target.clone()),
            None => Body::File(file),
        };
        self.label(id, folder, name, link)?;
        Ok(self.shelve(folder, name, Scratch::new(id, creator, body)))
    }

    /// An empty file with an id of its own: another daemon may still be serving a mount that was detached
    /// from the same place. A link has one too, so that its id is taken.
    fn new_file(&mut self) -> io::Result<(ScratchId, File)> {
        loop {
            let id = self.next;
            self.next += 1;
            let made = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(self.value_path(id));
            match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((id, file?)),
            }
        }
    }

    /// Gives a scratch file another name. What had it before is taken off the shelf and returned.
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
        let link = match &scratch.body {
            Body::Link(target) => Some(target.clone()),
            Body::File(_) => None,
        };
        self.label(scratch.id, to.0, to.1, link)?;
        self.unshelve(from);
        let replaced = self.remove(to.0, to.1)?;
        self.shelve(to.0, to.1, scratch);
        Ok(replaced)
    }

    /// Takes a scratch file off the shelf. Who has it open goes on reading and writing it.
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
        gone(fs::remove_file(self.path(scratch.id, "json")))?;
        gone(fs::remove_file(self.value_path(scratch.id)))?;
        self.unshelve((folder, name));
        Ok(Some(scratch))
    }

    fn shelve(&mut self, folder: &Folder, name: &FileName, scratch: Arc<Scratch>) -> Arc<Scratch> {
        let files = self.files.entry(folder.clone()).or_default();
        files.insert(name.clone(), Arc::clone(&scratch));
        scratch
    }

    fn unshelve(&mut self, (folder, name): (&Folder, &FileName)) {
        if let Some(files) = self.files.get_mut(folder) {
            files.remove(name);
            if files.is_empty() {
                self.files.remove(folder);
            }
        }
    }

    fn path(&self, id: ScratchId, ending: &str) -> PathBuf {
        self.dir.join(format!("{}-{id}.{ending}", self.mark))
    }

    fn value_path(&self, id: ScratchId) -> PathBuf {
        self.path(id, "value")
    }

    fn label(
        &self,
        id: ScratchId,
        folder: &Folder,
        name: &FileName,
        link: Option<String>,
    ) -> io::Result<()> {
        let now = OffsetDateTime::now_utc().format(&Rfc3339);
        let label = Label {
            id: format!("{}-{id}", self.mark),
            time: now.map_err(io::Error::other)?,
            source: self.source.clone(),
            mounted_at: self.mounted_at.clone(),
            store: folder.0.to_string(),
            dir: folder.1.prefix().to_owned(),
            name: name.to_string(),
            link,
        };
        let json = serde_json::to_vec_pretty(&label).map_err(io::Error::other)?;
        let new = self.path(id, "json.new");
        fs::write(&new, json)?;
        fs::rename(&new, self.path(id, "json"))
    }
}

/// The scratch files below a state directory, of every mount, for who looks at them from outside.
#[derive(Debug)]
pub struct ScratchFiles {
    dir: PathBuf,
    labels: Vec<Label>,
}

impl ScratchFiles {
    /// Those below a state directory.
    ///
    /// # Errors
    /// Any error of the local file system; a directory that does not exist holds none.
    pub fn of(state_dir: &Path) -> io::Result<Self> {
        let dir = state_dir.join("scratch");
        let labels = labels(&dir)?;
        Ok(Self { dir, labels })
    }

    /// What each is called and where it belongs, in no order.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter()
    }

    /// Whether there is one of this id.
    pub fn has(&self, id: &str) -> bool {
        self.labels.iter().any(|label| label.id == id)
    }

    /// The size of one of them, in bytes; 0 for links and for those that are gone.
    pub fn size(&self, id: &str) -> u64 {
        fs::metadata(self.value_path(id)).map_or(0, |data| data.len())
    }

    /// The bytes of one of them: of a link, where it points to.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        let label = self.labels.iter().find(|label| label.id == id);
        match label.and_then(|label| label.link.clone()) {
            Some(target) => Ok(target.into_bytes()),
            None => fs::read(self.value_path(id)),
        }
    }

    fn value_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.value"))
    }
}

fn labels(dir: &Path) -> io::Result<Vec<Label>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut labels = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        match fs::read(&path).map(|json| serde_json::from_slice(&json)) {
            Ok(Ok(label)) => labels.push(label),
            Ok(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "not the label of a scratch file");
            }
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FileName {
        FileName::new(text.as_ref()).unwrap()
    }

    fn folder() -> Folder {
        (StoreName::Flat, Dir::of_prefix("a/".to_owned()))
    }

    fn shelf(dir: &Path) -> Shelf {
        Shelf::new(dir, "s3://b", Path::new("/mnt"))
    }

    fn names(shelf: &Shelf) -> Vec<String> {
        let folder = folder();
        let names = shelf.in_folder(&folder).map(|(name, _)| name.to_string());
        names.collect()
    }

    #[test]
    fn what_is_on_the_shelf_is_there_after_a_restart_of_the_same_mount_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = shelf(dir.path());
        let file = first.make(&folder(), &name("f~"), None, None).unwrap();
        file.write(Some(0), b"bytes").unwrap();
        let link = Some("user@host".to_owned());
        first.make(&folder(), &name(".#f"), link, None).unwrap();
        drop(first);

        let mut second = shelf(dir.path());
        assert_eq!(names(&second), [".#f", "f~"]);
        let file = second.get(&folder(), &name("f~")).unwrap();
        assert_eq!(&file.read_all().unwrap()[..], b"bytes");
        let link = second.get(&folder(), &name(".#f")).unwrap();
        assert!(matches!(&link.body, Body::Link(target) if target == "user@host"));
        let fresh = second.make(&folder(), &name("g~"), None, None).unwrap();
        assert!(fresh.id > link.id.max(file.id));

        let elsewhere = Shelf::new(dir.path(), "s3://b", Path::new("/other"));
        assert_eq!(elsewhere.all().count(), 0);
        assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 3);
    }

    #[test]
    fn a_rename_takes_what_had_the_name_off_the_shelf_and_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = shelf(dir.path());
        let old = shelf.make(&folder(), &name("f~"), None, None).unwrap();
        let new = shelf.make(&folder(), &name("sedAAA"), None, None).unwrap();
        let (from, to) = (name("sedAAA"), name("f~"));
        let replaced = shelf.rename((&folder(), &from), (&folder(), &to)).unwrap();
        assert_eq!(replaced.map(|gone| gone.id), Some(old.id));
        assert_eq!(names(&shelf), ["f~"]);
        assert_eq!(shelf.get(&folder(), &to).map(|file| file.id), Some(new.id));
        assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 1);
        old.write(Some(0), b"still open").unwrap();
    }

    #[test]
    fn two_daemons_of_one_place_do_not_take_each_others_files() {
        let dir = tempfile::tempdir().unwrap();
        let (mut detached, mut mounted) = (shelf(dir.path()), shelf(dir.path()));
        let theirs = detached.make(&folder(), &name("f~"), None, None).unwrap();
        let link = Some("target".to_owned());
        let link = detached.make(&folder(), &name(".#f"), link, None).unwrap();
        let ours = mounted.make(&folder(), &name("g~"), None, None).unwrap();
        assert!(![theirs.id, link.id].contains(&ours.id));
        assert_eq!(ScratchFiles::of(dir.path()).unwrap().labels().count(), 3);
    }

    #[test]
    fn a_removed_file_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mut shelf = shelf(dir.path());
        shelf.make(&folder(), &name("f~"), None, None).unwrap();
        assert!(shelf.is_in_use(&folder()));
        shelf.remove(&folder(), &name("f~")).unwrap();
        assert!(!shelf.is_in_use(&folder()));
        assert_eq!(fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0);
    }

    #[test]
    fn reads_end_at_the_end_and_holes_are_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let file = shelf(dir.path())
            .make(&folder(), &name("f~"), None, None)
            .unwrap();
        file.holds_value(crate::store::Envelope::default());
        file.write(Some(2), b"ab").unwrap();
        assert!(!file.is_pristine());
        file.write(None, b"c").unwrap();
        assert_eq!(&file.read_all().unwrap()[..], b"\0\0abc");
        assert_eq!(&file.read(4, 100).unwrap()[..], b"c");
        assert_eq!(&file.read(9, 100).unwrap()[..], b"");
        file.set_len(1).unwrap();
        assert_eq!(file.shape().unwrap().0, 1);
    }
}
