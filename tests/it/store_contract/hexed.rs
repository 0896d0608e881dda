//! A layout that only these tests have, to show what one takes: this file, and a line in the subject's list
//! of layouts. A key's file name is its text backwards. An object is named by the hexadecimal digits of the
//! key, behind a `=`, and holds the hexadecimal digits of the value, in capitals: neither names nor bytes nor
//! sizes are those of the file. There are no directories.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use etagfs::backend::{
    After, Backend, Body, ByteRange, Fetched, ListQuery, Listed, Meta, ObjectKey, ObjectMeta,
    Pages, ReadCondition,
};
use etagfs::model::{BadName, FileName, Key, Outcome, Precondition, PutId, StoreId, Version};
use etagfs::store::{
    Child, Dir, Entry, Error, Found, Layout, LayoutName, Listing, Metadata, Opened, ReadBack, Role,
    Scanned, Shown, Site, Store, StoreName, Value,
};

pub(super) const LAYOUT: LayoutName = LayoutName::new("hexed");

/// The layout.
#[derive(Debug)]
pub(super) struct Hexed;

impl Layout for Hexed {
    fn name(&self) -> LayoutName {
        LAYOUT
    }

    fn separator(&self) -> char {
        '='
    }

    fn role(&self, after_store: &str) -> Option<Role> {
        match after_store.strip_prefix('=')? {
            "" => Some(Role::Marker),
            digits => decode(digits.as_bytes()).map(|_| Role::Value),
        }
    }

    fn marker(&self) -> (&'static str, &'static [u8]) {
        ("=", b"")
    }

    fn open(&self, id: StoreId, site: &Site) -> Arc<dyn Store> {
        Arc::new(HexedStore {
            name: StoreName::Id(id),
            prefix: format!("{}=", site.store(id)),
            backend: Arc::clone(&site.backend),
        })
    }
}

#[derive(Debug)]
struct HexedStore {
    name: StoreName,
    prefix: String,
    backend: Arc<dyn Backend>,
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn decode(digits: &[u8]) -> Option<Bytes> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'F' => char::from(byte).to_digit(16),
        _ => None,
    };
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

fn backwards(text: &str) -> String {
    text.chars().rev().collect()
}

impl HexedStore {
    fn object(&self, key: &Key) -> ObjectKey {
        ObjectKey::new(format!(
            "{}{}",
            self.prefix,
            encode(key.as_str().as_bytes())
        ))
    }

    fn decoded(&self, key: &Key, digits: &[u8]) -> Result<Bytes, Error> {
        decode(digits).ok_or_else(|| Error::Damaged {
            what: self.address(key),
            why: "these are no hexadecimal digits".to_owned(),
        })
    }

    fn key_of(&self, object: &ObjectKey) -> Option<Key> {
        let digits = object.as_str().strip_prefix(&self.prefix)?;
        let text = String::from_utf8(decode(digits.as_bytes())?.into()).ok()?;
        Key::new(text).ok()
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let query = ListQuery {
            prefix: self.prefix.clone(),
            fold: false,
            after: After::Start,
            limit: 1000,
        };
        let mut entries = Vec::new();
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            for listed in page.objects {
                if let Some(key) = self.key_of(&listed.key) {
                    entries.extend(self.entry_listed(key, listed).await?);
                }
            }
        }
        Ok(entries)
    }

    /// Some servers list no versions.
    async fn entry_listed(&self, key: Key, listed: Listed) -> Result<Option<Entry>, Error> {
        let Some(version) = listed.version else {
            return self.describe(&key).await;
        };
        Ok(Some(Entry {
            key,
            size: Some(listed.size / 2),
            modified: listed.modified,
            version,
        }))
    }
}

fn entry(key: &Key, info: &ObjectMeta) -> Entry {
    Entry {
        key: key.clone(),
        size: Some(info.size / 2),
        modified: info.modified,
        version: info.version.clone(),
    }
}

#[async_trait]
impl Store for HexedStore {
    fn name(&self) -> StoreName {
        self.name
    }

    fn layout(&self) -> LayoutName {
        LAYOUT
    }

    fn value_limit(&self) -> u64 {
        self.backend.limits().value_bytes / 2
    }

    fn takes_empty(&self) -> bool {
        true
    }

    fn has_unlisted_names(&self) -> bool {
        false
    }

    fn address(&self, key: &Key) -> String {
        format!("{}/{}", self.backend.name(), self.object(key))
    }

    fn identity(&self, key: &Key) -> String {
        format!("{}\n{}", self.backend.server(), self.address(key))
    }

    fn child(&self, _: &Dir, name: &FileName) -> Result<Child, Error> {
        Ok(Child::Key(self.key_at(name.as_str())?))
    }

    fn key_at(&self, text: &str) -> Result<Key, Error> {
        if text.contains(['/', '\0']) || text.starts_with('.') || text.ends_with('.') {
            return Err(BadName::Illegal.into());
        }
        let key = Key::new(backwards(text))?;
        match self.object(&key).as_str().len() <= self.backend.limits().key_bytes {
            true => Ok(key),
            false => Err(BadName::TooLong.into()),
        }
    }

    fn read_back(&self, _: &Key, _: &Version) -> ReadBack {
        ReadBack::Same
    }

    fn read_only(&self, _: &Key, _: &Metadata) -> Option<&'static str> {
        None
    }

    fn fresh_metadata(&self, _: &Key) -> Metadata {
        Metadata::default()
    }

    fn recreated_metadata(&self, _: &Key, moved: &Metadata) -> Metadata {
        moved.clone()
    }

    fn is_default(&self, _: &Key, metadata: &Metadata) -> bool {
        metadata.meta == Meta::default()
    }

    async fn lookup(&self, dir: &Dir, name: &FileName) -> Result<Found, Error> {
        let Child::Key(key) = self.child(dir, name)? else {
            return Ok(Found::Absent);
        };
        let found = self.describe(&key).await?;
        Ok(found.map_or(Found::Absent, Found::File))
    }

    async fn list(&self, _: &Dir) -> Result<Listing, Error> {
        let mut listing = Listing::new();
        for entry in self.entries().await? {
            let name = FileName::new(backwards(entry.key.as_str()).as_ref())?;
            listing.insert(name, Shown::File(entry));
        }
        Ok(listing)
    }

    async fn scan(&self, beginning: &str, _: bool) -> Result<Vec<Scanned>, Error> {
        let spelled = |entry: Entry| (backwards(entry.key.as_str()), entry);
        let entries = self.entries().await?.into_iter().map(spelled);
        let mut found: Vec<_> = entries
            .filter(|(text, _)| text.starts_with(beginning))
            .map(|(text, entry)| Scanned::Key(text, entry))
            .collect();
        found.sort_by(|one, other| one.text().cmp(other.text()));
        Ok(found)
    }

    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Metadata)>, Error> {
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(Some((entry(key, &info), info.meta.into()))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn open_pinned(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error> {
        let span = ByteRange::UpTo(limit.saturating_mul(2));
        let Fetched::Object(object) = self.backend.get(&self.object(key), pin, span).await? else {
            return Ok(Opened::Unchanged);
        };
        let entry = entry(key, &object.info);
        let metadata = object.info.meta.clone().into();
        if entry.size > Some(limit) {
            return Ok(Opened::Large { entry, metadata });
        }
        Ok(Opened::Whole(Value {
            bytes: self.decoded(key, &object.bytes)?,
            version: entry.version,
            modified: entry.modified,
            metadata,
        }))
    }

    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error> {
        let pin = ReadCondition::Is(entry.version.clone());
        let span = ByteRange::Range {
            start: start * 2,
            len: len * 2,
        };
        match self.backend.get(&self.object(key), &pin, span).await? {
            Fetched::Object(object) => self.decoded(key, &object.bytes),
            Fetched::Unchanged => self.decoded(key, b"?"),
        }
    }

    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        if bytes.len() as u64 > self.value_limit() {
            return Err(Error::TooBig(self.address(key)));
        }
        let body = Body {
            bytes: encode(&bytes).into(),
            meta: metadata.meta.clone(),
        };
        let at = self.object(key);
        Ok(self.backend.put(&at, body, expect, id).await?)
    }

    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(info.put_id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        Ok(self.backend.delete(&self.object(key), version).await?)
    }
}
