//! Layouts that are wrong on purpose, each in one thing, and the check that finds it: so that the contract is
//! known to say no.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use etagfs::backend::ReadCondition;
use etagfs::model::{FileName, Key, Outcome, Precondition, PutId, Version};
use etagfs::store::{
    Child, Dir, Entry, Error, Found, LayoutName, Listing, Metadata, Opened, ReadBack, Scanned,
    Store, StoreName,
};
use futures_util::future::LocalBoxFuture;

use super::ground::{Ground, no_version, whole};
use super::{directories, errors, keys, lists, puts, reads, subjects, travels};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    SavesOverAnyVersion,
    CreatesOverAnything,
    SaysThatARefusedPutWasSaved,
    SaysThatAnUnknownPutWasRefused,
    DeletesAnyVersion,
    TakesAnErrorForAbsence,
    ListsAllButOne,
    ListsNothingWhenItFails,
    LeadsToAnotherKey,
    ScansWhatBeginsOtherwise,
    ForgetsMetadata,
    ReadsTheNewestForAnother,
    ReadsPiecesOfTheNewest,
    SendsWhatIsUnchanged,
    TellsAnotherSize,
    ForgetsWhoSaved,
    PromisesOtherBytes,
    MakesADirectoryTwice,
}

type Check = fn(Ground) -> LocalBoxFuture<'static, ()>;

/// Each, and the check that finds it.
const FOUND: [(How, Check); 18] = {
    macro_rules! by {
        ($topic:ident::$check:ident) => {
            |g| Box::pin($topic::$check(g))
        };
    }
    [
        (
            How::SavesOverAnyVersion,
            by!(puts::an_update_of_another_version_is_refused),
        ),
        (How::CreatesOverAnything, by!(puts::a_create_succeeds_once)),
        (
            How::SaysThatARefusedPutWasSaved,
            by!(puts::a_refused_put_changes_nothing),
        ),
        (
            How::SaysThatAnUnknownPutWasRefused,
            by!(errors::a_put_whose_answer_was_lost_is_unknown),
        ),
        (
            How::DeletesAnyVersion,
            by!(puts::a_delete_of_another_version_is_refused),
        ),
        (
            How::TakesAnErrorForAbsence,
            by!(errors::an_error_is_never_absence),
        ),
        (How::ListsAllButOne, by!(lists::a_listing_goes_to_its_end)),
        (
            How::ListsNothingWhenItFails,
            by!(errors::an_error_is_never_absence),
        ),
        (
            How::LeadsToAnotherKey,
            by!(keys::a_name_leads_to_the_key_it_was_listed_as),
        ),
        (
            How::ScansWhatBeginsOtherwise,
            by!(lists::a_scan_takes_only_what_begins_like_that),
        ),
        (
            How::ForgetsMetadata,
            by!(travels::metadata_survives_an_edit),
        ),
        (
            How::ReadsTheNewestForAnother,
            by!(reads::a_pinned_read_gets_that_version_and_no_other),
        ),
        (
            How::ReadsPiecesOfTheNewest,
            by!(reads::a_piece_of_another_version_is_gone),
        ),
        (
            How::SendsWhatIsUnchanged,
            by!(reads::an_unchanged_value_is_not_sent_again),
        ),
        (
            How::TellsAnotherSize,
            by!(reads::lookup_open_inspect_and_list_tell_one_version),
        ),
        (
            How::ForgetsWhoSaved,
            by!(puts::the_number_of_a_save_comes_back),
        ),
        (
            How::PromisesOtherBytes,
            by!(reads::a_value_is_read_as_its_save_said),
        ),
        (
            How::MakesADirectoryTwice,
            by!(directories::a_store_makes_directories_or_says_that_it_has_none),
        ),
    ]
};

#[derive(Debug)]
struct Wrong {
    inner: Arc<dyn Store>,
    how: How,
}

impl Wrong {
    /// What is there now, as a condition.
    async fn newest(&self, key: &Key) -> Result<Precondition, Error> {
        let there = self.inner.describe(key).await?;
        Ok(there.map_or(Precondition::Absent, |entry| {
            Precondition::Is(entry.version)
        }))
    }
}

#[async_trait]
impl Store for Wrong {
    fn name(&self) -> StoreName {
        self.inner.name()
    }

    fn layout(&self) -> LayoutName {
        self.inner.layout()
    }

    fn value_limit(&self) -> u64 {
        self.inner.value_limit()
    }

    fn takes_empty(&self) -> bool {
        self.inner.takes_empty()
    }

    fn has_unlisted_names(&self) -> bool {
        self.inner.has_unlisted_names()
    }

    fn address(&self, key: &Key) -> String {
        self.inner.address(key)
    }

    fn identity(&self, key: &Key) -> String {
        self.inner.identity(key)
    }

    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error> {
        self.inner.child(dir, name)
    }

    fn key_at(&self, text: &str) -> Result<Key, Error> {
        self.inner.key_at(text)
    }

    fn read_back(&self, key: &Key, version: &Version) -> ReadBack {
        match self.how {
            How::PromisesOtherBytes => ReadBack::Other(Bytes::from_static(b"{}"), Box::default()),
            _ => self.inner.read_back(key, version),
        }
    }

    fn read_only(&self, key: &Key, metadata: &Metadata) -> Option<&'static str> {
        self.inner.read_only(key, metadata)
    }

    fn fresh_metadata(&self, key: &Key) -> Metadata {
        self.inner.fresh_metadata(key)
    }

    fn recreated_metadata(&self, key: &Key, moved: &Metadata) -> Metadata {
        self.inner.recreated_metadata(key, moved)
    }

    fn is_default(&self, key: &Key, metadata: &Metadata) -> bool {
        self.inner.is_default(key, metadata)
    }

    async fn lookup(&self, dir: &Dir, name: &FileName) -> Result<Found, Error> {
        let found = self.inner.lookup(dir, name).await?;
        Ok(match (self.how, found) {
            (How::LeadsToAnotherKey, Found::File(entry)) => Found::File(Entry {
                key: self.inner.key_at("another")?,
                ..entry
            }),
            (_, found) => found,
        })
    }

    async fn list(&self, dir: &Dir) -> Result<Listing, Error> {
        let mut listing = match (self.how, self.inner.list(dir).await) {
            (How::ListsNothingWhenItFails, Err(_)) => Listing::new(),
            (_, listing) => listing?,
        };
        if self.how == How::ListsAllButOne {
            listing.pop_last();
        }
        Ok(listing)
    }

    async fn scan(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        match self.how {
            How::ScansWhatBeginsOtherwise => self.inner.scan("", fold).await,
            _ => self.inner.scan(beginning, fold).await,
        }
    }

    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Metadata)>, Error> {
        match (self.how, self.inner.inspect(key).await) {
            (How::TakesAnErrorForAbsence, Err(_)) => Ok(None),
            (How::TellsAnotherSize, Ok(Some((entry, metadata)))) => {
                let size = entry.size.map(|size| size + 1);
                Ok(Some((Entry { size, ..entry }, metadata)))
            }
            (_, inspected) => inspected,
        }
    }

    async fn open_pinned(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error> {
        let pin = match (self.how, pin) {
            (How::ReadsTheNewestForAnother, ReadCondition::Is(_))
            | (How::SendsWhatIsUnchanged, ReadCondition::Not(_)) => &ReadCondition::Newest,
            (_, pin) => pin,
        };
        self.inner.open_pinned(key, pin, limit).await
    }

    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error> {
        if self.how == How::ReadsPiecesOfTheNewest {
            let newest = whole(&*self.inner, key).await?.bytes;
            let end = newest.len().min(usize::try_from(start + len).unwrap());
            return Ok(newest.slice(usize::try_from(start).unwrap().min(end)..end));
        }
        self.inner.read(key, entry, start, len).await
    }

    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let expect = match (self.how, expect) {
            (How::SavesOverAnyVersion, Precondition::Is(_))
            | (How::CreatesOverAnything, Precondition::Absent) => &self.newest(key).await?,
            (_, expect) => expect,
        };
        let metadata = match self.how {
            How::ForgetsMetadata => &self.inner.fresh_metadata(key),
            _ => metadata,
        };
        let outcome = self.inner.put_as(key, bytes, metadata, expect, id).await?;
        Ok(match (self.how, outcome) {
            (How::SaysThatARefusedPutWasSaved, Outcome::Refused(_)) => {
                Outcome::Committed(no_version())
            }
            (How::SaysThatAnUnknownPutWasRefused, Outcome::Unknown) => Outcome::Refused(None),
            (_, outcome) => outcome,
        })
    }

    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        let last = self.inner.last_put(key).await?;
        Ok(last.filter(|_| self.how != How::ForgetsWhoSaved))
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        match (self.how, self.newest(key).await?) {
            (How::DeletesAnyVersion, Precondition::Is(newest)) => {
                self.inner.delete(key, &newest).await
            }
            _ => self.inner.delete(key, version).await,
        }
    }

    async fn make_dir(&self, dir: &Dir) -> Result<(), Error> {
        match (self.how, self.inner.make_dir(dir).await) {
            (How::MakesADirectoryTwice, Err(Error::Exists(_))) => Ok(()),
            (_, made) => made,
        }
    }

    async fn remove_dir(&self, dir: &Dir) -> Result<(), Error> {
        self.inner.remove_dir(dir).await
    }
}

#[test]
fn what_a_store_does_wrong_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut unnoticed = Vec::new();
    for (how, check) in FOUND {
        let subject = subjects::plain().unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let ground = Ground::new(&subject).await;
                let inner = Arc::clone(&ground.store);
                let store = Arc::new(Wrong { inner, how });
                check(Ground { store, ..ground }).await;
            });
        }));
        if ended.is_ok() {
            unnoticed.push(how);
        }
    }
    println!(
        "{} wrong stores, {} unnoticed",
        FOUND.len(),
        unnoticed.len()
    );
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
