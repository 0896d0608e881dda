//! What is remembered of objects: which key each has, and how large its file is.
//!
//! An object's name is a hash of its key, so the key of an object can never change; it is also kept
//! on disk, for the mounts to come, and so is the size of the version that was seen last. It knows
//! nothing of requests; `learning.rs` asks for what is not remembered here, and `name_file.rs` knows the file.
//! Names of encrypted objects are not written to the disk.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use uuid::Uuid;

use super::key;
use super::name_file::{NameFile, NameLine};
use super::read::Looked;
use crate::model::{FileName, Key, StoreId, Version};
use konserve_codec::file::{Content, is_element, is_own};
use konserve_codec::name::Spelling;
use konserve_codec::{Value, edn, hasch};

/// How many objects are remembered of one store.
const OBJECTS: NonZeroUsize = NonZeroUsize::new(500_000).expect("it is not zero");
/// Names are written to disk once this many are not on disk yet.
pub(super) const AT_MOST_UNWRITTEN: usize = 1000;

/// What is remembered of the objects of one store.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<LruCache<Uuid, KnownObject>>,
    kept: Option<Arc<NameFile>>,
    loaded: tokio::sync::OnceCell<()>,
}

#[derive(Clone, Debug)]
struct KnownObject {
    /// None of an element of a log, which is not shown.
    name: Option<ShownKey>,
    /// Of the version that was looked at last.
    version: Version,
    size: Option<u64>,
    /// Its value cannot be shown, but as it is stored.
    raw: bool,
    /// Whether it may lie on the disk.
    is_kept: bool,
    /// Whether it is still to be written there.
    unwritten: bool,
}

#[derive(Clone, Debug)]
struct ShownKey {
    /// The key, in EDN; none if it cannot be read.
    text: Option<Arc<str>>,
    name: FileName,
}

/// How an object is shown in a listing.
#[derive(Debug)]
pub(super) struct ListedKey {
    pub(super) name: FileName,
    pub(super) key: Key,
    pub(super) size: Option<u64>,
}

impl Names {
    /// Those of a store, kept in a state directory if there is one.
    pub(super) fn new(store: StoreId, state_dir: Option<PathBuf>) -> Self {
        Self {
            known: Mutex::new(LruCache::new(OBJECTS)),
            kept: state_dir.map(|dir| {
                let file = dir.join("konserve").join(format!("{store}.names"));
                Arc::new(NameFile::new(file))
            }),
            loaded: tokio::sync::OnceCell::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Uuid, KnownObject>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of the file of this version of an object, if it is remembered.
    pub(super) fn size(&self, object: Uuid, version: &Version) -> Option<u64> {
        let known = self.known();
        let known = known.peek(&object)?;
        known.size.filter(|_| known.version == *version)
    }

    /// Notes what an object was seen to be.
    pub(super) fn learn(&self, object: Uuid, looked: &Looked, spelling: Spelling) {
        let (name, raw, is_kept) = match &looked.origin {
            Ok(origin) if is_element(&origin.stored.metadata, object) => (None, false, true),
            Ok(origin) => {
                let key = origin.stored.metadata.key();
                let raw = matches!(origin.stored.content, Content::Opaque(_));
                let named = ShownKey {
                    text: Some(edn::print_line(key).into()),
                    name: file_name(spelling, Some(key), object, raw),
                };
                let is_kept = !origin.stored.header.codec.encrypted
                    && is_own(&origin.stored.metadata, object);
                (Some(named), raw, is_kept)
            }
            Err(_) => {
                let name = file_name(spelling, None, object, true);
                (Some(ShownKey { text: None, name }), true, false)
            }
        };
        let version = looked.info.version.clone();
        let mut known = self.known();
        let before = known.peek(&object);
        let same = before.filter(|before| before.version == version && before.raw == raw);
        // The beginning of a large value does not tell its size; a reader of the whole value reported it.
        let size = looked.size(raw).or_else(|| same?.size);
        let is_news = same.is_none_or(|same| same.unwritten || same.size != size);
        let one = KnownObject {
            name,
            version,
            size,
            raw,
            is_kept,
            unwritten: is_news && is_kept,
        };
        known.put(object, one);
    }

    /// How an object is shown: `None` if that is not remembered, `Some(None)` if it is hidden.
    pub(super) fn show(
        &self,
        object: Uuid,
        version: Option<&Version>,
    ) -> Option<Option<ListedKey>> {
        let mut known = self.known();
        let known = known.get(&object)?;
        let is_newest = Some(&known.version) == version;
        let Some(named) = &known.name else {
            return Some(None);
        };
        // Whether its bytes can be read has to be asked again of each version.
        if known.raw && !is_newest {
            return None;
        }
        Some(Some(ListedKey {
            name: named.name.clone(),
            key: key(object, known.raw, named.text.clone()),
            size: known.size.filter(|_| is_newest),
        }))
    }

    /// Reads what earlier mounts wrote, once.
    pub(super) async fn load(&self, spelling: Spelling) {
        self.loaded
            .get_or_init(|| async {
                let Some(kept) = self.kept.clone() else {
                    return;
                };
                let read = tokio::task::spawn_blocking(move || {
                    let known_of = |line: &NameLine| Some((line.object, known_of(line, spelling)?));
                    kept.read().iter().filter_map(known_of).collect::<Vec<_>>()
                });
                let read = read.await.unwrap_or_default();
                let mut known = self.known();
                for (object, one) in read {
                    if !known.contains(&object) {
                        known.put(object, one);
                    }
                }
            })
            .await;
    }

    /// Writes what is new to the disk, if it is so much. A failure costs requests later on, and nothing
    /// else.
    pub(super) async fn store(&self, at_least: usize) {
        let Some(kept) = self.kept.clone() else {
            return;
        };
        let lines = self.unwritten(at_least);
        if lines.is_empty() {
            return;
        }
        let rewritten = match kept.is_worn(self.known().len()) {
            true => self.all(),
            false => Vec::new(),
        };
        let written = tokio::task::spawn_blocking(move || kept.write(&lines, &rewritten)).await;
        if let Ok(Err(error)) = written {
            failed(&error);
        }
    }

    /// The lines of what is new, which it is no longer.
    fn unwritten(&self, at_least: usize) -> Vec<NameLine> {
        let mut known = self.known();
        if known.iter().filter(|(_, one)| one.unwritten).count() < at_least.max(1) {
            return Vec::new();
        }
        let new = known.iter_mut().filter(|(_, one)| one.unwritten);
        new.map(|(object, one)| {
            one.unwritten = false;
            line_of(*object, one)
        })
        .collect()
    }

    /// The lines of everything.
    fn all(&self) -> Vec<NameLine> {
        let known = self.known();
        let kept = known.iter().filter(|(_, one)| one.is_kept);
        // The least recently used first: of more than can be remembered, the last ones that are read are.
        kept.rev()
            .map(|(object, one)| line_of(*object, one))
            .collect()
    }
}

impl Drop for Names {
    /// At the end of a mount, when no caller waits.
    fn drop(&mut self) {
        let lines = self.unwritten(1);
        if let Some(kept) = &self.kept
            && !lines.is_empty()
            && let Err(error) = kept.write(&lines, &[])
        {
            failed(&error);
        }
    }
}

fn failed(error: &std::io::Error) {
    tracing::warn!(error = %error, "the names of keys could not be kept for the next mount");
}

/// The name of an object's file.
fn file_name(spelling: Spelling, key: Option<&Value>, object: Uuid, raw: bool) -> FileName {
    let name = spelling.name(key, object, raw);
    FileName::new(name.as_ref()).expect("slashes are escaped, and the length was looked at")
}

fn line_of(object: Uuid, known: &KnownObject) -> NameLine {
    let text = known.name.as_ref().and_then(|named| named.text.as_deref());
    NameLine {
        object,
        key: text.map(str::to_owned),
        etag: known.version.etag().to_owned(),
        size: known.size,
        raw: known.raw,
    }
}

fn known_of(line: &NameLine, spelling: Spelling) -> Option<KnownObject> {
    let name = match line.key.as_deref() {
        None => None,
        Some(text) => {
            let key = edn::read(text).ok()?;
            if hasch::uuid(&key) != Ok(line.object) {
                return None;
            }
            Some(ShownKey {
                text: Some(text.into()),
                name: file_name(spelling, Some(&key), line.object, line.raw),
            })
        }
    };
    Some(KnownObject {
        name,
        version: Version::told(&line.etag)?,
        size: line.size,
        raw: line.raw,
        is_kept: true,
        unwritten: false,
    })
}
