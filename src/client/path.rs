//! A file, as a [`Location`]: its operations, each in a thread of its own, since its filesystem may answer late or never,
//! and signals and clocks are heard meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::{FlockOperation, flock};
use tokio::time::timeout;

use super::Error;
use super::file::LocalFile;
use super::identity::Identity;
use super::location::{Location, Lock, Revision};
use super::retry::Tries;
use super::value::{About, MetadataChoice, Part, ReadOutcome, Wanted};
use crate::model::{Outcome, Precondition, PutId, Version};
use crate::store::Metadata;

/// Time without an end, for a clock that has one.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A file.
#[derive(Debug)]
pub(super) struct PathKey(Arc<LocalFile>);

impl PathKey {
    /// The file at this path.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(LocalFile::new(path).into())
    }

    /// The file of this name below a directory.
    ///
    /// # Errors
    /// When the name leads anywhere else.
    pub(super) fn below(base: &Path, name: &str) -> Result<Self, Error> {
        Ok(Self(LocalFile::below(base, name)?.into()))
    }

    /// Works on the file in a thread of its own.
    ///
    /// # Errors
    /// Those of the work.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LocalFile) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.0);
        let working = tokio::task::spawn_blocking(move || work(&file));
        working
            .await
            .unwrap_or_else(|error| Err(Error::Local(error.into())))
    }

    async fn write_over(
        &self,
        bytes: Bytes,
        choice: &MetadataChoice,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let meta = choice.over(Metadata::default(), &bytes).meta;
        let saved = self.blocking(move |file| file.overwrite(&bytes, &meta));
        Ok(saved.await?.map(|()| None))
    }
}

#[async_trait]
impl Location for PathKey {
    fn label(&self) -> String {
        self.0.label()
    }

    fn spelling(&self) -> &OsStr {
        self.0.spelling()
    }

    async fn read(&self, wanted: &Wanted, part: Option<Part>) -> Result<ReadOutcome, Error> {
        let wanted = wanted.clone();
        self.blocking(move |file| file.read(&wanted, part, false))
            .await
    }

    async fn look(&self) -> Result<Option<About>, Error> {
        self.blocking(LocalFile::look).await
    }

    async fn save_as(
        &self,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        _id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let (metadata, expect) = (metadata.clone(), expect.clone());
        self.blocking(move |file| file.save(&bytes, &metadata, &expect))
            .await
    }

    async fn delete(&self, version: &Version) -> Result<Outcome<()>, Error> {
        let version = version.clone();
        self.blocking(move |file| file.delete(&version)).await
    }

    async fn delete_existing(&self, version: &Version) -> Result<Outcome<()>, Error> {
        self.delete(version).await
    }

    async fn delete_any(&self, _tries: &mut Tries) -> Result<Outcome<bool>, Error> {
        self.blocking(LocalFile::unlink).await
    }

    async fn overwrite(
        &self,
        bytes: Bytes,
        choice: &MetadataChoice,
        _tries: &mut Tries,
    ) -> Result<Outcome<Option<Version>>, Error> {
        self.write_over(bytes, choice).await
    }

    async fn save_over(
        &self,
        found: Option<About>,
        bytes: Bytes,
        choice: &MetadataChoice,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let (version, replaced) = match found {
            Some(about) => (about.version, about.metadata),
            None => (None, Metadata::default()),
        };
        // It has no versions, or is not there; in a mount it is then made, and replaces nothing.
        if version.is_none() && !self.blocking(LocalFile::is_to_be_made).await? {
            return self.write_over(bytes, choice).await;
        }
        let metadata = choice.over(replaced, &bytes);
        self.save_as(bytes, &metadata, &Precondition::from(version), id)
            .await
    }

    /// The mount merges, and any other filesystem too.
    async fn append(&self, lines: &Bytes, _tries: &mut Tries) -> Result<Outcome<()>, Error> {
        let lines = lines.clone();
        self.blocking(move |file| file.append(&lines)).await
    }

    /// What is no regular file is refused: a pipe or a device has no value that a new one could replace.
    async fn read_to_change(&self, within: Duration) -> Result<ReadOutcome, Error> {
        let reading = self.blocking(|file| file.read(&Wanted::Newest, None, true));
        // How long that may take is its filesystem's business, and may be for ever.
        timeout(within.min(FOR_EVER), reading)
            .await
            .map_err(|_| Error::Late(self.label()))?
    }

    /// Locks the directory of the file. The file itself will not do: it gives its place to another one.
    async fn lock(&self, tries: &mut Tries) -> Result<Lock, Error> {
        let opened = self.blocking(|file| {
            let directory = file.directory();
            let opened = File::open(&directory).map_err(|error| file.failed(error));
            opened.map(|file| (directory, file))
        });
        let (directory, file) = opened.await?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _held: Some(file) }),
                Err(errno) => {
                    let error = std::io::Error::from(errno);
                    if error.kind() != std::io::ErrorKind::WouldBlock {
                        return Err(self.0.failed(error));
                    }
                }
            }
            if !tries.another().await {
                return Err(Error::Locked(directory));
            }
        }
    }

    /// A save in a mount keeps the metadata of what it replaces.
    async fn metadata_of(&self, _version: &Version) -> Result<Option<Metadata>, Error> {
        Ok(Some(Metadata::default()))
    }

    async fn version_of(&self, told: Option<Version>, bytes: &Bytes) -> Option<Version> {
        if told.is_some() {
            return told;
        }
        let bytes = bytes.clone();
        self.blocking(move |file| Ok(file.version_of(&bytes)))
            .await
            .unwrap_or_default()
    }

    async fn last_put(&self) -> Result<Option<PutId>, Error> {
        self.blocking(LocalFile::last_put).await
    }

    /// A mount gives its saves numbers of its own.
    async fn put_id(&self, _id: PutId) -> Result<Option<PutId>, Error> {
        self.last_put().await
    }

    async fn identity(&self) -> Result<Identity, Error> {
        self.blocking(LocalFile::identity).await
    }

    async fn observe(&self, _known: Option<&Revision>) -> Result<Option<Revision>, Error> {
        let state = |about: About| match about.version {
            Some(version) => Revision::Version(version),
            None => Revision::Stamp(about.modified, about.size.unwrap_or_default()),
        };
        Ok(self.look().await?.map(state))
    }

    async fn is_directory(&self) -> Result<bool, Error> {
        self.blocking(|file| Ok(file.path().is_dir())).await
    }

    fn is_log(&self, about: &About) -> bool {
        about.metadata.is_log() || self.0.is_log()
    }

    async fn check_movable(&self) -> Result<(), Error> {
        self.blocking(LocalFile::check_regular).await
    }

    async fn check_deletable(&self) -> Result<(), Error> {
        self.blocking(LocalFile::check_deletable).await
    }

    async fn delete_as_read(&self) -> Result<(), Error> {
        self.blocking(LocalFile::remove_as_read).await
    }

    fn binary(self: Arc<Self>) -> Result<Arc<dyn Location>, Error> {
        Err(Error::NotBinary(self.label()))
    }
}
