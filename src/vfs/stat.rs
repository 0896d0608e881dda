//! What `stat` shows of each kind of file (V5).
//!
//! Which time a version shows is in `times.rs`. Owner and mode are the mount's, and are added in `mount`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

use super::attr::{Attr, FileKind};
use super::handles::{Fh, Handle, ReadFrom};
use super::known::Known;

use super::table::{Kind, Node, Table};
use super::{Context, Error, Vfs};
use crate::model::Ino;
use crate::store::{Entry, StoreName};
use crate::telemetry::Cache;

/// How long the kernel may believe in the attributes of a directory: they never change.
const DIR_TTL: Duration = Duration::from_secs(3600);

impl Vfs {
    /// The attributes of a directory or of one of the mount's own files.
    pub(super) fn fixed_attr(&self, ino: Ino, kind: FileKind, modified: SystemTime) -> Attr {
        Attr {
            ino,
            kind,
            size: 0,
            modified,
            is_linked: true,
            ttl: match kind {
                FileKind::Dir => DIR_TTL,
                FileKind::File | FileKind::Symlink | FileKind::Control => Duration::ZERO,
            },
        }
    }

    /// The attributes of a directory that is open.
    pub fn dir_attr(&self, ino: Ino) -> Attr {
        let since = self.table().get(ino).map(Node::since);
        self.fixed_attr(ino, FileKind::Dir, since.unwrap_or(UNIX_EPOCH))
    }

    /// The attributes of a version of a file.
    pub(super) fn entry_attr(&self, store: StoreName, ino: Ino, entry: &Entry) -> Attr {
        Attr {
            ino,
            kind: FileKind::File,
            size: entry.size.unwrap_or(0),
            modified: self.shown_time(store, entry),
            is_linked: true,
            // A size that is not known must be asked for.
            ttl: entry.size.map_or(Duration::ZERO, |_| self.options.ttl),
        }
    }

    /// The attributes of what is known of a file, for as long as that may be believed.
    pub(super) fn known_attr(&self, store: StoreName, ino: Ino, known: &Known) -> Attr {
        let attr = self.entry_attr(store, ino, known.entry());
        Attr {
            ttl: known.time_left(attr.ttl),
            ..attr
        }
    }

    /// The attributes of a file of which an answer was just noted, or was not since this mount itself
    /// changed the file after it asked: then of what is known, or only for now.
    pub(super) fn noted_attr(
        &self,
        table: &Table,
        store: StoreName,
        ino: Ino,
        entry: &Entry,
    ) -> Attr {
        let known = table.known(ino);
        match known {
            Some(known) => self.known_attr(store, ino, known),
            None => Attr {
                ttl: Duration::ZERO,
                ..self.entry_attr(store, ino, entry)
            },
        }
    }

    /// The attributes of a file that this mount created and did not save yet.
    pub(super) fn unsaved_attr(&self, ino: Ino, node: &Node) -> Attr {
        Attr {
            ino,
            kind: FileKind::File,
            size: 0,
            modified: node.since(),
            is_linked: !node.is_removed(),
            ttl: Duration::ZERO,
        }
    }

    /// What a process that has the file open sees of it: what its newest handle shows that differs
    /// from what is stored, the version it reads or the draft it writes.
    pub(super) fn own_attr(&self, ino: Ino, by: Context) -> Option<Attr> {
        let process = by.process()?;
        let handles = self.handles_of(ino);
        let is_own =
            |handle: &&Arc<Handle>| handle.who().is_some_and(|opener| opener.process == process);
        let mut own = handles.iter().rev().filter(is_own);
        let attr = own.find_map(|handle| self.handle_attr(ino, handle))?;
        Some(self.attr_of_open(attr))
    }

    /// The attributes of an inode for a process, or as one of its handles shows them. Zero or one request.
    ///
    /// # Errors
    /// As [`attr`](Self::attr).
    pub async fn attr_for(&self, ino: Ino, fh: Option<Fh>, by: Context) -> Result<Attr, Error> {
        self.follow(ino, fh, by).await;
        match fh.and_then(|fh| self.attr_through(ino, fh)) {
            Some(attr) => Ok(attr),
            None => self.attr(ino, by).await,
        }
    }

    /// What one handle shows: the version it reads, or the draft it writes. `None` if that cannot be
    /// told now.
    fn attr_through(&self, ino: Ino, fh: Fh) -> Option<Attr> {
        let handle = self.handle(fh).ok()?;
        let attr = self.whole_attr(ino, &handle)?;
        Some(self.attr_of_open(attr))
    }

    fn attr_of_open(&self, attr: Attr) -> Attr {
        let table = self.table();
        let removed = table.get(attr.ino).is_some_and(Node::is_removed);
        Attr {
            ttl: Duration::ZERO,
            is_linked: !removed,
            ..attr
        }
    }

    /// As [`handle_attr`](Self::handle_attr), of writers that changed nothing too.
    fn whole_attr(&self, ino: Ino, handle: &Handle) -> Option<Attr> {
        match handle {
            Handle::Writer(writer) if writer.shape().is_none() => {
                let size = writer.try_lock()?.content.len() as u64;
                let table = self.table();
                let node = table.get(ino)?;
                let modified = match node.known_key() {
                    Some((store, known)) => self.shown_time(store, known.entry()),
                    None => node.since(),
                };
                Some(Attr {
                    size,
                    modified,
                    ..self.unsaved_attr(ino, node)
                })
            }
            _ => self.handle_attr(ino, handle),
        }
    }

    /// What is left of a file that was deleted or moved away here, and is still open: no key has these
    /// attributes, and another file may have its name.
    fn removed_attr(&self, ino: Ino) -> Option<Attr> {
        {
            let table = self.table();
            let node = table.get(ino)?;
            if !node.is_removed() && (!node.is_key() || table.is_named(ino)) {
                return None;
            }
        }
        let handles = self.handles_of(ino);
        let mut newest = handles.iter().rev();
        let attr = newest.find_map(|handle| self.whole_attr(ino, handle))?;
        Some(self.attr_of_open(attr))
    }

    fn handle_attr(&self, ino: Ino, handle: &Handle) -> Option<Attr> {
        match handle {
            Handle::Reader(reader) => {
                let (store, key) = reader.place();
                match &*reader.source() {
                    ReadFrom::Nothing => None,
                    ReadFrom::Whole(value) => {
                        let entry = value.entry(key.clone());
                        Some(self.entry_attr(*store, ino, &entry))
                    }
                    ReadFrom::Pieces(pieces) => Some(self.entry_attr(*store, ino, pieces.entry())),
                }
            }
            Handle::Writer(writer) => {
                let shape = writer.shape()?;
                Some(Attr {
                    ino,
                    kind: FileKind::File,
                    size: shape.size(),
                    modified: shape.modified(),
                    is_linked: true,
                    ttl: Duration::ZERO,
                })
            }
            Handle::Scratch(_) | Handle::Dir(..) | Handle::Fixed(_) | Handle::Access(_) => None,
        }
    }

    /// How many bytes a save or an open of a file may have to move.
    pub fn weight(&self, ino: Ino) -> u64 {
        let table = self.table();
        let known = table.known(ino);
        let stored = known.and_then(|known| known.entry().size).unwrap_or(0);
        let drafts = table
            .handles_of(ino)
            .into_iter()
            .filter_map(|handle| match &*handle {
                Handle::Writer(writer) => Some(writer.shape()?.size()),
                _ => None,
            });
        drafts.fold(stored, u64::max)
    }

    /// Attributes that the kernel may show to any process. Those that write the file are shown their own
    /// copies (W12), and whoever moved it here its former number: as long as there is one of them, the kernel
    /// has to ask again. A process that reads an older version is no reason: by name it sees what others
    /// saved (R1), as editors do that keep their file open.
    pub(super) fn for_anybody(&self, attr: Attr) -> Attr {
        let (handles, has_strangers) = {
            let table = self.table();
            (table.handles_of(attr.ino), table.has_strangers(attr.ino))
        };
        let is_draft =
            |handle: &Arc<Handle>| matches!(&**handle, Handle::Writer(it) if it.shape().is_some());
        match has_strangers || handles.iter().any(is_draft) {
            true => Attr {
                ttl: Duration::ZERO,
                ..attr
            },
            false => attr,
        }
    }

    /// Whether a key is open, or somebody sees another number of it; only then it matters who asks for the
    /// attributes.
    pub fn is_personal(&self, ino: Ino) -> bool {
        let table = self.table();
        let is_open = table.get(ino).is_some_and(Node::is_key) && table.is_held(ino);
        is_open || table.has_strangers(ino)
    }

    fn known_attr_of(&self, ino: Ino) -> Option<Attr> {
        let table = self.table();
        let (store, known) = table.get(ino)?.known_key()?;
        Some(self.known_attr(store, ino, known))
    }

    /// The attributes of an inode as they were last told, however old; for callers that changed
    /// nothing that is stored. A request only if nothing was ever told.
    ///
    /// # Errors
    /// As [`attr`](Self::attr).
    pub async fn last_attr(&self, ino: Ino, by: Context) -> Result<Attr, Error> {
        if self.own_attr(ino, by).is_none()
            && let Some(attr) = self.known_attr_of(ino)
        {
            return Ok(Attr {
                ttl: Duration::ZERO,
                ..attr
            });
        }
        self.attr(ino, by).await
    }

    /// The attributes of an inode. Zero or one request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the store says that the key is gone, and nobody has it open;
    /// [`Error::Stale`] when it lost its name.
    pub async fn attr(&self, ino: Ino, by: Context) -> Result<Attr, Error> {
        if let Some(attr) = self.own_attr(ino, by) {
            return Ok(attr);
        }
        if let Some(attr) = self.removed_attr(ino) {
            return Ok(attr);
        }
        Ok(self.for_anybody(self.stored_attr(ino).await?))
    }

    async fn stored_attr(&self, ino: Ino) -> Result<Attr, Error> {
        self.check_reached(ino)?;
        let (store, key) = {
            let table = self.table();
            let node = table.node(ino)?;
            match node.kind() {
                Kind::Stores | Kind::Dir(..) => {
                    return Ok(self.fixed_attr(ino, FileKind::Dir, node.since()));
                }
                Kind::Control(control) => {
                    // The table is not held over calls of the local disk.
                    let (control, since) = (control.clone(), node.since());
                    drop(table);
                    return Ok(self.control_attr(ino, &control, since));
                }
                Kind::Scratch(scratch) => {
                    let is_linked = table.is_named(ino);
                    return Ok(self.scratch_attr(ino, scratch, is_linked));
                }
                Kind::File(store, key) => {
                    if node.is_unsaved() {
                        return Ok(self.unsaved_attr(ino, node));
                    }
                    let known = node.fresh(self.options.ttl);
                    self.looked_up(Cache::Attributes, known.is_some());
                    if let Some(known) = known {
                        return Ok(self.known_attr(store.name(), ino, known));
                    }
                    (store.clone(), key.clone())
                }
            }
        };
        let asked = Instant::now();
        let told = self.ask(&store, &key).await?;
        self.check_reached(ino)?;
        match told {
            Some((entry, _)) => {
                let mut table = self.table();
                // The kernel may ask for attributes between a look-up and its open: that is still
                // the same system call.
                let asked_by = table.node(ino)?.known().and_then(Known::asked_by);
                table.learn(ino, entry.clone(), asked, asked_by);
                Ok(self.noted_attr(&table, store.name(), ino, &entry))
            }
            None => {
                let mut table = self.table();
                let last = table.node(ino)?.known().cloned();
                match last.filter(|_| table.is_held(ino)) {
                    // Deleted elsewhere, and still open here.
                    Some(known) => Ok(Attr {
                        is_linked: false,
                        ttl: Duration::ZERO,
                        ..self.entry_attr(store.name(), ino, known.entry())
                    }),
                    None => {
                        table.learn_absent(ino, asked);
                        Err(Error::NotFound(store.address(&key)))
                    }
                }
            }
        }
    }
}
