//! What is remembered of objects: which key each has, and how large its file is.
//!
//! An object's name is a hash of its key, so the key of an object can never change; it is also kept
//! on disk, for the mounts to come. A size is that of one version. It knows nothing of requests;
//! `list.rs` asks for what is not remembered here. Names of encrypted objects are not written to
//! the disk.

use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key;
use super::read::Looked;
use crate::model::{FileName, Key, StoreId, Version};
use crate::store::konserve::file::{Content, is_element, is_own};
use crate::store::konserve::name::Spelling;
use crate::store::konserve::{edn, hasch};

/// How many objects are remembered of one store.
const OBJECTS: NonZeroUsize = NonZeroUsize::new(500_000).expect("it is not zero");
/// A longer line was not written by this program.
const MAX_LINE: usize = 4 << 20;

/// What is remembered of the objects of one store.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<LruCache<Uuid, Known>>,
    file: Option<PathBuf>,
    loaded: tokio::sync::OnceCell<()>,
}

#[derive(Clone, Debug)]
struct Known {
    /// None of an element of a log, which is not shown.
    name: Option<Named>,
    /// Of the version that was looked at last.
    version: Version,
    size: Option<u64>,
    /// Its value cannot be shown, but as it is stored.
    raw: bool,
    /// Whether it is to be written to the disk.
    unwritten: bool,
}

#[derive(Clone, Debug)]
struct Named {
    /// The key, in EDN; none if it cannot be read.
    text: Option<Arc<str>>,
    name: FileName,
}

/// How an object is shown in a listing.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: FileName,
    pub(super) key: Key,
    pub(super) size: Option<u64>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    object: Uuid,
    /// None of an element of a log.
    key: Option<String>,
    etag: String,
    size: Option<u64>,
    raw: bool,
}

impl Names {
    /// Those of a store, kept in a state directory if there is one.
    pub(super) fn new(store: StoreId, state_dir: Option<PathBuf>) -> Self {
        Self {
            known: Mutex::new(LruCache::new(OBJECTS)),
            file: state_dir.map(|dir| dir.join("konserve").join(format!("{store}.names"))),
            loaded: tokio::sync::OnceCell::new(),
        }
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Uuid, Known>> {
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
            Ok(origin) if is_element(&origin.metadata, object) => (None, false, true),
            Ok(origin) => {
                let key = origin.metadata.key();
                let raw = matches!(origin.content, Content::Opaque(_));
                let named = Named {
                    text: Some(edn::print_line(key).into()),
                    name: spelling.name(Some(key), object, raw),
                };
                let is_kept = !origin.header.codec.encrypted && is_own(&origin.metadata, object);
                (Some(named), raw, is_kept)
            }
            Err(_) => {
                let name = spelling.name(None, object, true);
                (Some(Named { text: None, name }), true, false)
            }
        };
        let version = looked.info.version.clone();
        let size = looked.size(raw);
        let mut known = self.known();
        let is_news = known.peek(&object).is_none_or(|old| old.unwritten);
        let unwritten = is_news && is_kept;
        known.put(
            object,
            Known {
                name,
                version,
                size,
                raw,
                unwritten,
            },
        );
    }

    /// How an object is shown: `None` if that is not remembered, `Some(None)` if it is hidden.
    pub(super) fn show(&self, object: Uuid, version: Option<&Version>) -> Option<Option<Listed>> {
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
        Some(Some(Listed {
            name: named.name.clone(),
            key: key(object, known.raw, named.text.clone()),
            size: known.size.filter(|_| is_newest),
        }))
    }

    /// Reads what earlier mounts wrote, once.
    pub(super) async fn load(&self, spelling: Spelling) {
        self.loaded
            .get_or_init(|| async {
                let Some(file) = self.file.clone() else {
                    return;
                };
                let read = tokio::task::spawn_blocking(move || read_lines(&file, spelling)).await;
                let mut known = self.known();
                for (object, one) in read.unwrap_or_default() {
                    if !known.contains(&object) {
                        known.put(object, one);
                    }
                }
            })
            .await;
    }

    /// Writes what is new to the disk. A failure costs requests later on, and nothing else.
    pub(super) async fn store(&self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let mut lines = Vec::new();
        {
            let mut known = self.known();
            for (object, known) in known.iter_mut().filter(|(_, known)| known.unwritten) {
                known.unwritten = false;
                let line = Line {
                    object: *object,
                    key: known
                        .name
                        .as_ref()
                        .and_then(|named| named.text.as_deref())
                        .map(str::to_owned),
                    etag: known.version.etag().to_owned(),
                    size: known.size,
                    raw: known.raw,
                };
                if serde_json::to_writer(&mut lines, &line).is_ok() {
                    lines.push(b'\n');
                }
            }
        }
        if lines.is_empty() {
            return;
        }
        let written = tokio::task::spawn_blocking(move || append(&file, &lines)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(error = %error, "the names of keys could not be kept for the next mount");
        }
    }
}

fn append(file: &Path, lines: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
    }
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?
        .write_all(lines)
}

/// Lines that are not whole, or whose key is not that of the object, are left out.
fn read_lines(file: &Path, spelling: Spelling) -> Vec<(Uuid, Known)> {
    let Ok(file) = std::fs::OpenOptions::new().read(true).open(file) else {
        return Vec::new();
    };
    let mut read = Vec::new();
    for line in std::io::BufReader::new(file).split(b'\n') {
        let Ok(line) = line else { break };
        if line.len() > MAX_LINE {
            break;
        }
        if let Ok(line) = serde_json::from_slice::<Line>(&line) {
            read.extend(known_of(&line, spelling).map(|known| (line.object, known)));
        }
    }
    read
}

fn known_of(line: &Line, spelling: Spelling) -> Option<Known> {
    let name = match line.key.as_deref() {
        None => None,
        Some(text) => {
            let key = edn::read(text).ok()?;
            if hasch::uuid(&key) != Ok(line.object) {
                return None;
            }
            Some(Named {
                text: Some(text.into()),
                name: spelling.name(Some(&key), line.object, line.raw),
            })
        }
    };
    Some(Known {
        name,
        version: Version::new(line.etag.as_str()),
        size: line.size,
        raw: line.raw,
        unwritten: false,
    })
}
