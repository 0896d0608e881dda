//! The reference for the memory: a log of everything, which is searched from its end.

use std::collections::HashMap;

use etagfs_model::{Base, Caller, Precondition};

use super::{Lesson, version};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Process(u32),
    Family(u32, u32),
    Job(u32),
}

/// What somebody knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    what: Precondition,
    /// It was told that there is no such key, and nothing else.
    is_miss: bool,
}

/// Everything that anybody ever learned (or has to forget), in order, and in which reading if that is in
/// doubt.
#[derive(Default)]
pub(super) struct Log {
    learned: Vec<(Who, usize, Option<Known>, Option<usize>)>,
    /// The readings that are in doubt, by number.
    doubts: Vec<Doubt>,
}

/// A reading that may turn out to have been none.
struct Doubt {
    caller: Caller,
    key: usize,
    v: u8,
    is_over: bool,
    before: HashMap<Who, Known>,
}

impl Log {
    fn memories(callers: &[Caller]) -> Vec<Who> {
        let mut memories = Vec::new();
        for caller in callers {
            let job = caller.job.group;
            memories.push(Who::Process(caller.process.id));
            memories.push(Who::Family(caller.process.id, job));
            memories.extend(caller.ancestors.ids().map(|id| Who::Family(id, job)));
            memories.push(Who::Job(job));
        }
        memories
    }

    fn last_entry(&self, who: Who, key: usize) -> Option<(&Known, Option<usize>)> {
        let mut learned = self.learned.iter().rev();
        let (_, _, known, doubt) = learned.find(|(w, k, ..)| (*w, *k) == (who, key))?;
        Some((known.as_ref()?, *doubt))
    }

    fn learn(&mut self, who: Who, key: usize, what: Precondition, doubt: Option<usize>) {
        let is_miss = false;
        self.learned
            .push((who, key, Some(Known { what, is_miss }), doubt));
    }

    pub(super) fn last(&self, who: Who, key: usize) -> Option<&Precondition> {
        Some(&self.last_entry(who, key)?.0.what)
    }

    /// What is known if the readings that are in doubt were none.
    fn certain(&self, who: Who, key: usize) -> Option<&Known> {
        let (what, doubt) = self.last_entry(who, key)?;
        let doubt = doubt
            .map(|n| &self.doubts[n])
            .filter(|doubt| !doubt.is_over);
        doubt
            .and_then(|doubt| doubt.before.get(&who))
            .or(Some(what))
    }

    fn show(&mut self, caller: &Caller, key: usize, v: u8) {
        for doubt in &mut self.doubts {
            doubt.is_over |= doubt.caller.process == caller.process && doubt.key == key;
        }
        let now = Precondition::Is(version(v));
        let memories = Self::memories(&[*caller]);
        let known = memories
            .iter()
            .filter_map(|who| Some((*who, self.certain(*who, key)?.clone())));
        let before: HashMap<_, _> = known.collect();
        let doubt = before.values().any(|known| known.what != now).then(|| {
            self.doubts.push(Doubt {
                caller: *caller,
                key,
                v,
                is_over: false,
                before,
            });
            self.doubts.len() - 1
        });
        for who in memories {
            self.learn(who, key, now.clone(), doubt);
        }
    }

    fn miss(&mut self, caller: &Caller, key: usize) {
        let memories = Self::memories(&[*caller]);
        let nearest = memories.iter().find_map(|who| self.last(*who, key));
        if nearest.is_some_and(|known| *known != Precondition::Absent) {
            return;
        }
        let is_open = |who: &Who| {
            let known = self.last_entry(*who, key);
            !matches!(who, Who::Process(_)) && known.is_none_or(|(known, _)| known.is_miss)
        };
        let open: Vec<_> = memories.into_iter().filter(is_open).collect();
        for who in open {
            let (what, is_miss) = (Precondition::Absent, true);
            self.learned
                .push((who, key, Some(Known { what, is_miss }), None));
        }
    }

    fn copied(&mut self, process: u32, into: usize, v: u8) {
        for n in 0..self.doubts.len() {
            let doubt = &mut self.doubts[n];
            let is_by = doubt.caller.process.id == process && doubt.v == v;
            if doubt.is_over || !is_by || doubt.key == into {
                continue;
            }
            doubt.is_over = true;
            let (key, before) = (doubt.key, std::mem::take(&mut doubt.before));
            let own = Who::Process(process);
            let family = Who::Family(process, doubt.caller.job.group);
            let had_missed = before.get(&family).is_some_and(|known| known.is_miss);
            let forgets = (had_missed && !before.contains_key(&own)).then_some((own, None));
            let before = before.into_iter().map(|(who, known)| (who, Some(known)));
            for (who, known) in before.chain(forgets) {
                if self
                    .last_entry(who, key)
                    .is_some_and(|(_, doubt)| doubt == Some(n))
                {
                    self.learned.push((who, key, known, None));
                }
            }
        }
    }

    pub(super) fn teach(&mut self, key: usize, lesson: &Lesson) {
        let (learners, what) = match lesson {
            Lesson::Show(caller, v) => return self.show(caller, key, *v),
            Lesson::Copied(process, v) => return self.copied(*process, key, *v),
            Lesson::Miss(caller) => return self.miss(caller, key),
            Lesson::Saved(callers, replaced, v) => (
                self.those_who_know(callers, key, replaced),
                Precondition::Is(version(*v)),
            ),
            Lesson::Removed(callers, gone) => (
                self.those_who_know(callers, key, gone),
                Precondition::Absent,
            ),
            Lesson::Told(callers, now) => {
                let first = Self::memories(callers)
                    .into_iter()
                    .find(|who| self.last(*who, key).is_some());
                (first.into_iter().collect(), now.clone())
            }
        };
        for who in learners {
            self.learn(who, key, what.clone(), None);
        }
    }

    fn those_who_know(&self, callers: &[Caller], key: usize, what: &Precondition) -> Vec<Who> {
        Self::memories(callers)
            .into_iter()
            .filter(|who| self.last(*who, key) == Some(what))
            .collect()
    }

    pub(super) fn base(&self, callers: &[Caller], key: usize, current: &Precondition) -> Base {
        self.base_of(callers, key, current, |_| true)
    }

    pub(super) fn base_of_delete(&self, by: &[Caller], key: usize, current: &Precondition) -> Base {
        self.base_of(by, key, current, |known| !known.is_miss)
    }

    fn base_of(
        &self,
        callers: &[Caller],
        key: usize,
        current: &Precondition,
        counts: impl Fn(&Known) -> bool,
    ) -> Base {
        let shown = Self::memories(callers)
            .into_iter()
            .filter_map(|who| Some(self.last_entry(who, key)?.0))
            .find(|known| counts(known))
            .map(|known| &known.what);
        match shown {
            Some(shown) if shown != current => Base::AlreadyLost {
                shown: shown.clone(),
            },
            _ => Base::Take(current.clone()),
        }
    }
}
