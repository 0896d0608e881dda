//! The inode table: which number the kernel knows a name by.
//!
//! Pure bookkeeping: names, lookup counts and open handles decide how long a number lives; what
//! it stands for (`T`) is the caller's. It knows nothing of stores. Its owner is `vfs`.

use std::collections::HashMap;

use super::FileName;

/// An inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount.
    pub const ROOT: Self = Self(1);
}

#[derive(Debug)]
struct Node<T> {
    /// Where it is found; `None` for the root and for names that were removed.
    name: Option<(Ino, FileName)>,
    /// How often the kernel was told of it and has not forgotten it.
    lookups: u64,
    /// How many handles are open on it.
    handles: u32,
    item: T,
}

/// All inodes of a mount.
#[derive(Debug)]
pub struct Tree<T> {
    nodes: HashMap<Ino, Node<T>>,
    names: HashMap<(Ino, FileName), Ino>,
    next: u64,
}

impl<T> Tree<T> {
    /// A tree that holds only the root.
    pub fn new(root: T) -> Self {
        let node = Node {
            name: None,
            lookups: 1,
            handles: 0,
            item: root,
        };
        Self {
            nodes: HashMap::from([(Ino::ROOT, node)]),
            names: HashMap::new(),
            next: Ino::ROOT.0 + 1,
        }
    }

    /// How many inodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing but the root.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// What an inode stands for.
    pub fn get(&self, ino: Ino) -> Option<&T> {
        self.nodes.get(&ino).map(|node| &node.item)
    }

    /// What an inode stands for, to change it.
    pub fn get_mut(&mut self, ino: Ino) -> Option<&mut T> {
        self.nodes.get_mut(&ino).map(|node| &mut node.item)
    }

    /// The inode of a name.
    pub fn find(&self, parent: Ino, name: &FileName) -> Option<Ino> {
        self.names.get(&(parent, name.clone())).copied()
    }

    /// The names in a directory that have an inode, in no order.
    pub fn children(&self, parent: Ino) -> impl Iterator<Item = (&FileName, &T)> {
        self.names
            .iter()
            .filter(move |((dir, _), _)| *dir == parent)
            .filter_map(|((_, name), ino)| Some((name, self.get(*ino)?)))
    }

    /// Where an inode is found: its directory and name. `None` for the root, and after a removal.
    pub fn name(&self, ino: Ino) -> Option<(Ino, &FileName)> {
        let (parent, name) = self.nodes.get(&ino)?.name.as_ref()?;
        Some((*parent, name))
    }

    /// The inode of a name, made by `item` if there is none. It lives until nobody refers to it:
    /// the caller tells the kernel of it ([`remember`](Self::remember)) or opens a handle on it
    /// ([`hold`](Self::hold)), or calls [`sweep`](Self::sweep).
    pub fn insert(&mut self, parent: Ino, name: &FileName, item: impl FnOnce() -> T) -> Ino {
        let place = (parent, name.clone());
        if let Some(ino) = self.names.get(&place) {
            return *ino;
        }
        let ino = Ino(self.next);
        self.next += 1;
        self.names.insert(place.clone(), ino);
        let node = Node {
            name: Some(place),
            lookups: 0,
            handles: 0,
            item: item(),
        };
        self.nodes.insert(ino, node);
        ino
    }

    /// The kernel is told of an inode. False if there is none of this number (any more): then it
    /// must not be told.
    pub fn remember(&mut self, ino: Ino) -> bool {
        let node = self.nodes.get_mut(&ino);
        node.map(|node| node.lookups += 1).is_some()
    }

    /// The kernel forgot so many of the times it was told.
    pub fn forget(&mut self, ino: Ino, times: u64) {
        if ino == Ino::ROOT {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups = node.lookups.saturating_sub(times);
        }
        self.sweep(ino);
    }

    /// A handle was opened.
    pub fn hold(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.handles += 1;
        }
    }

    /// A handle was closed.
    pub fn unhold(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.handles = node.handles.saturating_sub(1);
        }
        self.sweep(ino);
    }

    /// All inodes.
    pub fn iter(&self) -> impl Iterator<Item = (Ino, &T)> {
        self.nodes.iter().map(|(ino, node)| (*ino, &node.item))
    }

    /// Changes what all inodes stand for.
    pub fn each(&mut self, mut change: impl FnMut(&mut T)) {
        for node in self.nodes.values_mut() {
            change(&mut node.item);
        }
    }

    /// How many handles are open on an inode.
    pub fn handles(&self, ino: Ino) -> u32 {
        self.nodes.get(&ino).map_or(0, |node| node.handles)
    }

    /// Drops an inode that nobody refers to.
    pub fn sweep(&mut self, ino: Ino) {
        let unused = |node: &Node<T>| node.lookups == 0 && node.handles == 0;
        if ino != Ino::ROOT && self.nodes.get(&ino).is_some_and(unused) {
            self.unlink(ino);
            self.nodes.remove(&ino);
        }
    }

    /// Takes the name from an inode; it lives on while it is open or known to the kernel.
    pub fn unlink(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino)
            && let Some(place) = node.name.take()
        {
            self.names.remove(&place);
        }
    }

    /// Gives an inode another name. The inode that had the name before loses it and is returned.
    pub fn rename(&mut self, ino: Ino, parent: Ino, name: &FileName) -> Option<Ino> {
        let replaced = self.find(parent, name).filter(|found| *found != ino);
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        self.unlink(ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.name = Some((parent, name.clone()));
            self.names.insert((parent, name.clone()), ino);
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn name(text: &str) -> FileName {
        FileName::new(OsStr::new(text)).expect("a name")
    }

    #[test]
    fn a_name_keeps_its_inode_while_the_kernel_knows_it() {
        let mut tree = Tree::new("root");
        let ino = tree.insert(Ino::ROOT, &name("a"), || "a");
        tree.remember(ino);
        tree.remember(ino);
        assert_eq!(tree.insert(Ino::ROOT, &name("a"), || "other"), ino);
        tree.forget(ino, 1);
        assert_eq!(tree.get(ino), Some(&"a"));
        tree.forget(ino, 1);
        assert_eq!(tree.get(ino), None);
        assert!(tree.is_empty());
    }

    #[test]
    fn an_unlinked_inode_lives_while_it_is_open_and_its_name_is_free() {
        let mut tree = Tree::new("root");
        let old = tree.insert(Ino::ROOT, &name("a"), || "old");
        tree.hold(old);
        tree.unlink(old);
        let new = tree.insert(Ino::ROOT, &name("a"), || "new");
        assert_ne!(old, new);
        assert_eq!(tree.get(old), Some(&"old"));
        assert_eq!(tree.name(old), None);
        tree.unhold(old);
        assert_eq!(tree.get(old), None);
        assert_eq!(tree.find(Ino::ROOT, &name("a")), Some(new));
    }

    #[test]
    fn a_rename_takes_the_name_of_the_inode_it_replaces() {
        let mut tree = Tree::new("root");
        let a = tree.insert(Ino::ROOT, &name("a"), || "a");
        let b = tree.insert(Ino::ROOT, &name("b"), || "b");
        for ino in [a, b] {
            tree.remember(ino);
        }
        assert_eq!(tree.rename(a, Ino::ROOT, &name("b")), Some(b));
        assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
        assert_eq!(tree.find(Ino::ROOT, &name("a")), None);
        assert_eq!(tree.name(b), None);
        tree.forget(b, 1);
        assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
        assert_eq!(tree.rename(a, Ino::ROOT, &name("b")), None);
        assert_eq!(tree.find(Ino::ROOT, &name("b")), Some(a));
    }

    #[test]
    fn the_root_is_never_forgotten() {
        let mut tree = Tree::new("root");
        tree.forget(Ino::ROOT, u64::MAX);
        assert_eq!(tree.get(Ino::ROOT), Some(&"root"));
    }
}
