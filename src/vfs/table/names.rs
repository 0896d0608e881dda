//! Names, inodes and handles, as the operations ask for them.

use super::super::Error;
use super::super::handles::{Fh, Handle};
use super::{Kind, Node, Table};
use crate::model::{FileName, Ino, NodeId, Numbers};

impl Table {
    /// What is known of an inode, if there is one.
    pub(in crate::vfs) fn get(&self, ino: Ino) -> Option<&Node> {
        self.tree.get(ino)
    }

    /// The inode of a name.
    pub(in crate::vfs) fn find(&self, parent: Ino, name: &FileName) -> Option<Ino> {
        self.tree.find(parent, name)
    }

    /// The inode of a name, and what is known of it.
    pub(in crate::vfs) fn child(&self, parent: Ino, name: &FileName) -> Option<(Ino, &Node)> {
        let ino = self.tree.find(parent, name)?;
        Some((ino, self.tree.get(ino)?))
    }

    /// The names in a directory of files that this mount created and did not save yet.
    pub(in crate::vfs) fn unsaved_in(&self, parent: Ino) -> impl Iterator<Item = &FileName> {
        let children = self.tree.children(parent);
        children.filter_map(|(name, node)| node.is_unsaved().then_some(name))
    }

    /// The directory and name of an inode, if it has not lost them.
    pub(in crate::vfs) fn name(&self, ino: Ino) -> Option<(Ino, &FileName)> {
        self.tree.name(ino)
    }

    /// The numbers by which the kernel knows an inode.
    pub(in crate::vfs) fn ids(&self, ino: Ino) -> Vec<NodeId> {
        self.tree.ids(ino).collect()
    }

    /// Whether an inode still has a name.
    pub(in crate::vfs) fn is_named(&self, ino: Ino) -> bool {
        self.tree.name(ino).is_some()
    }

    /// Takes the name from an inode; open handles continue to use it.
    pub(in crate::vfs) fn unlink(&mut self, ino: Ino) {
        self.tree.unlink(ino);
    }

    /// As [`unlink`](Self::unlink), of whatever has this name.
    pub(in crate::vfs) fn unlink_name(&mut self, parent: Ino, name: &FileName) {
        if let Some(ino) = self.tree.find(parent, name) {
            self.tree.unlink(ino);
        }
    }

    /// Forgets an inode if neither the kernel nor a handle needs it.
    pub(in crate::vfs) fn sweep(&mut self, ino: Ino) {
        self.tree.sweep(ino);
    }

    /// An inode is reported to the kernel: its numbers.
    pub(in crate::vfs) fn remember(&mut self, ino: Ino) -> Option<Numbers> {
        self.tree.remember(ino)
    }

    /// As [`remember`](Self::remember), of a name in a listing, which shows the number of the name.
    pub(in crate::vfs) fn remember_listed(&mut self, ino: Ino) -> Option<Numbers> {
        self.tree.renumber(ino);
        self.tree.remember(ino)
    }

    /// The kernel forgot this many of its lookups of this number.
    pub(in crate::vfs) fn kernel_forgot(&mut self, id: NodeId, times: u64) {
        self.tree.forget(id, times);
    }

    /// Keeps an inode as if it were open; whether there is one.
    pub(in crate::vfs) fn hold(&mut self, ino: Ino) -> bool {
        self.tree.hold(ino)
    }

    /// Takes back a [`hold`](Self::hold).
    pub(in crate::vfs) fn unhold(&mut self, ino: Ino) {
        self.tree.unhold(ino);
    }

    /// Whether an inode is open, or is kept as if it were.
    pub(in crate::vfs) fn is_held(&self, ino: Ino) -> bool {
        self.tree.handles(ino) > 0
    }

    /// The kernel may move the name of a key to this one, and means the key's inode by it then.
    pub(in crate::vfs) fn may_be_mistaken(&mut self, ino: Ino, to: (Ino, &FileName), kind: &Kind) {
        let identity = self.identity(to.0, to.1, kind);
        self.tree.mistake(ino, identity);
    }

    /// All open handles.
    pub(in crate::vfs) fn all_handles(
        &self,
    ) -> impl Iterator<Item = (Fh, &std::sync::Arc<Handle>)> {
        self.handles.iter().map(|(fh, open)| (*fh, &open.handle))
    }

    /// What a handle was opened on.
    pub(in crate::vfs) fn opened_on(&self, fh: Fh) -> Result<&Node, Error> {
        let open = self.handles.get(&fh).ok_or(Error::BadHandle)?;
        self.node(open.ino)
    }

    /// A creation whose result never reached its caller: its handle, and its file if that is nothing else.
    pub(in crate::vfs) fn abandon(&mut self, fh: Fh, now: std::time::Duration) {
        let Some(ino) = self.close(fh) else { return };
        self.end_unsaved(ino, now);
        if !self.is_held(ino) {
            self.tree.unlink(ino);
        }
    }
}
