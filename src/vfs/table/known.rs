//! What is known of a file: what an answer said, and when that was asked.
//!
//! An answer may be older than what became known while it was on its way, so each comes with the time of its
//! question. Two cases are never confused: an answer said that a file is absent ([`Table::learn_absent`]),
//! and it is no longer known what the file is ([`Table::forget`]). This module makes no request; `lookup.rs`,
//! `open.rs` and `attr.rs` do.

use std::time::Duration;
use tokio::time::Instant;

use super::super::Error;
use super::super::context::Call;
use super::super::place::Folder;
use super::{Kind, Node, Table};
use crate::model::{FileName, Ino, Key, Precondition, Rival, Version};
use crate::store::Entry;

/// What the backend last said of a file.
#[derive(Clone, Debug)]
pub(in crate::vfs) struct Known {
    entry: Entry,
    /// When it was asked: an earlier question has an older answer. Its age counts from then.
    asked: Instant,
    /// When it answered.
    answered: Instant,
    /// The system call in which it was asked; until that ends, no other request is needed.
    asked_by: Option<Call>,
    /// This mount saved it itself, and the time in the entry is our clock's: the next `stat` asks
    /// the store for its own.
    own: bool,
    /// Only a listing said so; some servers spell or store listings differently from objects. That is enough
    /// to show, but not to refuse a save.
    is_listed: bool,
}

impl Known {
    /// What was said.
    pub(in crate::vfs) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The version.
    pub(in crate::vfs) fn version(&self) -> &Version {
        &self.entry.version
    }

    /// Whether it was asked for less than `ttl` ago.
    pub(in crate::vfs) fn is_younger_than(&self, ttl: Duration) -> bool {
        self.asked.elapsed() < ttl
    }

    /// The system call in which it was asked.
    pub(in crate::vfs) fn asked_by(&self) -> Option<Call> {
        self.asked_by
    }

    /// Whether this mount saved it itself, and does not know the store's time of it.
    pub(in crate::vfs) fn is_own(&self) -> bool {
        self.own
    }

    /// For how long it may still be used, if nothing is used for longer than `ttl`.
    pub(in crate::vfs) fn time_left(&self, ttl: Duration) -> Duration {
        match self.own {
            true => Duration::ZERO,
            false => ttl.saturating_sub(self.asked.elapsed()),
        }
    }
}

impl Node {
    /// What is known, if it is not older than `ttl`.
    pub(in crate::vfs) fn fresh(&self, ttl: Duration) -> Option<&Known> {
        self.known
            .as_ref()
            .filter(|known| !known.time_left(ttl).is_zero() && known.entry.size.is_some())
    }

    /// Notes what a listing of this time said, unless something newer is known. Returns what is known now.
    /// The kernel will trust the name for a while, so the next open comes without a look-up and must ask
    /// itself.
    pub(in crate::vfs) fn learn_listed(&mut self, entry: &Entry, asked: Instant) -> &Known {
        let listed = || Known {
            entry: entry.clone(),
            asked,
            answered: asked,
            asked_by: None,
            own: false,
            is_listed: true,
        };
        if self.known.as_ref().is_some_and(|known| known.asked < asked) {
            self.known = None;
        }
        let known = self.known.get_or_insert_with(listed);
        known.asked_by = None;
        known
    }

    /// The system call in which the backend was asked is over.
    pub(in crate::vfs) fn end_call(&mut self) {
        if let Some(known) = self.known.as_mut() {
            known.asked_by = None;
        }
    }

    /// What is known from a later time, when it was asked or saved by this mount: an earlier question may
    /// have been about the version that this replaced.
    fn known_since(&self, asked: Instant) -> Option<&Known> {
        self.known.as_ref().filter(|known| known.asked > asked)
    }

    /// Notes what the backend said.
    fn learn(&mut self, entry: Entry, asked: Instant, asked_by: Option<Call>) {
        self.known = Some(Known {
            entry,
            asked,
            answered: Instant::now(),
            asked_by,
            own: false,
            is_listed: false,
        });
    }
}

impl Table {
    /// Notes what the backend said of a file, wherever it is remembered. `asked` is when it was asked,
    /// here and below: an answer may be older than what became known while it was on its way.
    pub(in crate::vfs) fn learn(
        &mut self,
        ino: Ino,
        entry: Entry,
        asked: Instant,
        asked_by: Option<Call>,
    ) {
        let Some(node) = self.tree.get_mut(ino) else {
            return;
        };
        let place = match &node.kind {
            Kind::File(store, key) if *key == entry.key => (store.name(), key.clone()),
            _ => return,
        };
        if node.known_since(asked).is_some() || self.deletes.since(&place, asked) {
            return;
        }
        node.learn(entry.clone(), asked, asked_by);
        if let Some((parent, name)) = self.tree.name(ino) {
            let name = name.clone();
            self.no_longer_absent(parent, &name);
        }
        self.relist(ino, Some(&entry), asked);
    }

    /// As [`learn`](Self::learn), from the answer to a look-up, which is a listing.
    pub(in crate::vfs) fn learn_found(
        &mut self,
        ino: Ino,
        entry: Entry,
        asked: Instant,
        asked_by: Call,
    ) {
        self.learn(ino, entry, asked, Some(asked_by));
        if let Some(node) = self.tree.get_mut(ino)
            && let Some(known) = node.known.as_mut()
        {
            known.is_listed = !known.own;
        }
    }

    /// What the store last said of a file, if it said so in this system call, and
    /// less than `most` ago: a file can also be opened without a look-up (through /proc/self/fd), long
    /// after one. A second open of the call asks for itself.
    pub(in crate::vfs) fn take_just_asked(
        &mut self,
        ino: Ino,
        call: Call,
        most: Duration,
    ) -> Option<Entry> {
        let known = self.tree.get_mut(ino)?.known.as_mut()?;
        let asked_by = known.asked_by.take()?;
        let in_this_call = asked_by == call && known.answered.elapsed() < most;
        in_this_call.then(|| known.entry.clone())
    }

    /// As [`Node::learn_listed`].
    pub(in crate::vfs) fn learn_listed(
        &mut self,
        ino: Ino,
        entry: &Entry,
        asked: Instant,
    ) -> Result<&Known, Error> {
        Ok(self.node_mut(ino)?.learn_listed(entry, asked))
    }

    /// A listing reports a file to the kernel. Returns what it says, unless this mount may have deleted the
    /// file since (`is_old`). The kernel trusts the name from then on: the next open may come without a
    /// look-up of its own.
    pub(in crate::vfs) fn tell_listed(
        &mut self,
        ino: Ino,
        entry: &Entry,
        asked: Instant,
        is_old: bool,
    ) {
        let Some(node) = self.tree.get_mut(ino) else {
            return;
        };
        if !is_old {
            node.learn_listed(entry, asked);
        }
        node.end_call();
    }

    /// Whether only a listing says what a file is. Then the object is checked before a save is refused
    /// because of it.
    pub(in crate::vfs) fn is_only_listed(&self, ino: Ino) -> bool {
        let known = self.tree.get(ino).and_then(|node| node.known.as_ref());
        known.is_some_and(|known| known.is_listed)
    }

    /// Notes what this mount itself made of a file.
    pub(in crate::vfs) fn learn_own(&mut self, ino: Ino, entry: Entry) {
        if let Ok((store, key)) = self.file(ino) {
            self.deletes.undone(&(store.name(), key));
        }
        self.learn(ino, entry, Instant::now(), None);
        self.listings.outdate();
        if self.tree.name(ino).is_none()
            && let Ok((store, _)) = self.file(ino)
        {
            self.listings.remove_store(store.name());
        }
        if let Some(node) = self.tree.get_mut(ino)
            && let Some(known) = node.known.as_mut()
        {
            known.own = true;
        }
    }

    /// Notes that the store deleted the key of a file when this mount asked for it, at `sent`.
    pub(in crate::vfs) fn learn_deleted(&mut self, ino: Ino, sent: Instant) {
        // What was asked meanwhile may have been answered before.
        if let Some(node) = self.tree.get_mut(ino)
            && node.known_since(sent).is_some_and(|known| !known.own)
        {
            node.known = None;
        }
        self.learn_absent(ino, sent);
        if let Ok((store, key)) = self.file(ino) {
            self.deletes.note((store.name(), key), Instant::now());
        }
    }

    /// Notes that an answer said that a file does not exist (any more). Nothing else may be noted so,
    /// see [`forget`](Self::forget).
    pub(in crate::vfs) fn learn_absent(&mut self, ino: Ino, asked: Instant) {
        let Some(node) = self.tree.get_mut(ino) else {
            return;
        };
        if node.known_since(asked).is_some() {
            return;
        }
        node.known = None;
        node.there = None;
        self.relist(ino, None, asked);
    }

    /// Notes what a write that was sent at `sent`, and refused, found in the place of the key.
    pub(in crate::vfs) fn learn_rival(
        &mut self,
        ino: Ino,
        key: &Key,
        rival: &Rival,
        sent: Instant,
    ) {
        match (&rival.version, rival.modified) {
            (Precondition::Absent, _) => self.learn_absent(ino, sent),
            (Precondition::Is(version), Some(modified)) => {
                let entry = Entry {
                    key: key.clone(),
                    size: rival.size,
                    modified,
                    version: version.clone(),
                };
                self.learn(ino, entry, sent, None);
            }
            (Precondition::Is(_), None) => self.forget(ino),
        }
    }

    /// Forgets what is known of a file, because it is wrong or can no longer be known: the next question goes
    /// to the store. This does not note an absence: only an answer can say that there is no such key.
    pub(in crate::vfs) fn forget(&mut self, ino: Ino) {
        if let Some(node) = self.tree.get_mut(ino) {
            node.known = None;
        }
        match self.folder_of(ino) {
            Some((folder, _)) => self.listings.remove(&folder),
            None => {
                if let Ok((store, _)) = self.file(ino) {
                    self.listings.remove_store(store.name());
                }
            }
        }
        self.listings.outdate();
    }

    /// As [`forget`](Self::forget), of whatever has this name or will be found to have it.
    pub(in crate::vfs) fn forget_name(&mut self, parent: Ino, name: &FileName) {
        self.no_longer_absent(parent, name);
        if let Some(ino) = self.tree.find(parent, name) {
            self.forget(ino);
        } else if let Ok((store, dir)) = self.dir(parent) {
            self.listings.remove(&(store.name(), dir));
            self.listings.outdate();
        }
    }

    /// The directory that lists a file, and the name by which it does.
    fn folder_of(&self, ino: Ino) -> Option<(Folder, FileName)> {
        let (parent, name) = self.tree.name(ino)?;
        let (store, dir) = self.dir(parent).ok()?;
        Some(((store.name(), dir), name.clone()))
    }

    /// A system call begins with the look-up of this name: what earlier calls asked, they asked for
    /// themselves.
    pub(in crate::vfs) fn begin_call(&mut self, parent: Ino, name: &FileName) {
        if let Some(ino) = self.tree.find(parent, name)
            && let Some(node) = self.tree.get_mut(ino)
        {
            node.end_call();
        }
        self.no_longer_absent(parent, name);
    }

    /// This name exists: a process that asked before and got `ENOENT` must ask again.
    pub(in crate::vfs) fn no_longer_absent(&mut self, parent: Ino, name: &FileName) {
        let absent = self.just_absent.as_ref();
        if absent.is_some_and(|(dir, absent, _)| *dir == parent && absent == name) {
            self.just_absent = None;
        }
    }

    /// Whether the store said in this system call that there is no such name.
    pub(in crate::vfs) fn is_just_absent(&self, parent: Ino, name: &FileName, call: Call) -> bool {
        let absent = self.just_absent.as_ref();
        absent.is_some_and(|(dir, absent, asked_by)| {
            *dir == parent && absent == name && *asked_by == call
        })
    }

    /// Corrects the remembered listing of the directory of a file.
    fn relist(&mut self, ino: Ino, entry: Option<&Entry>, asked: Instant) {
        let Some((folder, name)) = self.folder_of(ino) else {
            return;
        };
        let store = self.file(ino).map(|(store, _)| store);
        let is_alias = store.is_ok_and(|store| store.has_unlisted_names());
        // Only the store can say under which of its names a new key is listed.
        match is_alias && entry.is_some() && !self.listings.has(&folder, &name) {
            true => self.listings.remove(&folder),
            false => self.listings.correct(&folder, &name, entry, asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::model::Seen;
    use crate::store::Dir;
    use crate::vfs::Context;
    use crate::vfs::tests::Nobody;

    fn entry(version: &str) -> Entry {
        Entry {
            key: Key::new("key").unwrap(),
            size: Some(1),
            modified: SystemTime::UNIX_EPOCH,
            version: Version::new(version),
        }
    }

    /// A table with a key, and how it is known.
    fn table() -> (Table, Ino) {
        let store = crate::store::in_memory();
        let root = Kind::Dir(Arc::clone(&store), Dir::root());
        let seen = Seen::new(1 << 16, 1, Arc::new(Nobody));
        let mut table = Table::new(root, seen, 0, Duration::from_secs(3600));
        let name = FileName::new("key".as_ref()).unwrap();
        let kind = Kind::File(store, Key::new("key").unwrap());
        let ino = table.insert(Ino::ROOT, &name, kind);
        (table, ino)
    }

    fn version(table: &Table, ino: Ino) -> Option<String> {
        let known = table.tree.get(ino)?.known.as_ref()?;
        Some(known.entry.version.to_string())
    }

    #[test]
    fn an_answer_to_an_older_question_changes_nothing() {
        let (mut table, ino) = table();
        let first = Instant::now();
        let at = |n: u64| first + Duration::from_millis(n);
        table.learn(ino, entry("2"), at(2), None);
        table.learn(ino, entry("1"), at(1), Some(Context::on(7).call()));
        assert_eq!(version(&table, ino).as_deref(), Some("2"));
        table.learn_absent(ino, at(1));
        assert_eq!(version(&table, ino).as_deref(), Some("2"));
        let node = table.tree.get_mut(ino).unwrap();
        node.learn_listed(&entry("1"), at(1));
        assert_eq!(version(&table, ino).as_deref(), Some("2"));
        table.learn(ino, entry("3"), at(3), None);
        assert_eq!(version(&table, ino).as_deref(), Some("3"));
        table.learn_absent(ino, at(3));
        assert_eq!(version(&table, ino), None);
    }

    #[test]
    fn a_delete_of_this_mount_overrules_what_was_asked_while_it_was_under_way() {
        let (mut table, ino) = table();
        let sent = Instant::now();
        let asked = sent + Duration::from_millis(1);
        table.learn(ino, entry("1"), asked, None);
        table.learn_deleted(ino, sent);
        assert_eq!(version(&table, ino), None);
    }

    #[test]
    fn what_is_known_is_as_old_as_its_question() {
        let (mut table, ino) = table();
        let ttl = Duration::from_secs(60);
        let asked = Instant::now().checked_sub(ttl / 2).unwrap();
        table.learn(ino, entry("1"), asked, None);
        let node = table.tree.get(ino).unwrap();
        let left = node.fresh(ttl).unwrap().time_left(ttl);
        assert!(left <= ttl / 2, "{left:?}");
        assert!(node.fresh(ttl / 2).is_none());
    }
}
