//! Extended attributes: the version, the headers and the user metadata of a value (V5).
//!
//! They are read from the value a handle of the caller holds, else from the newest one; writing
//! them is a save of the same bytes with other metadata.

use std::ffi::OsStr;
use std::sync::Arc;
use tokio::time::Instant;

use super::Context;
use super::commit::{Change, Commit, Kept};
use super::handles::{Handle, ReadFrom};
use super::loss::Attempt;
use super::open::Version;
use super::table::Kind;
use super::{Error, Vfs, Who};
use crate::model::{
    self, ETAG_ATTRIBUTE as ETAG, HEADER_ATTRIBUTES as USER, Ino, META_ATTRIBUTES as META,
    OBJECT_ATTRIBUTE as OBJECT, Outcome, PUT_ATTRIBUTE as LAST_PUT, Precondition,
    SCRATCH_ATTRIBUTE as SCRATCH, Successor,
};
use crate::store::{Metadata, ReadBack, Store, Value};

const REDIRECT: &str = "user.website_redirect";

/// How an attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetMode {
    /// Whether it exists or not.
    Any,
    /// Only if it does not exist (XATTR_CREATE).
    Create,
    /// Only if it exists (XATTR_REPLACE).
    Replace,
}

impl Vfs {
    /// The names of the attributes of an inode.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn attributes(&self, ino: Ino, by: Context) -> Result<Vec<String>, Error> {
        let Some((_, metadata)) = self.described(ino, by).await? else {
            return Ok(Vec::new());
        };
        let mut names = vec![ETAG.to_owned()];
        let headers = metadata.headers();
        names.extend(headers.map(|(name, _)| format!("{USER}{name}")));
        names.extend(
            metadata
                .meta
                .user
                .keys()
                .map(|name| format!("{META}{name}")),
        );
        if let Some(told) = metadata.attributes() {
            let (layout, values) = (told.layout, told.values.into_iter());
            names.extend(values.map(|(name, _)| format!("{USER}{layout}.{name}")));
        }
        Ok(names)
    }

    /// The value of an attribute.
    ///
    /// # Errors
    /// [`Error::NoAttribute`], or any other.
    pub async fn attribute(&self, ino: Ino, name: &OsStr, by: Context) -> Result<String, Error> {
        let name = name.to_str().ok_or(Error::NoAttribute)?;
        if name == SCRATCH {
            return Ok(self
                .options
                .scratch
                .patterns()
                .collect::<Vec<_>>()
                .join(","));
        }
        if name == OBJECT {
            self.check_named(ino)?;
            return match self.table().node(ino)?.kind() {
                Kind::File(store, key) => Ok(store.identity(key)),
                _ => Err(Error::NoAttribute),
            };
        }
        if name == LAST_PUT {
            let (store, key) = self.file(ino).map_err(|_| Error::NoAttribute)?;
            let id = store.last_put(&key).await?;
            return Ok(id.map(|id| id.to_string()).unwrap_or_default());
        }
        // The attributes that only the layout of the store knows.
        let layout = self.file(ino).ok().map(|(store, _)| store.layout());
        let before = layout.map(|layout| format!("{USER}{layout}."));
        let of_layout = before.and_then(|before| name.strip_prefix(&*before));
        if !is_ours(name) && of_layout.is_none() {
            return Err(Error::NoAttribute);
        }
        let described = self.described(ino, by).await?;
        let (etag, mut metadata) = described.ok_or(Error::NoAttribute)?;
        let found = match name {
            ETAG => Some(etag),
            _ if let Some(name) = of_layout => {
                let told = metadata.attributes().map(|told| told.values);
                let mut told = told.into_iter().flatten();
                told.find_map(|(known, value)| (known == name).then_some(value))
            }
            _ if let Some(name) = name.strip_prefix(META) => metadata.meta.user.get(name).cloned(),
            _ => header_mut(&mut metadata, name).and_then(|header| header.clone()),
        };
        found.ok_or(Error::NoAttribute)
    }

    /// Sets an attribute, or removes it (`None`).
    ///
    /// # Errors
    /// [`Error::Conflict`] when another writer saved the file meanwhile; any other.
    pub async fn set_attribute(
        &self,
        ino: Ino,
        name: &OsStr,
        value: Option<&[u8]>,
        mode: SetMode,
        by: Context,
    ) -> Result<(), Error> {
        self.check_changeable(ino)?;
        let name = name
            .to_str()
            .filter(|name| is_ours(name) && *name != ETAG)
            .ok_or_else(|| {
                Error::Unsupported(format!(
                    "{}: only {META}NAME and {USER}content_type and the like can be set",
                    name.display()
                ))
            })?;
        let value = match value.map(std::str::from_utf8) {
            Some(Err(_)) => {
                return Err(Error::Invalid(format!("{name}: the value must be text")));
            }
            Some(Ok(text)) if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) => {
                return Err(Error::Invalid(format!(
                    "{name}: the value must be printable ASCII, it travels in a header"
                )));
            }
            Some(Ok(text)) => Some(text.to_owned()),
            None => None,
        };
        let _held = self.hold(ino)?;
        let _save_lock = self.save_lock(ino).await?;
        self.check_named(ino)?;
        let (store, key) = self.file(ino)?;
        if self.is_unsaved(ino)? {
            return Err(Error::Unsupported(format!(
                "{key} is not saved yet; close it before setting {name}"
            )));
        }
        let current = match self.newest(ino, &store, &key, by).await? {
            Version::Whole(value) => value,
            Version::Large(large) => self.read_whole(&store, &key, *large).await?,
        };
        let mut metadata = current.metadata.clone();
        change(&mut metadata, name, value, mode)?;
        let expect = Precondition::Is(current.version.clone());
        let sent = Instant::now();
        let outcome = store
            .put(&key, current.bytes.clone(), &metadata, &expect)
            .await
            .map_err(|error| match error.is_of_argument() {
                true => Error::Invalid(error.to_string()),
                false => error.into(),
            })?;
        match outcome {
            Outcome::Committed(version) => {
                self.attributes_saved(ino, &store, &current, version, metadata, *by.who());
                Ok(())
            }
            Outcome::Refused(rival) => {
                let found = self.rival(ino, &store, &key, (rival, sent)).await?;
                let attempt = Attempt {
                    op: "setxattr",
                    ino,
                    store: &store,
                    key: &key,
                    callers: by.callers(),
                    expected: &expect,
                };
                Err(self.conflict(&attempt, Some(&found)))
            }
            Outcome::Unknown => {
                self.table().forget(ino);
                Err(Error::Unknown(store.address(&key)))
            }
        }
    }

    /// The same bytes have another version now; this mount's writers follow.
    fn attributes_saved(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        old: &Value,
        version: model::Version,
        metadata: Metadata,
        who: Who,
    ) {
        let Ok((_, key)) = self.file(ino) else {
            return;
        };
        let (bytes, metadata) = match store.read_back(&key, &version) {
            ReadBack::Same | ReadBack::Unknown => (old.bytes.clone(), metadata),
            ReadBack::Other(bytes, metadata) => (bytes, *metadata),
        };
        let place = (store.name(), key.clone());
        let value = Arc::new(Value {
            version: version.clone(),
            metadata: metadata.clone(),
            modified: self.saved_now(&place, &version),
            bytes,
        });
        let replaced = Precondition::Is(old.version.clone());
        self.table().commit(Commit {
            ino,
            place,
            replaced: replaced.clone(),
            entry: value.entry(key),
            kept: Kept::Whole(value),
            by: who.into_iter().collect(),
            change: Change::Metadata(Successor {
                from: replaced,
                to: version,
                metadata: Some(metadata),
            }),
        });
    }

    /// The ETag and metadata that the caller sees; `None` for anything but a value.
    async fn described(&self, ino: Ino, by: Context) -> Result<Option<(String, Metadata)>, Error> {
        self.check_reached(ino)?;
        let (store, key) = {
            let table = self.table();
            let node = table.node(ino)?;
            match node.kind() {
                Kind::File(store, key) if !node.is_unsaved() => (store.clone(), key.clone()),
                _ => return Ok(None),
            }
        };
        if let Some(caller) = *by.who() {
            let handles = self.handles_of(ino);
            let own = handles.iter().rev().find(|handle| {
                handle
                    .who()
                    .is_some_and(|who| who.process == caller.process)
            });
            if let Some(Handle::Reader(reader)) = own.map(|handle| &**handle) {
                match &*reader.source() {
                    ReadFrom::Nothing => {}
                    ReadFrom::Whole(value) => {
                        return Ok(Some((value.version.to_string(), value.metadata.clone())));
                    }
                    ReadFrom::Pieces(pieces) => {
                        let version = pieces.entry().version.to_string();
                        return Ok(Some((version, pieces.metadata().clone())));
                    }
                }
            }
        }
        self.check_named(ino)?;
        Ok(Some(match self.newest(ino, &store, &key, by).await? {
            Version::Whole(value) => (value.version.to_string(), value.metadata.clone()),
            Version::Large(large) => {
                let (entry, metadata) = *large;
                (entry.version.to_string(), metadata)
            }
        }))
    }
}

fn is_ours(name: &str) -> bool {
    let is_meta = name.strip_prefix(META).is_some_and(|name| {
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
        };
        !name.is_empty() && name.bytes().all(legal)
    });
    name == ETAG || is_meta || header_mut(&mut Metadata::default(), name).is_some()
}

/// The header of an attribute of this name, if it has one.
fn header_mut<'a>(metadata: &'a mut Metadata, name: &str) -> Option<&'a mut Option<String>> {
    metadata.header_mut(name.strip_prefix(USER)?)
}

fn change(
    metadata: &mut Metadata,
    name: &str,
    value: Option<String>,
    mode: SetMode,
) -> Result<(), Error> {
    let exists = match name.strip_prefix(META) {
        Some(name) => metadata.meta.user.contains_key(name),
        None => header_mut(metadata, name).is_some_and(|header| header.is_some()),
    };
    match (mode, exists, &value) {
        (SetMode::Create, true, _) => return Err(Error::Exists(name.to_owned())),
        (SetMode::Replace, false, _) | (_, false, None) => return Err(Error::NoAttribute),
        _ => {}
    }
    if let Some(header) = header_mut(metadata, name) {
        if value.as_deref() == Some("") {
            return Err(Error::Invalid(format!("{name}: a header is not empty")));
        }
        let leads_somewhere = |to: &String| {
            let starts = ["/", "http://", "https://"];
            starts.iter().any(|start| to.starts_with(start))
        };
        if name == REDIRECT && !value.as_ref().is_none_or(leads_somewhere) {
            let why = "it begins with /, http:// or https://";
            return Err(Error::Invalid(format!("{name}: {why}")));
        }
        *header = value;
    } else if let Some(name) = name.strip_prefix(META) {
        let user = &mut metadata.meta.user;
        match value {
            Some(value) => user.insert(name.to_owned(), value),
            None => user.remove(name),
        };
    }
    Ok(())
}
