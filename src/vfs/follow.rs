//! Readers that reached the end of their version, and come back for more (R2): `tail -f`.
//!
//! They continue in the newest version if it begins with all the bytes of their own: then they never get a
//! mixture. Otherwise the file was replaced, not appended to, and they keep their version. A failure is not
//! an end: the reader reads what it has, and asks again later.

use std::sync::Arc;
use tokio::time::Instant;

use super::handles::{Fh, Handle, ReadFrom, Reader};
use super::open::Version;
use super::{Context, Error, Vfs};
use crate::model::{Ino, Key};
use crate::store::{Store, Value};

impl Vfs {
    /// Before the size of a file is reported to a process: if the process has read the file to its end, there
    /// may be more by now. At most one request in the TTL.
    pub(super) async fn follow(&self, ino: Ino, fh: Option<Fh>, by: Context) {
        let handle = match (fh, by.process()) {
            (Some(fh), _) => self.handle(fh).ok(),
            (None, Some(process)) => {
                let is_own = |handle: &Arc<Handle>| {
                    let opener = handle.who();
                    opener.is_some_and(|opener| opener.process == process)
                };
                let handles = self.handles_of(ino);
                handles.into_iter().rev().find(is_own)
            }
            (None, None) => None,
        };
        if let Some(Handle::Reader(reader)) = handle.as_deref() {
            self.go_on(reader).await;
        }
    }

    /// If a reader is at the end of its version, and a newer one begins with all its bytes, the reader
    /// continues in that one. At most one request in the TTL, for all readers of a file.
    pub(super) async fn go_on(&self, reader: &Reader) {
        if !reader.end().is_asked_again() {
            return;
        }
        let (store, key, more) = {
            let table = self.table();
            let (Ok((store, key)), Ok(node)) = (table.file(reader.ino()), table.node(reader.ino()))
            else {
                return;
            };
            let is_left = node.is_removed() || !table.is_named(reader.ino());
            if node.is_unsaved() || is_left {
                return;
            }
            (store, key, node.more())
        };
        // A reader is answered now, even if another reader's request is under way.
        let Ok(mut asked) = more.try_lock() else {
            return;
        };
        let source = reader.source();
        let own = match &*source {
            ReadFrom::Nothing => None,
            ReadFrom::Whole(value) => Some(value),
            ReadFrom::Pieces(_) => return Self::is_too_large(reader, &store, &key),
        };
        let begins_alike =
            |newest: &Value| own.is_none_or(|own| newest.bytes.starts_with(&own.bytes));
        let newest = match self.at_hand(reader.ino(), &store, &key) {
            AtHand::Version(version) if own.is_some_and(|own| own.version == version) => return,
            AtHand::Value(newest) if begins_alike(&newest) => newest,
            _ if asked.is_some_and(|asked| asked.elapsed() < self.options.ttl) => return,
            _ => {
                let answer = self.ask_newer(reader.ino(), &store, &key, own).await;
                *asked = Some(Instant::now());
                match answer {
                    Ok(Version::Whole(newest)) => newest,
                    Ok(Version::Large(_)) => return Self::is_too_large(reader, &store, &key),
                    // It may exist again later.
                    Err(Error::NotFound(_)) => return,
                    Err(error) => {
                        // The request that failed is in the log already.
                        tracing::debug!(%error, "cannot see whether there is more to be read");
                        return;
                    }
                }
            }
        };
        let place = (store.name(), key);
        if own.is_some_and(|own| own.version == newest.version) {
            return;
        }
        if begins_alike(&newest) {
            reader.goes_on_in(ReadFrom::Whole(newest), place);
            return;
        }
        reader.end().is_last();
        if let Some(who) = reader.who() {
            self.table().renumber_for(place, who.process);
        }
    }

    /// Bytes are compared in memory, and these are too many: the reader keeps its version.
    fn is_too_large(reader: &Reader, store: &Arc<dyn Store>, key: &Key) {
        reader.end().is_last();
        let key = store.address(key);
        tracing::warn!(%key, "larger than --inline-limit: its readers do not see what is appended, before they open it again");
    }

    /// What is known of the newest version of a key without a request, if that is not older than the TTL.
    fn at_hand(&self, ino: Ino, store: &Arc<dyn Store>, key: &Key) -> AtHand {
        let place = (store.name(), key.clone());
        let at_hand = self.table().at_hand(ino, &place, self.options.ttl);
        match at_hand {
            None => AtHand::Nothing,
            Some((_, Some(value))) => AtHand::Value(value),
            Some((version, None)) => AtHand::Version(version),
        }
    }
}

/// What is known of the newest version of a key.
enum AtHand {
    Nothing,
    /// Which one it is.
    Version(crate::model::Version),
    /// All of it.
    Value(Arc<Value>),
}
