//! Names that an editor moved away, and names whose re-creation was refused (W8).
//!
//! Editors save by moving a key to a backup name, creating it again, and deleting the backup; if the save
//! fails, they delete the new file and move the backup back. Done literally, the key would be gone in
//! between, and the clean-up would destroy what another writer saved. So a move to a scratch name (the
//! *alias*) changes nothing in the store: the name is *away*, and remembers what its re-creation replaces.
//! [`PendingRenames`] decides what each step means; `vfs/pending_renames.rs` carries it out.
//! `tests/rules/pending_renames_model/` runs it through every interleaving of a small world.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::{Precondition, Process, Version};

/// How long a name may stay moved away. After that the move was intended, and happens in the store. Editors
/// take milliseconds from the move to the new file.
pub const STAY: Duration = Duration::from_secs(5);

/// How long after a refusal an editor may clean up.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// A name that was moved to an alias and still is in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Departure<X> {
    base: Version,
    /// `None` once the alias was deleted; then a process is creating the name again.
    alias: Option<X>,
    recreated: bool,
    since: Duration,
}

/// What is left of a name whose new value was refused: if its writer cleans up, it means its own failed file,
/// not the winner's. (gzip, compilers and curl delete what they could not finish.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FailedRecreate<X> {
    by: Process,
    /// Where the value is that the editor will move back, if it moved one away.
    alias: Option<X>,
    /// It has deleted the file that it takes for its own.
    unlinked: bool,
    since: Duration,
}

/// A departure whose time is over: the value must be saved under the name of its alias, and the key deleted
/// if it still is `base`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<K, X> {
    /// The key.
    pub key: K,
    /// The scratch file that holds its value.
    pub alias: X,
    /// The version that the key must still have to be deleted.
    pub base: Version,
}

/// The meaning of deleting a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// A delete like any other.
    Ordinary,
    /// The name was only a draft: there is nothing to send.
    Draft,
    /// The name and its alias are gone now: the key is deleted if it still is this.
    Delete(Version),
    /// A writer cleans up after a refusal: there is nothing to do, as if the winner had saved right after the
    /// delete.
    CleanUp,
}

/// The meaning of moving a scratch file over a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// A rename like any other.
    Ordinary,
    /// The value returns to the name under which the store still has it: there is nothing to send.
    Back,
    /// The editor restores its backup after a refusal: the scratch file goes, the winner stays.
    CleanUp,
}

/// The names of a mount that are away, and those whose re-creation was refused. `K` names a key, `X` a
/// scratch file; times count from any common beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRenames<K: Hash + Eq, X> {
    departures: HashMap<K, Departure<X>>,
    /// At most one of each process.
    failed: HashMap<K, Vec<FailedRecreate<X>>>,
}

impl<K: Hash + Eq, X> Default for PendingRenames<K, X> {
    fn default() -> Self {
        Self {
            departures: HashMap::new(),
            failed: HashMap::new(),
        }
    }
}

/// As which version a key is moved away that is `current` now: as the one that its mover was shown, since what the
/// mover writes next is based on that.
pub fn departing_as(current: Version, shown: Option<Precondition>) -> Version {
    match shown {
        Some(Precondition::Is(version)) => version,
        Some(Precondition::Absent) | None => current,
    }
}

impl<K: Hash + Eq + Clone, X: Copy + Eq> PendingRenames<K, X> {
    /// The key is moved to `alias`; its next value must replace `base`, see [`departing_as`].
    pub fn depart(&mut self, key: K, base: Version, alias: X, now: Duration) {
        self.failed.remove(&key);
        let departure = Departure {
            base,
            alias: Some(alias),
            recreated: false,
            since: now,
        };
        self.departures.insert(key, departure);
    }

    /// Whether the name does not exist here, although the store has its key.
    pub fn is_away(&self, key: &K) -> bool {
        let departure = self.departures.get(key);
        departure.is_some_and(|departure| !departure.recreated)
    }

    /// What a new value of the key replaces, if the name was moved away.
    pub fn base(&self, key: &K) -> Option<&Version> {
        Some(&self.departures.get(key)?.base)
    }

    /// The name is created again, and not saved yet.
    pub fn recreate(&mut self, key: &K) {
        if let Some(departure) = self.departures.get_mut(key) {
            departure.recreated = true;
        }
    }

    /// A new value of the key is in the store.
    pub fn saved(&mut self, key: &K) {
        self.departures.remove(key);
        self.failed.remove(key);
    }

    /// A save of the key by this process did not happen: the name shows the store's value.
    pub fn refused(&mut self, key: &K, by: Option<Process>, now: Duration) {
        let departure = self.departures.remove(key);
        let alias = departure.and_then(|departure| departure.alias);
        let Some(by) = by else { return };
        let failed = self.failed.entry(key.clone()).or_default();
        let before = failed.iter().position(|failed| failed.by == by);
        // A second failure of the same save (a close after an fsync) leaves the alias known.
        let before = before.and_then(|at| failed.swap_remove(at).alias);
        failed.push(FailedRecreate {
            by,
            alias: alias.or(before),
            unlinked: false,
            since: now,
        });
    }

    /// The last writer of a name that was created again closed it without a save: the name is away again, or,
    /// if its alias is gone, what it was before.
    pub fn closed_unsaved(&mut self, key: &K, now: Duration) {
        match self.departures.get_mut(key) {
            Some(departure) if departure.alias.is_some() => {
                departure.recreated = false;
                departure.since = now;
            }
            Some(_) => self.dissolve(key),
            None => {}
        }
    }

    /// This process deletes the name.
    pub fn unlink(&mut self, key: &K, by: Option<Process>, now: Duration) -> Unlinked {
        if let Some(departure) = self.departures.get(key) {
            if departure.alias.is_some() {
                self.closed_unsaved(key, now);
                return Unlinked::Draft;
            }
            let base = departure.base.clone();
            self.departures.remove(key);
            return Unlinked::Delete(base);
        }
        let mut failed = self.failed.get_mut(key).into_iter().flatten();
        match failed.find(|failed| failed.is_of(by, now) && !failed.unlinked) {
            Some(failed) => {
                failed.unlinked = true;
                Unlinked::CleanUp
            }
            None => Unlinked::Ordinary,
        }
    }

    /// A scratch file is deleted, or overwritten by another key's departure. Returns the key that goes with
    /// it, to be deleted if it still has this version.
    pub fn alias_removed(&mut self, alias: X) -> Option<(K, Version)> {
        for failed in self.failed.values_mut().flatten() {
            failed.alias = failed.alias.filter(|known| *known != alias);
        }
        let key = self.key_of(alias)?;
        let departure = self.departures.get_mut(&key)?;
        if departure.recreated {
            departure.alias = None;
            return None;
        }
        let base = departure.base.clone();
        self.departures.remove(&key);
        Some((key, base))
    }

    /// Whether a key was moved to this scratch file.
    pub fn is_alias(&self, alias: X) -> bool {
        self.key_of(alias).is_some()
    }

    /// A scratch file replaces another one: it was edited.
    pub fn alias_replaced(&mut self, old: X, new: X) {
        let departures = self.departures.values_mut();
        let aliases = departures.map(|departure| &mut departure.alias);
        let failed = self.failed.values_mut().flatten();
        for alias in aliases.chain(failed.map(|failed| &mut failed.alias)) {
            if *alias == Some(old) {
                *alias = Some(new);
            }
        }
    }

    /// This process moves a scratch file, unchanged since, over the name.
    pub fn move_back(&mut self, alias: X, key: &K, by: Option<Process>, now: Duration) -> Returned {
        if self.departures.get(key).and_then(|away| away.alias) == Some(alias) {
            self.departures.remove(key);
            return Returned::Back;
        }
        let failed = self.failed_recreate(key, by, now);
        match failed.filter(|failed| failed.alias == Some(alias)) {
            Some(failed) => {
                let by = failed.by;
                self.shown(key, by);
                Returned::CleanUp
            }
            None => Returned::Ordinary,
        }
    }

    /// The process read the key: from now on it means the current value.
    pub fn shown(&mut self, key: &K, by: Process) {
        if let Some(failed) = self.failed.get_mut(key) {
            failed.retain(|failed| failed.by != by);
        }
    }

    /// Whether the process was refused a moment ago, so that a backup of its own that it saves now is
    /// restored automatically and is no decision of its user.
    pub fn is_cleaning_up(&self, key: &K, by: Option<Process>, now: Duration) -> bool {
        self.failed_recreate(key, by, now).is_some()
    }

    /// The departures whose time is over; all of them if there is no `now`, at the end of a mount. Names that
    /// are being created again wait for that.
    pub fn due(&self, now: Option<Duration>) -> Vec<Due<K, X>> {
        let is_over = |departure: &Departure<X>| {
            !departure.recreated && now.is_none_or(|now| now >= departure.since + STAY)
        };
        let over = self.departures.iter().filter(|(_, away)| is_over(away));
        over.filter_map(|(key, departure)| {
            Some(Due {
                key: key.clone(),
                alias: departure.alias?,
                base: departure.base.clone(),
            })
        })
        .collect()
    }

    /// A departure that was due could not be carried out yet.
    pub fn postpone(&mut self, key: &K, now: Duration) {
        if let Some(departure) = self.departures.get_mut(key) {
            departure.since = now;
        }
    }

    /// The name shows what the store has.
    pub fn dissolve(&mut self, key: &K) {
        self.departures.remove(key);
    }

    /// Forgets failed names that are too old to matter.
    pub fn forget_failed_recreates(&mut self, now: Duration) {
        self.failed.retain(|_, failed| {
            failed.retain(|failed| failed.is_young(now));
            !failed.is_empty()
        });
    }

    fn key_of(&self, alias: X) -> Option<K> {
        let mut departures = self.departures.iter();
        let found = departures.find(|(_, departure)| departure.alias == Some(alias));
        found.map(|(key, _)| key.clone())
    }

    fn failed_recreate(
        &self,
        key: &K,
        by: Option<Process>,
        now: Duration,
    ) -> Option<&FailedRecreate<X>> {
        let mut failed = self.failed.get(key)?.iter();
        failed.find(|failed| failed.is_of(by, now))
    }
}

impl<X> FailedRecreate<X> {
    /// Whether it means something yet.
    fn is_young(&self, now: Duration) -> bool {
        now < self.since + CLEAN_UP
    }

    /// Whether it is this process's, and means something yet.
    fn is_of(&self, by: Option<Process>, now: Duration) -> bool {
        Some(self.by) == by && self.is_young(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn v(n: u32) -> Version {
        Version::new(format!("\"{n}\""))
    }

    fn process(id: u32) -> Process {
        Process { id, start: 1 }
    }

    fn away() -> PendingRenames<&'static str, u32> {
        let mut away = PendingRenames::default();
        away.depart("f", v(1), 7, NOW);
        away
    }

    #[test]
    fn a_key_departs_as_the_version_that_its_mover_was_shown() {
        assert_eq!(departing_as(v(2), None), v(2));
        assert_eq!(departing_as(v(2), Some(Precondition::Absent)), v(2));
        assert_eq!(departing_as(v(2), Some(Precondition::Is(v(1)))), v(1));
    }

    #[test]
    fn a_new_value_of_a_name_that_is_away_replaces_what_was_moved() {
        let mut away = away();
        assert!(away.is_away(&"f"));
        assert_eq!(away.base(&"f"), Some(&v(1)));
        away.recreate(&"f");
        assert!(!away.is_away(&"f"));
        assert_eq!(away.base(&"f"), Some(&v(1)));
        away.saved(&"f");
        assert_eq!(away.base(&"f"), None);
        assert_eq!(away.alias_removed(7), None);
    }

    #[test]
    fn what_is_not_created_anew_in_time_was_moved_indeed() {
        let away = away();
        assert_eq!(away.due(Some(NOW + STAY - Duration::from_millis(1))), []);
        let due = [Due {
            key: "f",
            alias: 7,
            base: v(1),
        }];
        assert_eq!(away.due(Some(NOW + STAY)), due);
        assert_eq!(away.due(None), due);
    }

    #[test]
    fn a_name_that_is_being_created_anew_is_not_due() {
        let mut away = away();
        away.recreate(&"f");
        assert_eq!(away.due(None), []);
        away.closed_unsaved(&"f", NOW + STAY);
        assert_eq!(away.due(Some(NOW + STAY)), []);
        assert_eq!(away.due(Some(NOW + STAY * 2)).len(), 1);
    }

    #[test]
    fn a_deleted_alias_takes_its_key_along_unless_it_is_being_created_anew() {
        assert_eq!(away().alias_removed(7), Some(("f", v(1))));
        let mut away = away();
        away.recreate(&"f");
        assert_eq!(away.alias_removed(7), None);
        assert_eq!(away.base(&"f"), Some(&v(1)));
        assert_eq!(away.unlink(&"f", None, NOW), Unlinked::Delete(v(1)));
        assert_eq!(away.base(&"f"), None);
    }

    #[test]
    fn a_draft_of_a_name_that_is_away_can_be_deleted_and_moved_back_over() {
        let mut away = away();
        away.recreate(&"f");
        assert_eq!(away.unlink(&"f", None, NOW), Unlinked::Draft);
        assert!(away.is_away(&"f"));
        assert_eq!(away.move_back(7, &"f", None, NOW), Returned::Back);
        assert_eq!(away.base(&"f"), None);
    }

    #[test]
    fn the_clean_up_after_a_refusal_touches_nothing_of_the_winner() {
        let editor = Some(process(1));
        let mut away = away();
        away.recreate(&"f");
        away.refused(&"f", editor, NOW);
        away.refused(&"f", editor, NOW);
        assert_eq!(away.base(&"f"), None);
        assert_eq!(away.unlink(&"f", editor, NOW), Unlinked::CleanUp);
        assert_eq!(away.move_back(7, &"f", editor, NOW), Returned::CleanUp);
        assert_eq!(away.unlink(&"f", editor, NOW), Unlinked::Ordinary);
    }

    #[test]
    fn only_who_was_refused_cleans_up_and_not_for_ever() {
        let editor = Some(process(1));
        let mut away = away();
        away.refused(&"f", editor, NOW);
        let other = Some(process(2));
        assert_eq!(away.unlink(&"f", other, NOW), Unlinked::Ordinary);
        assert_eq!(away.unlink(&"f", None, NOW), Unlinked::Ordinary);
        assert_eq!(away.move_back(8, &"f", editor, NOW), Returned::Ordinary);
        assert!(!away.is_cleaning_up(&"f", other, NOW));
        let later = NOW + CLEAN_UP;
        assert_eq!(away.unlink(&"f", editor, later), Unlinked::Ordinary);
        away.shown(&"f", process(1));
        assert_eq!(away.unlink(&"f", editor, NOW), Unlinked::Ordinary);
    }

    #[test]
    fn each_process_that_was_refused_cleans_up_after_itself_alone() {
        let (editor, other) = (Some(process(1)), Some(process(2)));
        let mut away = away();
        away.recreate(&"f");
        away.refused(&"f", editor, NOW);
        away.refused(&"f", other, NOW);
        assert_eq!(away.unlink(&"f", other, NOW), Unlinked::CleanUp);
        assert_eq!(away.unlink(&"f", other, NOW), Unlinked::Ordinary);
        assert_eq!(away.move_back(7, &"f", other, NOW), Returned::Ordinary);
        assert_eq!(away.move_back(7, &"f", editor, NOW), Returned::CleanUp);
        assert!(!away.is_cleaning_up(&"f", editor, NOW));
        assert!(away.is_cleaning_up(&"f", other, NOW));
    }

    #[test]
    fn who_was_refused_deletes_its_own_failed_file_once_and_then_what_is_there() {
        let writer = Some(process(1));
        let mut away = PendingRenames::<&str, u32>::default();
        away.refused(&"f", writer, NOW);
        assert!(away.is_cleaning_up(&"f", writer, NOW));
        assert_eq!(away.unlink(&"f", writer, NOW), Unlinked::CleanUp);
        assert_eq!(away.unlink(&"f", writer, NOW), Unlinked::Ordinary);
    }

    #[test]
    fn an_edited_alias_is_still_where_the_value_is() {
        let mut away = away();
        away.alias_replaced(7, 8);
        assert_eq!(away.alias_removed(7), None);
        assert_eq!(away.due(None).first().map(|due| due.alias), Some(8));
    }
}
