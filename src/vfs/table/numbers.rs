//! The numbers of files: which one a name shows (`st_ino`, V5), and by which one the kernel knows it.
//!
//! How a number is made is in `crates/model/src/number.rs`, and which inode has which number in
//! `crates/model/src/tree.rs`; this module says what a name stands for. Files that only this mount has are numbered
//! like the keys that they would be.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::super::handles::Handle;
use super::super::items::{DirItem, Item};
use super::super::place::{Place, key_of};
use super::super::{Attr, Context, Error, Vfs, Who};
use super::{Kind, Table};
use crate::model::{FileName, Identity, Ino, NodeId, Numbers, Process};
use crate::store::{Dir, Store};

/// How many files show another number to some processes: the last ones.
pub(in crate::vfs) const STRANGE: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");

/// How many processes see another number of one file: the last ones.
const STRANGERS: usize = 16;

/// Attributes and the numbers of what has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What `stat` shows.
    pub attr: Attr,
    /// By which numbers.
    pub numbers: Numbers,
}

/// What a name in a directory is if it is neither a directory nor the mount's own.
fn of_name(store: &Arc<dyn Store>, dir: &Dir, name: &FileName) -> Identity {
    let of = store.name().to_string();
    match key_of(store, dir, name) {
        Some(key) => Identity::of_key(&of, key.as_str()),
        None => Identity::of_key(&of, &format!("{}{name}", dir.prefix())),
    }
}

fn of_dir(store: &Arc<dyn Store>, dir: &Dir) -> Identity {
    Identity::of_dir(&store.name().to_string(), dir.prefix())
}

impl Table {
    /// What a name stands for that is of this kind.
    pub(in crate::vfs) fn identity(&self, parent: Ino, name: &FileName, kind: &Kind) -> Identity {
        match kind {
            Kind::Stores => Identity::of_own("/", true),
            Kind::Dir(store, dir) => of_dir(store, dir),
            Kind::File(store, key) => Identity::of_key(&store.name().to_string(), key.as_str()),
            Kind::Scratch(_) => match self.dir(parent) {
                Ok((store, dir)) => of_name(&store, &dir, name),
                Err(_) => Identity::of_own(name.as_str(), false),
            },
            Kind::Control(control) => Identity::of_own(&control.to_string(), control.is_dir()),
        }
    }

    /// Gives a file another name, of which it is this kind. The inode that had the name before loses it and
    /// is returned. The process that moved it still sees the old number: a program may remember the number of
    /// its temporary file, to recognise the file after the move.
    pub(in crate::vfs) fn rename(
        &mut self,
        ino: Ino,
        to: (Ino, &FileName),
        kind: &Kind,
        by: Who,
    ) -> Option<Ino> {
        let shown = self.tree.numbers(ino).map(|numbers| numbers.shown);
        let seen = self.number_for(ino, by).or(shown);
        for left in self.tree.find(to.0, to.1).into_iter().chain([ino]) {
            self.leaves_behind(left);
        }
        if let (Some(by), Some(seen), Kind::File(store, key)) = (by, seen, kind) {
            self.sees_number((store.name(), key.clone()), by.process, seen);
        }
        let identity = self.identity(to.0, to.1, kind);
        self.no_longer_absent(to.0, to.1);
        self.tree.rename(ino, to.0, to.1, identity)
    }

    /// From now on a process sees this number of a file, instead of the one that it shows.
    fn sees_number(&mut self, place: Place, process: Process, number: u64) {
        let strangers = self.strangers.get_or_insert_mut(place, Vec::new);
        strangers.retain(|(stranger, _)| *stranger != process);
        strangers.truncate(STRANGERS - 1);
        strangers.insert(0, (process, number));
    }

    /// What a process reads of a key is not what the key is now. A program that keeps a descriptor open to
    /// read more (`tail -F`) uses the number to notice that the name is another file now.
    pub(in crate::vfs) fn renumber_for(&mut self, place: Place, process: Process) {
        self.others += 1;
        let number = self.tree.shown(Identity::of_another(self.others));
        self.sees_number(place, process, number);
    }

    /// The name of a file is about to be that of another one, or of none: its readers keep what they have.
    pub(in crate::vfs) fn leaves_behind(&mut self, ino: Ino) {
        let Ok((store, key)) = self.file(ino) else {
            return;
        };
        for handle in self.handles_of(ino) {
            if let Handle::Reader(reader) = &*handle
                && let Some(who) = reader.who()
            {
                self.renumber_for((store.name(), key.clone()), who.process);
            }
        }
    }

    /// Which process sees which number of a file, instead of the one that it shows.
    fn strangers(&self, ino: Ino) -> &[(Process, u64)] {
        if self.strangers.is_empty() {
            return &[];
        }
        let place = self.file(ino).ok();
        let strangers = place.and_then(|(store, key)| self.strangers.peek(&(store.name(), key)));
        strangers.map_or(&[], Vec::as_slice)
    }

    /// Whether a process sees another number of a file than all others.
    pub(in crate::vfs) fn has_strangers(&self, ino: Ino) -> bool {
        !self.strangers(ino).is_empty()
    }

    /// The number that a process sees of a file instead of the one that it shows.
    fn number_for(&self, ino: Ino, who: Who) -> Option<u64> {
        let process = who?.process;
        let mut strangers = self.strangers(ino).iter();
        strangers.find_map(|(stranger, number)| (*stranger == process).then_some(*number))
    }
}

impl Vfs {
    /// The inode with this number of the kernel.
    pub fn ino_of(&self, id: NodeId) -> Ino {
        self.table().tree.at(id).unwrap_or(Ino::NONE)
    }

    /// Attributes for a process, with the numbers of what has them.
    ///
    /// # Errors
    /// [`Error::Stale`] when the kernel has forgotten it meanwhile.
    pub fn numbered(&self, attr: Attr, by: Context) -> Result<Told, Error> {
        let table = self.table();
        let numbers = table.tree.numbers(attr.ino);
        let mut numbers = numbers.ok_or_else(|| Error::Stale("the file".to_owned()))?;
        if let Some(seen) = table.number_for(attr.ino, *by.who()) {
            numbers.shown = seen;
        }
        Ok(Told { attr, numbers })
    }

    /// Has `find` find an inode, and tells the kernel of it. The kernel may have forgotten it since it was
    /// found; then it is found anew.
    pub(in crate::vfs) fn tell_found(&self, find: impl Fn() -> Attr) -> Told {
        loop {
            let attr = find();
            if let Some(numbers) = self.table().tree.remember(attr.ino) {
                return Told { attr, numbers };
            }
        }
    }

    /// The number that a directory shows, and that of the one it is in.
    pub fn numbers_of_dir(&self, ino: Ino) -> [u64; 2] {
        let table = self.table();
        let above = table.tree.name(ino).map_or(ino, |(parent, _)| parent);
        [ino, above].map(|ino| table.tree.numbers(ino).map_or(0, |numbers| numbers.shown))
    }

    /// The number that a name in an open directory shows.
    pub fn number(&self, parent: Ino, item: &DirItem) -> u64 {
        let (table, name) = (self.table(), &item.name);
        let kind = table.tree.get(parent).map(|node| &node.kind);
        let identity = match (kind, &item.item) {
            (Some(Kind::Dir(store, _)), Item::File(entry)) => {
                Identity::of_key(&store.name().to_string(), entry.key.as_str())
            }
            (Some(Kind::Dir(store, dir)), Item::Dir) => match self.below(store, dir, name) {
                Some(below) => of_dir(store, &below),
                None => of_name(store, dir, name),
            },
            (Some(Kind::Dir(store, dir)), _) => of_name(store, dir, name),
            (Some(Kind::Control(control)), item) => {
                let is_dir = matches!(item, Item::Dir);
                Identity::of_own(&format!("{control}/{name}"), is_dir)
            }
            // A store, whose name it is.
            _ => Identity::of_dir(name.as_str(), Dir::root().prefix()),
        };
        table.tree.shown(identity)
    }

    /// The numbers that `/proc` may tell of a file that is open: what the kernel was last told of it as an
    /// answer to anything. None if it may tell one of them of another
    /// file that is open.
    pub(in crate::vfs) fn numbers_in_proc(&self, ino: Ino) -> Option<Vec<u64>> {
        let table = self.table();
        let told = table.tree.ids(ino).map(|id| id.0);
        let shown = table.tree.numbers(ino)?.shown;
        let seen = table.strangers(ino).iter().map(|(_, number)| *number);
        let all: Vec<_> = told.chain([shown]).chain(seen).collect();
        let is_other = |number: &u64| {
            let holder = table.tree.at(NodeId(*number));
            holder.is_some_and(|holder| holder != ino && table.tree.handles(holder) > 0)
        };
        (!all.iter().any(is_other)).then_some(all)
    }
}
