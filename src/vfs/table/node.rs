//! What a mount knows of an inode, as the operations see it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

use super::super::closing::Closing;
use super::super::handles::Fh;
use super::super::{Error, Who};
use super::known::Known;
use super::{Kind, Node, Table};
use crate::model::{CaughtUp, File, Ino};
use crate::store::{Metadata, StoreName};

/// What the readers of a file that stand at its end have asked for; when they asked last.
type More = Arc<tokio::sync::Mutex<Option<Instant>>>;

impl Node {
    /// What the inode stands for.
    pub(in crate::vfs) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it is a key.
    pub(in crate::vfs) fn is_key(&self) -> bool {
        matches!(self.kind, Kind::File(..))
    }

    /// Whether this mount created it and has not saved it yet.
    pub(in crate::vfs) fn is_unsaved(&self) -> bool {
        self.file.is_unsaved()
    }

    /// Whether this mount deleted it.
    pub(in crate::vfs) fn is_removed(&self) -> bool {
        self.file.is_removed()
    }

    /// Whether it is open.
    pub(in crate::vfs) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether this is one of its open handles.
    pub(in crate::vfs) fn has_open(&self, fh: Fh) -> bool {
        self.open.contains(&fh)
    }

    /// Its open handles, oldest first.
    pub(in crate::vfs) fn open_handles(&self) -> Vec<Fh> {
        self.open.clone()
    }

    /// When it was made; the time of files that have no other.
    pub(in crate::vfs) fn since(&self) -> SystemTime {
        self.since
    }

    /// What the store last said of it.
    pub(in crate::vfs) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// The key's store and what is known of it, if there is both.
    pub(in crate::vfs) fn known_key(&self) -> Option<(StoreName, &Known)> {
        match (&self.kind, &self.known) {
            (Kind::File(store, _), Some(known)) => Some((store.name(), known)),
            _ => None,
        }
    }

    /// Who made its content, through this mount.
    pub(in crate::vfs) fn creator(&self) -> Who {
        self.creator
    }

    /// What its writers share: what a save is decided by, and what a writer catches up with.
    pub(in crate::vfs) fn shared(&self) -> &File<Metadata> {
        &self.file
    }

    /// As [`shared`](Self::shared), for a save that changes it.
    pub(in crate::vfs) fn shared_mut(&mut self) -> &mut File<Metadata> {
        &mut self.file
    }

    /// Where its readers that stand at the end ask for more, one for all of them.
    pub(in crate::vfs) fn more(&self) -> More {
        Arc::clone(&self.more)
    }

    /// Its handles that are being closed.
    pub(in crate::vfs) fn closing(&self) -> &Closing {
        &self.closing
    }

    /// Whether this is a directory that was there less than `ttl` ago.
    pub(in crate::vfs) fn is_fresh_dir(&self, ttl: Duration) -> bool {
        self.there.is_some_and(|there| there.elapsed() < ttl)
    }
}

impl Table {
    /// The lock in which the saves of a file queue (W12).
    pub(in crate::vfs) fn save_lock(&self, ino: Ino) -> Result<Arc<tokio::sync::Mutex<()>>, Error> {
        Ok(Arc::clone(&self.node(ino)?.save_lock))
    }

    /// Notes who makes the content of a file from now on.
    pub(in crate::vfs) fn set_maker(&mut self, ino: Ino, who: Who) -> Result<(), Error> {
        self.node_mut(ino)?.creator = who;
        Ok(())
    }

    /// The process that made the content of a file, if that is known.
    pub(in crate::vfs) fn maker(&self, ino: Ino) -> Who {
        self.get(ino).and_then(Node::creator)
    }

    /// This mount creates a file, of which the store knows nothing yet.
    pub(in crate::vfs) fn create(&mut self, ino: Ino, by: Who) -> Result<&Node, Error> {
        let node = self.node_mut(ino)?;
        node.known = None;
        node.file.create();
        node.creator = by;
        Ok(node)
    }

    /// Another machine's file is in the place of one that this mount created, or it never was.
    pub(in crate::vfs) fn give_up(&mut self, ino: Ino) {
        if let Some(node) = self.tree.get_mut(ino) {
            node.file.give_up();
        }
    }

    /// Where a writer of a file stands that opens it now.
    pub(in crate::vfs) fn caught_up(&self, ino: Ino) -> CaughtUp {
        self.get(ino)
            .map_or_else(CaughtUp::default, |node| node.file.now())
    }

    /// What is known of an inode, if there is one.
    pub(in crate::vfs) fn known(&self, ino: Ino) -> Option<&Known> {
        self.get(ino)?.known()
    }

    /// What an inode stands for, if there is one.
    pub(in crate::vfs) fn kind(&self, ino: Ino) -> Option<&Kind> {
        Some(self.get(ino)?.kind())
    }

    /// A directory was found; since when it is known.
    pub(in crate::vfs) fn found_dir(&mut self, ino: Ino) -> Option<SystemTime> {
        let node = self.tree.get_mut(ino)?;
        node.there = Some(Instant::now());
        Some(node.since)
    }

    /// A handle of a file was flushed that has nothing to save until it is closed for good.
    pub(in crate::vfs) fn note_flush(&mut self, ino: Ino, fh: Fh) {
        if let Some(node) = self.tree.get_mut(ino) {
            node.closing.note_flush(fh);
        }
    }

    /// A key has another name now: its inode stands for that.
    pub(in crate::vfs) fn becomes(&mut self, ino: Ino, kind: Kind) {
        if let Some(node) = self.tree.get_mut(ino) {
            node.kind = kind;
        }
    }
}
