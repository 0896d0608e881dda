//! The table of a mount: its inodes, what is known of each file, and who was shown what.
//!
//! All of it is behind one mutex that is never held over a wait, see [`super::Vfs`]. It makes no
//! request.

pub(super) mod commit;
mod copies;
pub(super) mod known;
mod misses;
mod names;
mod node;
pub(super) mod numbers;
mod pending;
pub(super) mod remembered;
mod shown;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

use lru::LruCache;

use self::commit::Commit;
use self::copies::Copies;
use self::known::Known;
use self::misses::Misses;
use self::numbers::STRANGE;
use super::cache::{Deletes, ListingCache, ValueCache};
use super::closing::Closing;
use super::context::Call;
use super::control::Control;
use super::handles::{Fh, Handle};
use super::metadata::REMEMBERED;
use super::place::Place;
use super::scratch::{Scratch, ScratchId};
use super::{Durable, Error, Who};
use crate::model::{
    Caller, File, FileName, Ino, Key, PendingRenames, Process, Seen, Tree, Version,
};
use crate::store::{Dir, Metadata, Store, StoreName, Value};

/// What an inode stands for.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The root of a bucket: its stores.
    Stores,
    /// A directory of a store.
    Dir(Arc<dyn Store>, Dir),
    /// A key.
    File(Arc<dyn Store>, Key),
    /// A file that only this mount has.
    Scratch(Arc<Scratch>),
    /// The mount's own directory and files.
    Control(Control),
}

/// A handle, and what it was opened on: the kernel may call something else by that number when it
/// closes it.
#[derive(Debug)]
pub(super) struct Opened {
    ino: Ino,
    handle: Arc<Handle>,
    /// When each write through it is to be saved: what the kernel does not repeat in a copy.
    durable: Durable,
}

/// What a mount knows of an inode.
#[derive(Debug)]
pub(super) struct Node {
    kind: Kind,
    known: Option<Known>,
    /// When the store last said that this directory is there.
    there: Option<Instant>,
    /// Open handles, oldest first.
    open: Vec<Fh>,
    /// What this mount did to it, and what its writers have to learn of that.
    file: File<Metadata>,
    /// Who made what it holds, through this mount: who created it, emptied it, or wrote to it for
    /// somebody else.
    creator: Who,
    /// Its readers that stand at the end ask here for more, one for all of them; when they asked last.
    more: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// Saves of this file queue here (W12).
    save_lock: Arc<tokio::sync::Mutex<()>>,
    /// Its handles that are being closed.
    closing: Closing,
    /// When it was made; the time of files that have no other.
    since: SystemTime,
}

impl Node {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            known: None,
            there: None,
            open: Vec::new(),
            file: File::default(),
            creator: None,
            more: Arc::default(),
            save_lock: Arc::default(),
            closing: Closing::default(),
            since: SystemTime::now(),
        }
    }
}

/// Everything a mount remembers.
#[derive(Debug)]
pub(super) struct Table {
    tree: Tree<Node>,
    handles: HashMap<Fh, Opened>,
    next_fh: u64,
    seen: Seen<Place>,
    copies: Copies,
    misses: Misses,
    pending_renames: PendingRenames<Place, ScratchId>,
    values: ValueCache,
    listings: ListingCache,
    deletes: Deletes,
    /// Which processes see another number of a file than it shows, and which: who moved it here, and who
    /// reads what had its name before.
    strangers: LruCache<Place, Vec<(Process, u64)>>,
    /// How many such numbers were given to readers.
    others: u64,
    /// What travelled with keys that this mount moved away, and when.
    moved: LruCache<Place, (Metadata, Instant)>,
    /// The last name that the store did not have, and the system call in which it was asked. One is enough: losing it costs a request, and nothing else.
    just_absent: Option<(Ino, FileName, Call)>,
    /// Directories that this mount emptied, and that no object keeps: they stay until they are
    /// removed, as users of a file system expect.
    kept: HashSet<(StoreName, Dir)>,
}

impl Table {
    pub(super) fn new(root: Kind, seen: Seen<Place>, cache_bytes: usize, ttl: Duration) -> Self {
        Self {
            tree: Tree::new(Node::new(root)),
            handles: HashMap::new(),
            next_fh: 1,
            seen,
            copies: Copies::new(),
            misses: Misses::new(),
            pending_renames: PendingRenames::default(),
            values: ValueCache::new(cache_bytes),
            listings: ListingCache::new(ttl),
            deletes: Deletes::default(),
            strangers: LruCache::new(STRANGE),
            others: 0,
            moved: LruCache::new(REMEMBERED),
            just_absent: None,
            kept: HashSet::new(),
        }
    }

    pub(super) fn node(&self, ino: Ino) -> Result<&Node, Error> {
        self.tree.get(ino).ok_or(Error::BadHandle)
    }

    pub(super) fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, Error> {
        self.tree.get_mut(ino).ok_or(Error::BadHandle)
    }

    /// A process was given this version of a key. Whether it may yet turn out to have been nothing.
    pub(super) fn show(&mut self, caller: &Caller, place: &Place, version: &Version) -> bool {
        self.settle_misses(place);
        self.pending_renames.shown(place, caller.process);
        self.seen.show(caller, place, version)
    }

    /// A process changed a file itself: it knows what its key is, whatever its older handles read from
    /// now on. That it read what had another name before says what that name was.
    pub(super) fn changed_by(&self, ino: Ino, who: Who) {
        let (Some(who), Ok((store, key))) = (who, self.file(ino)) else {
            return;
        };
        let place = (store.name(), key);
        for handle in self.handles_by(ino, who.process) {
            handle.knows(&place);
        }
    }

    /// Somebody moved a file, whose old key is still its name here: the mover knows that this key is gone.
    pub(super) fn learn_moved(&mut self, ino: Ino, sent: Instant, mover: Who) {
        self.changed_by(ino, mover);
        self.learn_deleted(ino, sent);
    }

    /// The store and key of a file.
    pub(super) fn file(&self, ino: Ino) -> Result<(Arc<dyn Store>, Key), Error> {
        match &self.node(ino)?.kind {
            Kind::File(store, key) => Ok((Arc::clone(store), key.clone())),
            Kind::Stores | Kind::Dir(..) => Err(Error::IsDir("the directory".to_owned())),
            Kind::Scratch(_) => Err(Error::Unsupported("it is a scratch file".to_owned())),
            Kind::Control(control) => Err(Error::NotPermitted(format!(
                "{control} is kept by the mount itself"
            ))),
        }
    }

    /// The store and directory of a directory.
    pub(super) fn dir(&self, ino: Ino) -> Result<(Arc<dyn Store>, Dir), Error> {
        match &self.node(ino)?.kind {
            Kind::Dir(store, dir) => Ok((Arc::clone(store), dir.clone())),
            Kind::Stores => Err(Error::NotPermitted(
                "only stores can be made here: mkdir UUID".to_owned(),
            )),
            Kind::Control(control) => Err(Error::NotPermitted(format!(
                "{control} is kept by the mount itself"
            ))),
            Kind::File(_, key) => Err(Error::NotDir(key.to_string())),
            Kind::Scratch(_) => Err(Error::NotDir("the scratch file".to_owned())),
        }
    }

    /// Opens a handle.
    pub(super) fn open(&mut self, ino: Ino, handle: Handle) -> Fh {
        let fh = Fh(self.next_fh);
        self.next_fh += 1;
        let handle = Arc::new(handle);
        let durable = Durable::AtSave;
        self.handles.insert(
            fh,
            Opened {
                ino,
                handle,
                durable,
            },
        );
        self.tree.hold(ino);
        if let Some(node) = self.tree.get_mut(ino) {
            node.open.push(fh);
        }
        fh
    }

    /// Notes when each write through a handle is to be saved.
    pub(super) fn note_durable(&mut self, fh: Fh, durable: Durable) {
        if let Some(opened) = self.handles.get_mut(&fh) {
            opened.durable = durable;
        }
    }

    /// When each write through a handle is to be saved.
    pub(super) fn durable(&self, fh: Fh) -> Durable {
        self.handles
            .get(&fh)
            .map_or(Durable::AtSave, |opened| opened.durable)
    }

    /// Closes a handle; what it was opened on.
    pub(super) fn close(&mut self, fh: Fh) -> Option<Ino> {
        let Opened { ino, .. } = self.handles.remove(&fh)?;
        if let Some(node) = self.tree.get_mut(ino) {
            node.open.retain(|open| *open != fh);
            if node.open.is_empty() {
                node.file.forget_successors();
            }
        }
        self.tree.unhold(ino);
        Some(ino)
    }

    pub(super) fn handle(&self, fh: Fh) -> Result<Arc<Handle>, Error> {
        let open = self.handles.get(&fh).ok_or(Error::BadHandle)?;
        Ok(Arc::clone(&open.handle))
    }

    /// The open handles of a file.
    pub(super) fn handles_of(&self, ino: Ino) -> Vec<Arc<Handle>> {
        let fhs = self.tree.get(ino).map(|node| node.open.clone());
        fhs.unwrap_or_default()
            .iter()
            .filter_map(|fh| self.handle(*fh).ok())
            .collect()
    }

    /// Those of them that a process opened.
    fn handles_by(&self, ino: Ino, process: Process) -> impl Iterator<Item = Arc<Handle>> {
        let handles = self.handles_of(ino).into_iter();
        handles.filter(move |handle| handle.who().is_some_and(|who| who.process == process))
    }

    /// A scratch file is a key now: its inode and its open handles go on with that.
    pub(super) fn publish(
        &mut self,
        scratch: &Scratch,
        (store, key): (&Arc<dyn Store>, &Key),
        value: &Arc<Value>,
        commit: Commit,
    ) {
        let ino = scratch.ino();
        let place = commit.place.clone();
        if let Some(node) = self.tree.get_mut(ino) {
            node.kind = Kind::File(Arc::clone(store), key.clone());
        }
        self.commit(commit);
        let Some(node) = self.tree.get(ino) else {
            return;
        };
        let (open, caught_up) = (node.open.clone(), node.file.now());
        for fh in open {
            if let Some(Opened { handle, .. }) = self.handles.get_mut(&fh)
                && let Handle::Scratch(open) = &**handle
            {
                *handle = Arc::new(open.of_key((ino, place.clone()), value, caught_up));
            }
        }
    }

    /// If the last handle of a file that was created and never saved is closed, it never was.
    pub(super) fn end_unsaved(&mut self, ino: Ino, now: Duration) {
        let over = |node: &&mut Node| node.file.is_unsaved() && node.open.is_empty();
        let Some(node) = self.tree.get_mut(ino).filter(over) else {
            return;
        };
        node.file.give_up();
        if let Kind::File(store, key) = &node.kind {
            let place = (store.name(), key.clone());
            self.pending_renames.closed_unsaved(&place, now);
        }
        self.tree.unlink(ino);
    }

    /// Takes the name from a file that was never more than a draft: who still writes it, writes in
    /// vain.
    pub(super) fn forget_draft(&mut self, ino: Ino) {
        self.tree.unlink(ino);
        if let Some(node) = self.tree.get_mut(ino)
            && node.file.is_unsaved()
        {
            node.file.remove();
        }
    }

    /// A name in this directory was removed by this mount: the directory, and those it is in, stay
    /// until they are removed.
    pub(super) fn keep_dir(&mut self, store: &Arc<dyn Store>, dir: &Dir) {
        let kept = dir.parents().chain([dir.clone()]);
        self.kept.extend(kept.map(|dir| (store.name(), dir)));
        self.listings.outdate();
    }

    /// The inode of a name. A name that was a file and is a directory now, or the other way round,
    /// gets a new one.
    pub(super) fn insert(&mut self, parent: Ino, name: &FileName, kind: Kind) -> Ino {
        self.no_longer_absent(parent, name);
        if let Some(ino) = self.tree.find(parent, name) {
            match self.tree.get(ino) {
                Some(node) if node.kind.is_same(&kind) => return ino,
                _ => self.tree.unlink(ino),
            }
        }
        let identity = self.identity(parent, name, &kind);
        self.tree.insert(parent, name, identity, || Node::new(kind))
    }
}

impl Kind {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stores, Self::Stores) => true,
            (Self::Dir(_, one), Self::Dir(_, two)) => one == two,
            (Self::File(_, one), Self::File(_, two)) => one == two,
            (Self::Scratch(one), Self::Scratch(two)) => one.id() == two.id(),
            (Self::Control(one), Self::Control(two)) => one == two,
            _ => false,
        }
    }
}
