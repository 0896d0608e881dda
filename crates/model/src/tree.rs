//! The inode table: which files the kernel knows, by which numbers, and which numbers they show.
//!
//! A file has three numbers. [`Ino`] is ours, and never reused, so that code that holds one cannot mistake
//! another file for it. [`NodeId`] is the kernel's. [`Numbers::shown`] is what programs see (`st_ino`); it
//! derives from what the file is, see `number.rs`. The kernel learns the last two as one number whenever it
//! learns a name. So a node's id is the number that it shows, unless another file, which lost its name and is
//! still open, has that number.
//!
//! Names, lookup counts and open handles decide how long an inode lives; `T` is what it stands for. Its owner
//! is `vfs`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::FileName;
use super::number::Identity;

/// An inode, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The root of the mount.
    pub const ROOT: Self = Self(1);
    /// A number that no inode has.
    pub const NONE: Self = Self(0);
}

/// The kernel's number of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The kernel's number of the root.
    pub const ROOT: Self = Self(1);
}

/// The numbers of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The one for the kernel.
    pub node: NodeId,
    /// The one for programs.
    pub shown: u64,
}

impl Numbers {
    /// Whether the kernel's number is the one that programs should see.
    pub fn agree(self) -> bool {
        self.node.0 == self.shown
    }
}

#[derive(Debug)]
struct Node<T> {
    /// Its directory and name; `None` for the root and for names that were removed.
    name: Option<(Ino, FileName)>,
    identity: Identity,
    shown: u64,
    /// The kernel's numbers of it, each with its lookup count. The last one is used from now on; the kernel
    /// may know others.
    ids: Vec<(NodeId, u64)>,
    /// How many handles are open on it, or being opened.
    handles: u32,
    item: T,
}

impl<T> Node<T> {
    /// Whether it can be reached only by a number that the kernel has not forgotten yet.
    fn is_left_over(&self) -> bool {
        self.name.is_none() && self.handles == 0 && !self.identity.is_dir()
    }

    fn is_unused(&self) -> bool {
        self.handles == 0 && self.ids.iter().all(|(_, lookups)| *lookups == 0)
    }
}

/// All inodes of a mount.
#[derive(Debug)]
pub struct Tree<T> {
    nodes: HashMap<Ino, Node<T>>,
    names: HashMap<(Ino, FileName), Ino>,
    ids: HashMap<NodeId, Ino>,
    /// Which number is shown for which identity, under how many names.
    shown: HashMap<u64, (Identity, usize)>,
    next: u64,
}

impl<T> Tree<T> {
    /// A tree that holds only the root.
    pub fn new(root: T) -> Self {
        let node = Node {
            name: None,
            identity: Identity::of_own("/", true),
            shown: NodeId::ROOT.0,
            ids: vec![(NodeId::ROOT, 1)],
            handles: 0,
            item: root,
        };
        Self {
            nodes: HashMap::from([(Ino::ROOT, node)]),
            names: HashMap::new(),
            ids: HashMap::from([(NodeId::ROOT, Ino::ROOT)]),
            shown: HashMap::new(),
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

    /// The directory and name of an inode. `None` for the root, and after a removal.
    pub fn name(&self, ino: Ino) -> Option<(Ino, &FileName)> {
        let (parent, name) = self.nodes.get(&ino)?.name.as_ref()?;
        Some((*parent, name))
    }

    /// The inode with this number of the kernel.
    pub fn at(&self, id: NodeId) -> Option<Ino> {
        self.ids.get(&id).copied()
    }

    /// The kernel's numbers of an inode, now and before.
    pub fn ids(&self, ino: Ino) -> impl Iterator<Item = NodeId> {
        let node = self.nodes.get(&ino);
        node.into_iter()
            .flat_map(|node| node.ids.iter().map(|(id, _)| *id))
    }

    /// The numbers of an inode.
    pub fn numbers(&self, ino: Ino) -> Option<Numbers> {
        let node = self.nodes.get(&ino)?;
        let (node_id, _) = node.ids.last()?;
        Some(Numbers {
            node: *node_id,
            shown: node.shown,
        })
    }

    /// The number that a name of this identity shows, or would show if it had an inode.
    pub fn shown(&self, identity: Identity) -> u64 {
        let is_free = |number: &u64| match self.shown.get(number) {
            Some((other, _)) => *other == identity,
            None => true,
        };
        // There are more numbers than names.
        identity.numbers().find(is_free).unwrap_or_default()
    }

    /// The inode of a name, made by `item` if there is none. It lives as long as it is referred to: the
    /// caller reports it to the kernel ([`remember`](Self::remember)), opens a handle on it
    /// ([`hold`](Self::hold)), or calls [`sweep`](Self::sweep).
    pub fn insert(
        &mut self,
        parent: Ino,
        name: &FileName,
        identity: Identity,
        item: impl FnOnce() -> T,
    ) -> Ino {
        let place = (parent, name.clone());
        if let Some(ino) = self.names.get(&place) {
            return *ino;
        }
        let ino = Ino(self.next);
        self.next += 1;
        let shown = self.show(identity);
        let id = self.id_for(identity, shown, ino);
        self.names.insert(place.clone(), ino);
        let node = Node {
            name: Some(place),
            identity,
            shown,
            ids: vec![id],
            handles: 0,
            item: item(),
        };
        self.nodes.insert(ino, node);
        ino
    }

    /// Takes the number that another name of this identity shows.
    fn show(&mut self, identity: Identity) -> u64 {
        let number = self.shown(identity);
        let (_, names) = self.shown.entry(number).or_insert((identity, 0));
        *names += 1;
        number
    }

    /// A name does not show this number any more.
    fn unshow(&mut self, number: u64) {
        if let Some((_, names)) = self.shown.get_mut(&number) {
            *names -= 1;
            if *names == 0 {
                self.shown.remove(&number);
            }
        }
    }

    /// A number under which an inode that shows this one can be reported to the kernel, and its lookup count:
    /// if the kernel still knows the inode that had the number before, it continues with this one.
    fn id_for(&mut self, identity: Identity, shown: u64, ino: Ino) -> (NodeId, u64) {
        let numbers = std::iter::once(shown).chain(identity.numbers());
        for id in numbers.map(NodeId) {
            let lookups = match self.ids.get(&id) {
                None => 0,
                Some(_) if identity.is_dir() => continue,
                Some(holder) => match self.take_id(*holder, id, identity) {
                    Some(lookups) => lookups,
                    None => continue,
                },
            };
            self.ids.insert(id, ino);
            return (id, lookups);
        }
        (NodeId(0), 0)
    }

    /// Takes a number from a file that has no name any more and is not open. Returns its lookup count. While
    /// the kernel knows the number, it can only be used for what the kernel takes it for, because the kernel
    /// may still find it by that name.
    fn take_id(&mut self, from: Ino, id: NodeId, identity: Identity) -> Option<u64> {
        let node = self
            .nodes
            .get_mut(&from)
            .filter(|node| node.is_left_over())?;
        let at = node.ids.iter().position(|(of, _)| *of == id)?;
        let (_, lookups) = node.ids[at];
        if lookups > 0 && node.identity != identity {
            return None;
        }
        node.ids.remove(at);
        self.ids.remove(&id);
        if self
            .nodes
            .get(&from)
            .is_some_and(|node| node.ids.is_empty())
        {
            self.nodes.remove(&from);
        }
        Some(lookups)
    }

    /// Makes the kernel's number of an inode the one that it shows, if that is free. Only while it is not
    /// open: locks on one file must not become locks on two.
    pub fn renumber(&mut self, ino: Ino) {
        let (identity, shown) = match self.nodes.get(&ino) {
            Some(node) if node.handles == 0 => (node.identity, node.shown),
            _ => return,
        };
        let agrees = self.numbers(ino).is_none_or(Numbers::agree);
        if agrees || identity.is_dir() {
            return;
        }
        let id = NodeId(shown);
        let own = self.nodes.get_mut(&ino).and_then(|node| {
            let at = node.ids.iter().position(|(of, _)| *of == id)?;
            Some(node.ids.remove(at).1)
        });
        let lookups = match (own, self.ids.get(&id).copied()) {
            (Some(lookups), _) => lookups,
            (None, None) => 0,
            (None, Some(holder)) => match self.take_id(holder, id, identity) {
                Some(lookups) => lookups,
                None => return,
            },
        };
        self.ids.insert(id, ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.ids.retain(|(old, lookups)| {
                let is_known = *lookups > 0;
                if !is_known {
                    self.ids.remove(old);
                }
                is_known
            });
            node.ids.push((id, lookups));
        }
    }

    /// An inode is reported to the kernel: the numbers to report. `None` if there is no such inode (any
    /// more): then it must not be reported.
    pub fn remember(&mut self, ino: Ino) -> Option<Numbers> {
        let node = self.nodes.get_mut(&ino)?;
        node.ids.last_mut()?.1 += 1;
        self.numbers(ino)
    }

    /// The kernel forgot this many of its lookups of this number.
    pub fn forget(&mut self, id: NodeId, times: u64) {
        let Some(ino) = self.at(id).filter(|ino| *ino != Ino::ROOT) else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(&ino) {
            let current = node.ids.len() - 1;
            for (nth, (of, lookups)) in node.ids.iter_mut().enumerate() {
                if *of == id {
                    *lookups = lookups.saturating_sub(times);
                    if *lookups == 0 && nth != current {
                        self.ids.remove(&id);
                    }
                }
            }
            node.ids.retain(|(of, _)| self.ids.contains_key(of));
        }
        self.sweep(ino);
    }

    /// A handle was opened, or is about to be. Returns whether the inode (still) exists.
    pub fn hold(&mut self, ino: Ino) -> bool {
        let node = self.nodes.get_mut(&ino);
        node.map(|node| node.handles += 1).is_some()
    }

    /// A handle was closed, or not opened after all.
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

    /// Drops an inode that nothing refers to.
    pub fn sweep(&mut self, ino: Ino) {
        if ino != Ino::ROOT && self.nodes.get(&ino).is_some_and(Node::is_unused) {
            self.unlink(ino);
            for (id, _) in self
                .nodes
                .remove(&ino)
                .map(|node| node.ids)
                .unwrap_or_default()
            {
                self.ids.remove(&id);
            }
        }
    }

    /// Takes the name from an inode; it lives on while it is open or known to the kernel.
    pub fn unlink(&mut self, ino: Ino) {
        let Some(node) = self.nodes.get_mut(&ino) else {
            return;
        };
        if let Some(place) = node.name.take() {
            let number = node.shown;
            self.names.remove(&place);
            self.unshow(number);
        }
    }

    /// Takes the name from an inode that has another one for the kernel from now on, where something else is
    /// to be found: that name stands for this.
    pub fn mistake(&mut self, ino: Ino, identity: Identity) {
        self.unlink(ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.identity = identity;
        }
    }

    /// Gives an inode another name, and what that name stands for. The inode that had the name before loses
    /// it and is returned.
    pub fn rename(
        &mut self,
        ino: Ino,
        parent: Ino,
        name: &FileName,
        identity: Identity,
    ) -> Option<Ino> {
        let replaced = self.find(parent, name).filter(|found| *found != ino);
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        self.unlink(ino);
        if self.nodes.contains_key(&ino) {
            let shown = self.show(identity);
            if let Some(node) = self.nodes.get_mut(&ino) {
                node.name = Some((parent, name.clone()));
                (node.identity, node.shown) = (identity, shown);
                self.names.insert((parent, name.clone()), ino);
            }
        }
        replaced
    }
}
