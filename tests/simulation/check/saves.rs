//! Acknowledged exactly once, refused never, and every byte that could not be saved is rescued.

use std::collections::HashSet;

use bytes::Bytes;

use super::{Judge, Promise};
use crate::plan::Versions;
use crate::server::{By, Event};
use crate::world::{Did, Errno, Record, Save, Want};

impl Judge<'_> {
    pub(super) fn saves(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            match &record.did {
                Did::Save { file, why, want } => {
                    self.refused(at, &record);
                    self.sent(at, &record, want.as_ref());
                    if let Some(want) = want.as_ref().filter(|want| want.written) {
                        self.acknowledged(at, &record, (*file, *why), want);
                        self.rescued(at, &record, *file, want);
                    }
                }
                Did::Open { .. }
                | Did::Truncate { .. }
                | Did::Unlink { .. }
                | Did::Describe { .. }
                | Did::Mkdir { .. } => self.refused(at, &record),
                Did::Rename { from, .. } => {
                    self.refused(at, &record);
                    self.halves(at, &record, from);
                }
                _ => {}
            }
        }
        self.whole();
    }

    /// The saves of a file that put these bytes into the store.
    fn saves_of(&self, file: usize, want: &Want) -> Vec<&Event> {
        let mount = self.files[file].mount;
        let is_its = |event: &&Event| {
            let By::Call(call, _) = event.by else {
                return false;
            };
            self.records
                .get(call)
                .is_some_and(|record| match &record.did {
                    Did::Save { file: of, .. } => *of == file,
                    // Whoever renames a file saves first what its writers wrote.
                    Did::Rename { from, .. } => record.mount == mount && event.key == *from,
                    _ => false,
                })
        };
        let own = self.events.iter().filter(is_its);
        own.filter(|event| holds(event, want)).collect()
    }

    /// A success is in the bucket, once.
    fn acknowledged(
        &mut self,
        at: usize,
        record: &Record,
        (file, why): (usize, Save),
        want: &Want,
    ) {
        let is_heard = match why {
            Save::Close { by_opener } => by_opener,
            Save::Fsync => true,
            Save::Release => false,
        };
        let is_local = self.was_left(file) || self.files[file].scratch;
        if record.result != Some(Ok(())) || !is_heard || is_local {
            return;
        }
        let saves = self.saves_of(file, want);
        let before = saves
            .iter()
            .filter(|event| event.stamp < record.ended)
            .count();
        // Copies that arrive later may do it again where W6 says so.
        let (all, restored) = (saves.len(), self.is_restored(&saves));
        let is_revived = saves.iter().skip(1).all(|event| event.before.is_none());
        self.must(before >= 1, Promise::AcknowledgedIsSavedOnce, at, || {
            format!("{:?} is not in the store", want.bytes)
        });
        self.must(
            all <= 1 || restored || is_revived,
            Promise::AcknowledgedIsSavedOnce,
            at,
            || format!("{:?} was saved {all} times", want.bytes),
        );
    }

    /// Whether the name of a file was deleted or taken on its machine while it was open, whatever was answered
    /// to whoever did so.
    fn was_left(&self, file: usize) -> bool {
        let of = &self.files[file];
        let since = self.records[of.opened].begun;
        of.left
            || self.events.iter().any(|event| {
                let By::Call(call, _) = event.by else {
                    return false;
                };
                let by = self.records.get(call).filter(|by| by.mount == of.mount);
                let is_of_names = by.is_some_and(|by| {
                    matches!(
                        by.did,
                        Did::Unlink { .. } | Did::Rename { .. } | Did::Own(_)
                    )
                });
                event.stamp > since && event.key == of.path && is_of_names
            })
    }

    /// Restored content (W6): where versions are made from bytes, and somebody brought back what was
    /// replaced, a late copy is applied a second time.
    fn is_restored(&self, saves: &[&Event]) -> bool {
        self.world.plan.versions == Versions::OfContent
            && saves.windows(2).any(|pair| {
                let [first, again] = pair else { return false };
                first.before.as_ref().map(|value| &value.version)
                    == again.before.as_ref().map(|value| &value.version)
            })
    }

    /// What was refused did not happen and never will.
    fn refused(&mut self, at: usize, record: &Record) {
        if record.result != Some(Err(Errno::Conflict)) {
            return;
        }
        let events: Vec<_> = self.events_of(at).cloned().collect();
        for event in events {
            // A delete carries no number; and one call may have saved before what is refused now.
            let is_hidden = self.is_hidden(&event, record);
            // A late copy creates a key again that was deleted since (W6).
            let is_copy = matches!(event.by, By::Call(_, copy) if copy > 0);
            let is_revived = is_copy && event.before.is_none() && event.stamp > record.ended;
            let is_part = event.after.is_none()
                || (matches!(record.did, Did::Rename { .. } | Did::Unlink { .. })
                    && !self.is_about(&event, record));
            self.must(
                is_hidden || is_revived || is_part,
                Promise::RefusedNeverHappens,
                at,
                || format!("{} was saved: {:?}", event.key, event.after),
            );
        }
    }

    /// Whoever moves a file that others are writing does not save it for them.
    fn halves(&mut self, at: usize, record: &Record, from: &str) {
        let events: Vec<_> = self.events_of(at).cloned().collect();
        for event in events {
            let Some(value) = event.after.filter(|_| event.key == from) else {
                continue;
            };
            let is_own = self.files.iter().any(|file| {
                file.mount == record.mount
                    && file.path == from
                    // What is new has to be in the store to be moved.
                    && (file.opener == record.pid || file.created)
            });
            self.must(is_own, Promise::NoHalfValueIsSent, at, || {
                format!("{from} was saved while others wrote it: {:?}", value.bytes)
            });
        }
    }

    fn is_about(&self, event: &Event, record: &Record) -> bool {
        match &record.did {
            Did::Rename { to, .. } => event.key == *to,
            Did::Unlink { path } => event.key == *path,
            _ => true,
        }
    }

    /// Hidden duplicates (W6): it was sent twice, and before it was looked at somebody else saved over it or
    /// deleted it.
    fn is_hidden(&self, event: &Event, record: &Record) -> bool {
        let after = self.of_key[&event.key].iter().map(|at| &self.events[*at]);
        after
            .filter(|other| other.stamp > event.stamp && other.stamp < record.ended)
            .any(|other| match other.by {
                By::Foreign => true,
                By::Call(..) => {
                    other.after.is_none() || other.id.is_some() && self.is_far(event, record)
                }
            })
    }

    /// More than eight saves came after it.
    fn is_far(&self, event: &Event, record: &Record) -> bool {
        let after = self.of_key[&event.key].iter().map(|at| &self.events[*at]);
        after
            .filter(|other| other.stamp > event.stamp && other.stamp < record.ended)
            .count()
            > 8
    }

    /// What is sent for a file is what its process wrote.
    fn sent(&mut self, at: usize, record: &Record, want: Option<&Want>) {
        let events: Vec<_> = self.events_of(at).cloned().collect();
        for event in events {
            let Some(value) = &event.after else { continue };
            let fits = match want {
                Some(want) => holds(&event, want) || (!want.written && value.bytes.is_empty()),
                None => false,
            };
            self.must(fits, Promise::NothingElseIsSaved, at, || {
                format!("{record:?} saved {value:?}")
            });
        }
    }

    /// What could not be saved is kept, or was saved after all.
    fn rescued(&mut self, at: usize, record: &Record, file: usize, want: &Want) {
        let Some(Err(errno)) = record.result else {
            return;
        };
        let of = self.files[file].clone();
        // What is deleted on the machine that writes it is written in vain (W8).
        let is_in_vain = record.result != Some(Err(Errno::Conflict)) && self.was_left(file);
        if want.bytes.is_empty() || of.scratch || is_in_vain {
            return;
        }
        let is_lost_with_the_daemon = self.has_crashed(of.mount, of.epoch);
        let is_in_doubt = matches!(errno, Errno::TimedOut | Errno::NotConnected);
        if is_in_doubt && is_lost_with_the_daemon {
            return;
        }
        let is_saved = !self.saves_of(file, want).is_empty();
        if !is_in_doubt {
            self.must(
                record.was_rescued || is_saved,
                Promise::LostBytesAreRescued,
                at,
                || format!("{errno:?} was answered, and {:?} was not kept", want.bytes),
            );
        }
        // A later failure of the same file keeps more than this one.
        let kept_later = self.rescues[of.mount]
            .iter()
            .any(|kept| kept.starts_with(&want.bytes) || kept.ends_with(&want.bytes));
        let is_superseded = self.records[at + 1..].iter().any(|later| {
            matches!(&later.did, Did::Save { file: of, want: Some(now), .. }
                if *of == file && now.bytes != want.bytes)
        });
        self.must(
            is_saved || kept_later || is_superseded || is_lost_with_the_daemon,
            Promise::LostBytesAreRescued,
            at,
            || format!("{errno:?}, and at the end {:?} is nowhere", want.bytes),
        );
    }

    /// Every rescue is something that a process had written, and all of it.
    fn whole(&mut self) {
        let mut known: HashSet<Bytes> = HashSet::new();
        for record in &self.records {
            match &record.did {
                Did::Save {
                    want: Some(want), ..
                } => drop(known.insert(want.bytes.clone())),
                Did::Rename {
                    moved: Some(moved), ..
                } => drop(known.insert(moved.clone())),
                _ => {}
            }
        }
        for file in &self.files {
            known.insert(file.content.clone().into());
            known.insert(file.appended.clone().into());
        }
        // What is moved from one key to another is a value of the store.
        for event in &self.events {
            known.extend(event.after.iter().map(|value| value.bytes.clone()));
        }
        // And so is what truncate(2) leaves of one, or makes of it.
        let sizes: Vec<_> = self
            .records
            .iter()
            .filter_map(|record| match record.did {
                Did::Truncate { size, .. } => Some(size as usize),
                _ => None,
            })
            .collect();
        known.extend(sizes.iter().map(|size| Bytes::from(vec![0; *size])));
        for event in &self.events {
            for (value, size) in event
                .after
                .iter()
                .flat_map(|value| sizes.iter().map(move |size| (value, size)))
            {
                let mut cut = value.bytes.to_vec();
                cut.resize(*size, 0);
                known.insert(cut.into());
            }
        }
        for kept in self.rescues.clone().into_iter().flatten() {
            let is_known = known.contains(&Bytes::from(kept.clone()));
            self.must(is_known, Promise::RescuesAreWhole, 0, || {
                format!("{:?} was rescued", String::from_utf8_lossy(&kept))
            });
        }
    }
}

/// Whether a change of the store is the save of these bytes.
fn holds(event: &Event, want: &Want) -> bool {
    let Some(value) = &event.after else {
        return false;
    };
    match want.appended {
        false => value.bytes == want.bytes,
        true => {
            let before = event.before.as_ref().map(|value| value.bytes.clone());
            value.bytes == [&before.unwrap_or_default()[..], &want.bytes].concat()
        }
    }
}
