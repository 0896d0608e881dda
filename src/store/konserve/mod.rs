//! One live konserve store: the requests, over the codecs of the crate `konserve_codec`.
//!
//! Every key is one object, and its file one level below the store; `read.rs`, `write.rs` and
//! `list.rs` say what each costs. It knows nothing of files but their names. What an object means is
//! decided in that crate's `file.rs`; what is remembered of objects is in `names.rs`, and how it gets there
//! in `learning.rs`.

mod in_bucket;
mod learning;
mod list;
mod log;
mod name_file;
mod names;
mod origin;
mod read;
mod registry;
mod store;
mod write;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use uuid::Uuid;

pub use in_bucket::Konserve;
use learning::Learning;
use names::Names;

use super::{Error, LayoutName, Metadata};
use crate::backend::{Backend, ObjectKey};
use crate::model::{BadName, FileName, Key, StoreId, Version};
use konserve_codec::aes::EncryptionKey;
use konserve_codec::blob::Codec;
use konserve_codec::name::{Asked, NoKey, Spelling};
use konserve_codec::object;

/// What the layout is called.
pub const LAYOUT: LayoutName = LayoutName::new("konserve");

/// At the end of what identifies the stored bytes of a key's value.
const RAW: &str = ".raw";

/// Why a file that ends with that cannot be changed.
const STORED: &str = "these are the stored bytes of a value";
/// How many saves, offsets and elements of logs are remembered, each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// How konserve stores are shown and written.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How keys are spelled as file names.
    pub spelling: Spelling,
    /// The key of encrypted values.
    pub secret: Option<EncryptionKey>,
    /// Where the names of keys are kept between mounts, if anywhere.
    pub state_dir: Option<PathBuf>,
    /// The longest that a listing waits for names to be learned, which goes on; without it, it waits for
    /// the end.
    pub patience: Option<Duration>,
}

impl Settings {
    /// What a file name asks for.
    fn read_name(&self, name: &FileName) -> Result<Asked, BadName> {
        let asked = self.spelling.read(name.as_str());
        asked.map_err(|NoKey(why)| BadName::Unspelled(why))
    }
}

/// One konserve store.
#[derive(Debug)]
struct KonserveStore {
    /// Itself, for tasks that go on when nobody waits for them.
    me: Weak<Self>,
    id: StoreId,
    /// The prefix of the bucket.
    prefix: String,
    backend: Arc<dyn Backend>,
    settings: Settings,
    names: Names,
    learning: Learning,
    /// The places of those who look at objects, of all stores.
    glimpses: Arc<tokio::sync::Semaphore>,
    memory: Mutex<Cached>,
}

/// What need not be asked for again.
#[derive(Debug)]
struct Cached {
    /// What the latest saves would show to a reader.
    saves: LruCache<(Uuid, Version), (Bytes, Metadata)>,
    /// Where the value begins in an object.
    offsets: LruCache<(Uuid, Version), u64>,
    /// Elements of logs that have a next one: they do not change any more.
    elements: LruCache<Uuid, (Uuid, Arc<str>)>,
    /// How the store's objects are written.
    codec: Option<Codec>,
}

/// The object that a key means, and how its file is to show it.
#[derive(Clone, Copy, Debug)]
struct ObjectRef {
    object: Uuid,
    raw: bool,
}

impl KonserveStore {
    /// The store of this id below a bucket's prefix.
    fn new(
        id: StoreId,
        prefix: &str,
        backend: Arc<dyn Backend>,
        settings: Settings,
        glimpses: Arc<tokio::sync::Semaphore>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            prefix: prefix.to_owned(),
            names: Names::new(id, settings.state_dir.clone()),
            learning: Learning::default(),
            glimpses,
            memory: Mutex::new(Cached {
                saves: LruCache::new(NonZeroUsize::MIN.saturating_add(15)),
                offsets: LruCache::new(REMEMBERED),
                elements: LruCache::new(REMEMBERED),
                codec: None,
            }),
            id,
            backend,
            settings,
        })
    }

    /// The address of a key's object.
    fn object_of(&self, key: &Key) -> ObjectKey {
        let object = target(key).map_or(Uuid::nil(), |target| target.object);
        self.object(object)
    }

    fn object(&self, object: Uuid) -> ObjectKey {
        ObjectKey::new(format!(
            "{}{}",
            self.prefix,
            object::of_value(self.id.uuid(), object)
        ))
    }

    /// What a reader would now be shown of what was just saved as this version; nothing if that is
    /// not known.
    fn saved(&self, key: &Key, version: &Version) -> Option<(Bytes, Metadata)> {
        let target = target(key).ok()?;
        let mut memory = self.memory();
        memory.saves.pop(&(target.object, version.clone()))
    }

    fn memory(&self) -> MutexGuard<'_, Cached> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn address(&self, object: Uuid) -> String {
        format!("{}/{}", self.backend.name(), self.object(object))
    }
}

/// The key of an object.
fn key(object: Uuid, raw: bool, text: Option<Arc<str>>) -> Key {
    match raw {
        true => Key::identified(format!("{object}{RAW}"), text),
        false => Key::identified(object.to_string(), text),
    }
}

fn target(key: &Key) -> Result<ObjectRef, Error> {
    let id = key.as_str();
    let (id, raw) = match id.strip_suffix(RAW) {
        Some(id) => (id, true),
        None => (id, false),
    };
    let object = Uuid::try_parse(id).map_err(|_| BadName::Illegal)?;
    Ok(ObjectRef { object, raw })
}
