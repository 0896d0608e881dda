//! Nothing is replaced that its process was not shown (W1, W5).

use bytes::Bytes;

use super::shown::Shown;
use super::{Judge, Promise};
use crate::server::{By, Event, Stamp};
use crate::world::{Did, Errno, Record};

/// What happens, in its order.
#[derive(Clone, Copy)]
enum Moment {
    Asked(usize),
    Heard(usize),
    Changed(usize),
}

impl Judge<'_> {
    pub(super) fn bases(&mut self) {
        let mut moments: Vec<(Stamp, Moment)> = Vec::new();
        for (at, record) in self.records.iter().enumerate() {
            moments.push((record.begun, Moment::Asked(at)));
            if record.result.is_some() {
                moments.push((record.ended, Moment::Heard(at)));
            }
        }
        for (at, event) in self.events.iter().enumerate() {
            moments.push((event.stamp, Moment::Changed(at)));
        }
        moments.sort_by_key(|(stamp, _)| *stamp);
        let mut shown = Shown::default();
        for (_, moment) in moments {
            match moment {
                Moment::Asked(at) => self.note_known(&mut shown, at),
                Moment::Heard(at) => {
                    self.note_known(&mut shown, at);
                    self.heard(&mut shown, at);
                    // Its mount learns of a save from the answer: a relative may have read meanwhile what it replaced.
                    let record = self.records[at].clone();
                    if record.result != Some(Ok(())) {
                        continue;
                    }
                    let events: Vec<_> = self.events_of(at).cloned().collect();
                    for event in events.iter().filter(|event| event.stamp < record.ended) {
                        self.saved(&mut shown, &record, event);
                    }
                }
                Moment::Changed(at) => self.changed(&mut shown, at),
            }
        }
    }

    /// Remembers what the caller of an open, a rename or a delete knows now.
    fn note_known(&self, shown: &mut Shown, at: usize) {
        let record = &self.records[at];
        let path = match &record.did {
            Did::Open { path, .. } | Did::Truncate { path, .. } | Did::Unlink { path } => path,
            Did::Rename { to, .. } => to,
            _ => return,
        };
        let known = self.known_to(shown, record, path);
        shown.at_call.entry(at).or_default().push(known);
    }

    fn heard(&self, shown: &mut Shown, at: usize) {
        let record = &self.records[at];
        match (&record.did, record.result) {
            (Did::Read { file, bytes, whole }, Some(Ok(()))) => {
                let file = &self.files[*file];
                // What a writer reads of its own says nothing of others'.
                let is_own = file.how.write && (file.created || file.how.truncate);
                // What is not saved yet is empty, and no version (W12).
                let open = &self.records[file.opened];
                // The first bytes of a version show it.
                let versions = self.values_in(&file.path, open.begun, record.ended);
                let read: Vec<_> = versions
                    .into_iter()
                    .flatten()
                    .filter(|value| match *whole || bytes.is_empty() {
                        true => value.bytes == *bytes,
                        false => value.bytes.starts_with(bytes),
                    })
                    .map(|value| value.bytes.clone())
                    .collect();
                let is_unsaved = bytes.is_empty() && self.has_unsaved(open, &file.path);
                // Whoever saved the key since knows what it did, whatever it reads through an older
                // descriptor; who only added to it knows that once it knows what it added it to.
                let since = (open.begun, record.ended);
                let read = self.read_since(&file.path, since, record.pid, read);
                if is_own || file.scratch {
                    return;
                }
                match is_unsaved {
                    true => self.perhaps_shown(shown, record, &file.path, read),
                    false => read
                        .into_iter()
                        .for_each(|bytes| shown.add(record, &file.path, bytes)),
                }
            }
            // There is nothing to be read of an empty file: its opener may see that.
            (Did::Open { path, file, .. }, Some(Ok(()))) if self.was_empty(*file) => {
                let versions = self.values_in(path, record.begun, record.ended);
                let mut versions = versions.into_iter().flatten();
                let is_there = versions.any(|value| value.bytes.is_empty());
                match self.has_unsaved(record, path) {
                    _ if !is_there => {}
                    true => self.perhaps_shown(shown, record, path, vec![Bytes::new()]),
                    false => shown.add(record, path, Bytes::new()),
                }
            }
            (did, Some(Err(Errno::Conflict))) => {
                let paths = match did {
                    Did::Save { file, .. } => vec![self.files[*file].path.clone()],
                    Did::Open { path, .. }
                    | Did::Truncate { path, .. }
                    | Did::Unlink { path }
                    | Did::Describe { path } => vec![path.clone()],
                    Did::Rename { from, to, .. } => vec![from.clone(), to.clone()],
                    _ => return,
                };
                for path in paths {
                    // Whose memory was the base is told; whoever is blind stays blind.
                    let mut bases = self.knowing(shown, record, &path);
                    if bases.is_empty() {
                        bases = self.knowing_makers(shown, record, &path);
                    }
                    let told = self.values_in(&path, record.begun, record.ended);
                    for value in told.into_iter().flatten() {
                        for pid in &bases {
                            let base = Record {
                                pid: *pid,
                                ..record.clone()
                            };
                            shown.add(&base, &path, value.bytes.clone());
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// A process found nothing in a file that was perhaps saved as such, and perhaps not saved yet: that is empty
    /// too, and no version (W12). Then it knows what it knew before.
    fn perhaps_shown(&self, shown: &mut Shown, record: &Record, path: &str, read: Vec<Bytes>) {
        if read.is_empty() {
            return;
        }
        let known = self.known_to(shown, record, path);
        for bytes in known
            .into_iter()
            .flat_map(|known| [known, read.clone()].concat())
        {
            shown.add(record, path, bytes);
        }
    }

    /// What a process knows of a key that read one of these, which were the key at one time or another since,
    /// and that itself perhaps changed it meanwhile.
    fn read_since(
        &self,
        path: &str,
        (from, to): (Stamp, Stamp),
        pid: u32,
        mut read: Vec<Bytes>,
    ) -> Vec<Bytes> {
        let changes = self.of_key.get(path).map_or(&[][..], Vec::as_slice);
        let changes = changes.iter().map(|at| &self.events[*at]);
        let own = changes.filter(|it| (from..to).contains(&it.stamp) && self.is_by(it, pid));
        for event in own {
            match (&event.before, &event.after) {
                (Some(before), Some(after)) if self.adds(event) => {
                    if read.contains(&before.bytes) {
                        read.push(after.bytes.clone());
                    }
                }
                _ => return Vec::new(),
            }
        }
        read
    }

    /// Whether a change put something behind what was there, or changed what travels with it.
    fn adds(&self, event: &Event) -> bool {
        let By::Call(call, _) = event.by else {
            return false;
        };
        let did = self.records.get(call).map(|record| &record.did);
        match did {
            Some(Did::Save { file, .. }) => self.appends(*file),
            Some(Did::Describe { .. }) => true,
            _ => false,
        }
    }

    /// Whether a file was opened to be appended to.
    fn appends(&self, file: usize) -> bool {
        let how = self.files[file].how;
        how.append && !how.truncate && !how.exclusive
    }

    /// Whether the first read of a file found nothing, which its open knew already.
    fn was_empty(&self, opened: Option<usize>) -> bool {
        let Some(opened) = opened else { return false };
        let how = self.files[opened].how;
        let first = self.records.iter().find_map(|record| match &record.did {
            Did::Read { file, bytes, .. } if *file == opened => {
                Some(record.result == Some(Ok(())) && bytes.is_empty())
            }
            _ => None,
        });
        how.read && !how.truncate && first.unwrap_or_default()
    }

    /// What the nearest of its relatives that was shown anything was shown: the process itself, those that it
    /// started, those of its parent, and so on, and its job.
    fn known_to(&self, shown: &Shown, record: &Record, path: &str) -> Option<Vec<Bytes>> {
        let knowing = self.knowing(shown, record, path);
        let known = knowing
            .into_iter()
            .filter_map(|pid| shown.of(record, pid, path));
        let known: Vec<_> = known.flatten().cloned().collect();
        (!known.is_empty()).then_some(known)
    }

    /// Those of them that were shown something: the process itself, or its nearest relatives.
    fn knowing(&self, shown: &Shown, record: &Record, path: &str) -> Vec<u32> {
        let knows = |pid: &u32| shown.of(record, *pid, path).is_some();
        if knows(&record.pid) {
            return vec![record.pid];
        }
        let machine = &self.mounts[record.mount].machine;
        let all = self.pids(record.mount);
        let mut heads = vec![record.pid];
        heads.extend(machine.ancestors(record.pid));
        for head in heads {
            let is_of_it = |pid: &u32| *pid == head || machine.ancestors(*pid).contains(&head);
            let family = all.iter().copied().filter(is_of_it);
            let known: Vec<_> = family.filter(knows).collect();
            if !known.is_empty() {
                return known;
            }
        }
        let job = machine.get(record.pid, |it| it.job);
        let is_mate = |pid: &u32| machine.get(*pid, |it| it.job) == job;
        all.into_iter().filter(is_mate).filter(knows).collect()
    }

    /// Those who made the file that a rename moves over a key, or their nearest relatives, if they were shown that key:
    /// their memory is the base if whoever renames knows nothing (W1).
    fn knowing_makers(&self, shown: &Shown, record: &Record, key: &str) -> Vec<u32> {
        let Did::Rename { from, to, .. } = &record.did else {
            return Vec::new();
        };
        let makers = self.files.iter().filter(|file| {
            let is_new = file.created || file.how.truncate;
            is_new && file.mount == record.mount && file.path == *from && *to == key
        });
        let knowing = makers.flat_map(|file| {
            let maker = Record {
                pid: file.opener,
                ..record.clone()
            };
            self.knowing(shown, &maker, key)
        });
        knowing.collect()
    }

    fn pids(&self, mount: usize) -> Vec<u32> {
        let mut all: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.mount == mount && record.pid > 0)
            .map(|record| record.pid)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn changed(&mut self, shown: &mut Shown, at: usize) {
        let event = self.events[at].clone();
        let By::Call(call, _) = event.by else { return };
        let Some(record) = self.records.get(call).cloned() else {
            return;
        };
        let Some(before) = &event.before else {
            self.saved(shown, &record, &event);
            return;
        };
        if event
            .after
            .as_ref()
            .is_some_and(|after| after.bytes == before.bytes)
        {
            return; // Only what travels with them.
        }
        let allowed = self.allowed(shown, call, &record, &event);
        if let Some(allowed) = &allowed {
            let is_known = allowed.contains(&before.bytes);
            self.must(is_known, Promise::NothingUnseenIsReplaced, call, || {
                format!(
                    "{} was {:?}; it may replace {allowed:?}",
                    event.key, before.bytes
                )
            });
        }
        self.saved(shown, &record, &event);
    }

    /// What a call may replace; `None` for anything.
    fn allowed(
        &self,
        shown: &Shown,
        call: usize,
        record: &Record,
        event: &Event,
    ) -> Option<Vec<Bytes>> {
        let in_window = |key: &str, from, to| -> Vec<Bytes> {
            let values = self.values_in(key, from, to);
            values
                .into_iter()
                .flatten()
                .map(|value| value.bytes.clone())
                .collect()
        };
        match &record.did {
            Did::Save { file, .. } => {
                let opened = &self.files[*file];
                if self.appends(*file) {
                    return None;
                }
                let open = &self.records[opened.opened];
                let mut allowed = Vec::new();
                if self.has_unsaved(open, &opened.path) {
                    // It was created here, and empty for whoever opened it (W12); perhaps in the place of
                    // what was moved away, which its first save replaces (W8).
                    allowed.push(Bytes::new());
                    allowed.extend(self.departed(open, &opened.path));
                }
                // Its own last save, and what others on this machine made of the same bytes.
                let own = self.events.iter().filter(|earlier| {
                    earlier.stamp < event.stamp && self.is_of_file(earlier, *file)
                });
                allowed.extend(own.filter_map(|own| Some(own.after.as_ref()?.bytes.clone())));
                if opened.how.truncate || opened.created {
                    let knew = shown.at_call.get(&opened.opened);
                    for known in knew.into_iter().flatten() {
                        match known {
                            Some(known) => allowed.extend(known.iter().cloned()),
                            // The name was moved away: what was moved is replaced.
                            None => {
                                allowed.extend(in_window(&opened.path, open.begun, open.ended));
                                allowed.extend(self.departed(open, &opened.path));
                            }
                        }
                    }
                } else {
                    let read: Vec<_> = self
                        .records
                        .iter()
                        .filter(|read| read.result == Some(Ok(())) && read.ended < event.stamp)
                        .filter_map(|read| match &read.did {
                            Did::Read {
                                file: of,
                                bytes,
                                whole: true,
                            } if of == file => Some(bytes.clone()),
                            _ => None,
                        })
                        .take(1)
                        .collect();
                    match read.is_empty() {
                        true => allowed.extend(in_window(&opened.path, open.begun, open.ended)),
                        false => allowed.extend(read),
                    }
                }
                Some(allowed)
            }
            Did::Rename { from, .. } if event.key == *from => {
                // The old name: what was moved is what was saved under the new one.
                Some(in_window(&event.key, record.begun, event.stamp))
            }
            // It keeps a part of what is there, so it is based on that.
            Did::Truncate { size: 1.., .. } => {
                Some(in_window(&event.key, record.begun, event.stamp))
            }
            Did::Open { .. } | Did::Truncate { .. } | Did::Unlink { .. } | Did::Rename { .. } => {
                let mut allowed = Vec::new();
                let knew = shown.at_call.get(&call).cloned().unwrap_or_default();
                for known in knew
                    .into_iter()
                    .chain([self.known_to(shown, record, &event.key)])
                {
                    match known {
                        Some(known) => {
                            allowed.extend(known);
                            // Whoever knows of no key makes one in the place of what was moved away (W8).
                            let knowing = self.knowing(shown, record, &event.key);
                            if knowing
                                .iter()
                                .any(|pid| shown.has_deleted(record, *pid, &event.key))
                            {
                                allowed.extend(self.departed(record, &event.key));
                            }
                        }
                        None => {
                            allowed.extend(in_window(&event.key, record.begun, event.stamp));
                            allowed.extend(self.departed(record, &event.key));
                        }
                    }
                }
                Some(allowed)
            }
            // Whatever a setxattr replaces has the same bytes; a lock is nobody's value.
            _ => None,
        }
    }

    /// What names that were moved away on this machine were, when they were.
    fn departed(&self, record: &Record, key: &str) -> Vec<Bytes> {
        let moves = self.records.iter().filter(|one| {
            one.mount == record.mount
                && one.begun < record.ended
                && matches!(&one.did, Did::Rename { from, .. } if from == key)
        });
        moves
            .flat_map(|one| self.values_in(key, one.begun, one.ended))
            .flatten()
            .map(|value| value.bytes.clone())
            .collect()
    }

    /// Whether a process changed the key.
    fn is_by(&self, event: &Event, pid: u32) -> bool {
        match event.by {
            By::Call(call, _) => self
                .records
                .get(call)
                .is_some_and(|record| record.pid == pid),
            By::Foreign => false,
        }
    }

    /// Whether a change is a save of a file; or of some file of the same name, by whoever renames it.
    fn is_of_file(&self, event: &Event, file: usize) -> bool {
        let By::Call(call, _) = event.by else {
            return false;
        };
        let mount = self.files[file].mount;
        self.records
            .get(call)
            .is_some_and(|record| match &record.did {
                Did::Save { file: of, .. } => *of == file,
                Did::Rename { from, .. } => record.mount == mount && event.key == *from,
                _ => false,
            })
    }

    /// Who saved over what it knew knows what it saved.
    fn saved(&self, shown: &mut Shown, record: &Record, event: &Event) {
        let pid = match &record.did {
            Did::Save { file, .. } => self.files[*file].opener,
            _ => record.pid,
        };
        let by = Record {
            pid,
            ..record.clone()
        };
        let replaced = event.before.as_ref().map(|value| &value.bytes);
        // Whose memory was the base knows it, and whoever saved.
        let knew = self.knowing(shown, &by, &event.key).into_iter();
        let knew: Vec<_> = knew
            .chain(self.knowing_makers(shown, record, &event.key))
            .filter(|pid| {
                let known = shown.of(&by, *pid, &event.key);
                replaced.is_none_or(|replaced| known.is_some_and(|it| it.contains(replaced)))
            })
            .collect();
        for pid in knew {
            let base = Record {
                pid,
                ..record.clone()
            };
            match &event.after {
                Some(after) => shown.add(&base, &event.key, after.bytes.clone()),
                None => shown.delete(&base, &event.key),
            }
        }
    }
}
