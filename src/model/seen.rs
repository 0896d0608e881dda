//! Who was shown which version (W1, W5).
//!
//! A save that starts from nothing (a truncating open, a file renamed over a key) replaces what
//! its process was shown of the key, else what its nearest relatives in its job were shown, else what
//! is there. [`Seen`] remembers that; it is told of every first read and asked at every such save. Which
//! process a request comes from is found out in `mount`.
//!
//! Relatives, since a job may do several things at once: of `worker & worker & wait`, each reads and
//! saves for itself (`n=$(cat f); echo $((n+1)) > f`), and what the one was shown the other was not. The
//! nearest is whose common ancestor with the writer is nearest: the `cat` of the writer's own shell.

use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::{Expect, Version};

/// A process: its id, and its start time in clock ticks since boot, since ids are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Thread group id.
    pub id: u32,
    /// Start time (`/proc/PID/stat`, field 22).
    pub start: u64,
}

/// A job: a process group within its session. The commands, substitutions and pipelines of a
/// script share it; at a prompt each command line has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Process group id.
    pub group: u32,
    /// Session id.
    pub session: u32,
}

/// The nearest ancestors of a process within its job, its parent first.
///
/// Ids alone: their start times could only be read from files that may wait for us. An id that is
/// used again in one job brings a memory along that is at worst too old, and so a conflict too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ancestors([u32; Self::MOST]);

impl Ancestors {
    /// How many are remembered.
    pub const MOST: usize = 6;

    /// These, the parent first; those past [`MOST`](Self::MOST) are left out.
    pub fn new(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut ancestors = Self::default();
        for (place, id) in ancestors.0.iter_mut().zip(ids) {
            *place = id;
        }
        ancestors
    }

    /// Them.
    pub fn ids(self) -> impl Iterator<Item = u32> {
        self.0.into_iter().take_while(|id| *id != 0)
    }
}

/// Who asks. Requests that carry no usable process id (page writeback, release, a process of
/// another pid namespace) have no caller, and count as blind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The process.
    pub process: Process,
    /// Who started it, within its job.
    pub ancestors: Ancestors,
    /// Its job.
    pub job: Job,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    /// The process itself.
    Process(Process),
    /// The process of this id, and all that it started, within a job.
    Family(u32, Job),
    /// All of a job.
    Job(Job),
}

impl Caller {
    /// Whose memories count for this caller, the nearest first.
    fn memories(self) -> impl Iterator<Item = Who> {
        let families = std::iter::once(self.process.id).chain(self.ancestors.ids());
        std::iter::once(Who::Process(self.process))
            .chain(families.map(move |id| Who::Family(id, self.job)))
            .chain([Who::Job(self.job)])
    }
}

/// The base of a save that starts from nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Replace this.
    Take(Expect),
    /// The caller was shown another version than the current one: the race is lost before it
    /// begins (W4).
    AlreadyLost {
        /// What the caller was shown.
        shown: Expect,
    },
}

/// What each process, each family and each job was last shown of each key. `K` names a key of the mount.
///
/// Where a method takes several callers, they are those whose memories count for one save, the
/// first one first: who saves, and for a rename then who created the temporary file.
///
/// Being told by an EAGAIN counts as being shown (W5), and so does knowing one's own bytes after a
/// save. Neither makes a reader of somebody who was never shown the key: a blind writer stays
/// blind, or one lost race would turn every later `echo > f` of its process into a refusal.
#[derive(Clone, Debug)]
pub struct Seen<K: Hash + Eq> {
    shown: LruCache<(Who, K), Expect>,
}

impl<K: Hash + Eq + Clone> Seen<K> {
    /// Remembers at most `capacity` pairs of somebody and a key; the least recently used is
    /// forgotten first, and its owner is then treated as one who was never shown anything.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            shown: LruCache::new(capacity),
        }
    }

    /// The caller read the key, and this version of it.
    pub fn show(&mut self, caller: &Caller, key: &K, version: &Version) {
        for who in caller.memories() {
            let shown = Expect::Is(version.clone());
            self.shown.put((who, key.clone()), shown);
        }
    }

    /// The caller read the key to copy it into a backup beside it, and not for the text that it is
    /// about to save: editors that do so (nano -B, joe, vim and emacs when told to copy) hold a text
    /// that is older than the copy. It tells the family and the job, but not a process that was shown the key
    /// before: what a process was shown first it was shown, for whatever reason.
    pub fn show_for_backup(&mut self, caller: &Caller, key: &K, version: &Version) {
        for who in caller.memories() {
            let at = (who, key.clone());
            if !matches!(who, Who::Process(_)) || !self.shown.contains(&at) {
                self.shown.put(at, Expect::Is(version.clone()));
            }
        }
    }

    /// A save of these callers replaced `replaced` by `version`. Each knows the new bytes if it knew
    /// those they replaced. Else (an append over a version it was never shown) its memory stays as
    /// it is, since another save based on that memory would undo somebody's work.
    pub fn saved(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Expect,
        version: &Version,
    ) {
        self.advance(callers, key, replaced, &Expect::Is(version.clone()));
    }

    /// These callers deleted the key, or moved it away, when it was `replaced`.
    pub fn removed(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Expect,
    ) {
        self.advance(callers, key, replaced, &Expect::Absent);
    }

    fn advance(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Expect,
        now: &Expect,
    ) {
        for who in callers.into_iter().flat_map(Caller::memories) {
            if let Some(memory) = self.shown.get_mut(&(who, key.clone()))
                && *memory == *replaced
            {
                *memory = now.clone();
            }
        }
    }

    /// These callers were just told by an EAGAIN that the key is now `current`. Whoever's memory was
    /// the base is told, so that a deliberate second save replaces exactly this and nothing newer:
    /// the command that a script runs again after a refusal is another process of the same job, and
    /// a second `mv` has another job, but the same creator of the temporary file.
    pub fn told(&mut self, callers: impl IntoIterator<Item = Caller>, key: &K, current: &Expect) {
        let remembered = callers
            .into_iter()
            .flat_map(Caller::memories)
            .map(|who| (who, key.clone()))
            .find(|at| self.shown.contains(at));
        if let Some(at) = remembered {
            self.shown.put(at, current.clone());
        }
    }

    /// What the caller was shown: its process, else its nearest relatives in its job.
    pub fn shown_to(&mut self, caller: &Caller, key: &K) -> Option<Expect> {
        caller
            .memories()
            .find_map(|who| self.shown.get(&(who, key.clone())).cloned())
    }

    /// The base rule W1 for a save that starts from nothing, when the key is now `current`.
    pub fn base(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        current: &Expect,
    ) -> Base {
        let shown = callers
            .into_iter()
            .find_map(|caller| self.shown_to(&caller, key));
        match shown {
            Some(shown) if shown != *current => Base::AlreadyLost { shown },
            _ => Base::Take(current.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(id: u32, group: u32) -> Caller {
        child(id, &[], group)
    }

    fn child(id: u32, ancestors: &[u32], group: u32) -> Caller {
        Caller {
            process: Process {
                id,
                start: u64::from(id),
            },
            ancestors: Ancestors::new(ancestors.iter().copied()),
            job: Job { group, session: 1 },
        }
    }

    fn v(n: u32) -> Version {
        Version::new(format!("\"{n}\""))
    }

    fn is(n: u32) -> Expect {
        Expect::Is(v(n))
    }

    fn seen() -> Seen<&'static str> {
        Seen::new(NonZeroUsize::new(64).unwrap())
    }

    #[test]
    fn a_blind_writer_replaces_what_is_there_and_stays_blind_after_its_own_save() {
        let mut seen = seen();
        let blind = caller(1, 1);
        assert_eq!(seen.base([blind], &"k", &is(1)), Base::Take(is(1)));
        seen.saved([blind], &"k", &is(1), &v(2));
        assert_eq!(seen.base([blind], &"k", &is(3)), Base::Take(is(3)));
    }

    #[test]
    fn a_process_that_read_the_key_loses_to_a_later_save() {
        let mut seen = seen();
        let editor = caller(1, 1);
        seen.show(&editor, &"k", &v(1));
        assert_eq!(seen.base([editor], &"k", &is(1)), Base::Take(is(1)));
        assert_eq!(
            seen.base([editor], &"k", &is(2)),
            Base::AlreadyLost { shown: is(1) }
        );
        assert_eq!(
            seen.base([editor], &"k", &Expect::Absent),
            Base::AlreadyLost { shown: is(1) }
        );
    }

    #[test]
    fn an_own_save_counts_as_shown_to_a_reader() {
        let mut seen = seen();
        let editor = caller(1, 1);
        seen.show(&editor, &"k", &v(1));
        seen.saved([editor], &"k", &is(1), &v(2));
        assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
    }

    #[test]
    fn a_reading_for_a_backup_teaches_nothing() {
        let (mut seen, editor) = (seen(), caller(1, 1));
        seen.show(&editor, &"k", &v(1));
        seen.show_for_backup(&editor, &"k", &v(2));
        let lost = Base::AlreadyLost { shown: is(1) };
        assert_eq!(seen.base([editor], &"k", &is(2)), lost);
        // It reads again, and now it knows; a second copy changes nothing.
        seen.show(&editor, &"k", &v(2));
        seen.show_for_backup(&editor, &"k", &v(2));
        assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
    }

    #[test]
    fn who_reads_once_for_a_backup_and_for_its_text_was_shown_it() {
        let (mut seen, program) = (seen(), caller(1, 1));
        seen.show_for_backup(&program, &"k", &v(1));
        assert_eq!(seen.shown_to(&program, &"k"), Some(is(1)));
    }

    #[test]
    fn a_reading_for_a_backup_is_one_for_the_other_commands_of_a_script() {
        let (mut seen, copier) = (seen(), caller(1, 1));
        seen.show(&copier, &"k", &v(1));
        seen.show_for_backup(&copier, &"k", &v(2));
        assert_eq!(seen.shown_to(&caller(2, 1), &"k"), Some(is(2)));
    }

    #[test]
    fn what_one_command_of_a_script_was_shown_counts_for_the_next() {
        let mut seen = seen();
        seen.show(&caller(2, 1), &"k", &v(1));
        assert_eq!(
            seen.base([caller(3, 1)], &"k", &is(2)),
            Base::AlreadyLost { shown: is(1) }
        );
        assert_eq!(seen.base([caller(4, 4)], &"k", &is(2)), Base::Take(is(2)));
    }

    #[test]
    fn of_several_workers_of_one_script_each_was_shown_what_its_own_commands_read() {
        let mut seen = seen();
        // The script 1 started the shells 10 and 20; each runs `n=$(cat k); echo > k`.
        let (cat_of_10, cat_of_20) = (child(11, &[10, 1], 1), child(21, &[20, 1], 1));
        let (in_10, dd_of_20) = (child(10, &[1], 1), child(22, &[20, 1], 1));
        seen.show(&cat_of_10, &"k", &v(1));
        seen.show(&cat_of_20, &"k", &v(2));
        assert_eq!(seen.shown_to(&in_10, &"k"), Some(is(1)));
        assert_eq!(seen.shown_to(&dd_of_20, &"k"), Some(is(2)));
        // Who read nothing itself, nor through a child, has the latest of its nearest relatives.
        assert_eq!(seen.shown_to(&child(30, &[1], 1), &"k"), Some(is(2)));
        // Nobody is left who started it.
        assert_eq!(seen.shown_to(&caller(40, 1), &"k"), Some(is(2)));
        seen.saved([dd_of_20], &"k", &is(2), &v(3));
        assert_eq!(seen.shown_to(&in_10, &"k"), Some(is(1)));
        assert_eq!(seen.shown_to(&child(23, &[20, 1], 1), &"k"), Some(is(3)));
    }

    #[test]
    fn what_a_shell_reads_itself_its_commands_were_shown() {
        let (mut seen, shell, other) = (seen(), child(10, &[1], 1), child(20, &[1], 1));
        seen.show(&shell, &"k", &v(1));
        seen.show(&other, &"k", &v(2));
        assert_eq!(seen.shown_to(&child(11, &[10, 1], 1), &"k"), Some(is(1)));
    }

    #[test]
    fn what_the_process_was_shown_goes_before_what_its_job_was_shown() {
        let mut seen = seen();
        seen.show(&caller(1, 1), &"k", &v(1));
        seen.show(&caller(2, 1), &"k", &v(2));
        assert_eq!(
            seen.base([caller(1, 1)], &"k", &is(2)),
            Base::AlreadyLost { shown: is(1) }
        );
    }

    #[test]
    fn the_told_process_may_save_once_over_exactly_what_it_was_told() {
        let mut seen = seen();
        let editor = caller(1, 1);
        seen.show(&editor, &"k", &v(1));
        seen.told([editor], &"k", &is(2));
        assert_eq!(seen.base([editor], &"k", &is(2)), Base::Take(is(2)));
        assert_eq!(
            seen.base([editor], &"k", &is(3)),
            Base::AlreadyLost { shown: is(2) }
        );
    }

    #[test]
    fn a_command_run_again_by_a_script_after_a_refusal_is_told_through_its_job() {
        let mut seen = seen();
        seen.show(&caller(1, 1), &"k", &v(1));
        seen.told([caller(2, 1)], &"k", &is(2));
        assert_eq!(seen.base([caller(3, 1)], &"k", &is(2)), Base::Take(is(2)));
    }

    #[test]
    fn a_save_over_bytes_that_were_never_shown_teaches_nothing() {
        let mut seen = seen();
        let script = caller(1, 1);
        seen.show(&script, &"k", &v(1));
        // Somebody saved 2, and the script appended to it without reading it.
        seen.saved([script], &"k", &is(2), &v(3));
        assert_eq!(
            seen.base([script], &"k", &is(3)),
            Base::AlreadyLost { shown: is(1) }
        );
    }

    #[test]
    fn a_blind_writer_that_was_told_once_is_still_blind() {
        let mut seen = seen();
        let blind = caller(1, 1);
        seen.told([blind], &"k", &is(2));
        assert_eq!(seen.base([blind], &"k", &is(3)), Base::Take(is(3)));
    }

    #[test]
    fn a_second_rename_after_a_refusal_is_told_through_the_creator() {
        let mut seen = seen();
        let (jq, mv, again) = (caller(1, 1), caller(2, 2), caller(3, 3));
        seen.show(&jq, &"k", &v(1));
        seen.told([mv, jq], &"k", &is(2));
        assert_eq!(seen.base([again, jq], &"k", &is(2)), Base::Take(is(2)));
    }

    #[test]
    fn a_rename_asks_the_creator_of_the_temporary_file_after_the_caller() {
        let mut seen = seen();
        let (mv, jq) = (caller(2, 2), caller(1, 1));
        seen.show(&jq, &"k", &v(1));
        assert_eq!(
            seen.base([mv, jq], &"k", &is(2)),
            Base::AlreadyLost { shown: is(1) }
        );
        seen.show(&mv, &"k", &v(2));
        assert_eq!(seen.base([mv, jq], &"k", &is(2)), Base::Take(is(2)));
    }
}
