//! A descriptor shows one version to its end, and an open shows the newest (R1, R2).

use bytes::Bytes;

use super::{Judge, Promise};
use crate::server::Stamp;
use crate::world::{Did, File, Record};

impl Judge<'_> {
    pub(super) fn reads(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            let Did::Read { file, bytes, whole } = &record.did else {
                continue;
            };
            if record.result != Some(Ok(()))
                || self.files[*file].how.write
                || self.files[*file].scratch
            {
                continue;
            }
            self.read(at, &record, *file, bytes, *whole);
        }
    }

    fn read(&mut self, at: usize, record: &Record, file: usize, bytes: &Bytes, whole: bool) {
        let of = &self.files[file];
        let open = &self.records[of.opened];
        let mut at_open: Vec<Bytes> = Vec::new();
        for value in self.values_in(&of.path, open.begun, open.ended) {
            // What is not saved yet is empty for others (W12).
            at_open.push(value.map(|value| value.bytes.clone()).unwrap_or_default());
        }
        if self.has_unsaved(open, &of.path) {
            at_open.push(Bytes::new());
        }
        // Who opened what this mount had not saved yet may go on in that save, if the mount heard of it within the
        // TTL, whatever others have saved since.
        let begun = self
            .unsaved(open, &of.path)
            .map(|file| self.records[file.opened].begun);
        let since = begun.min().unwrap_or(open.begun).min(open.begun);
        let later = self.values_in(&of.path, since, record.ended);
        let later: Vec<Bytes> = later
            .into_iter()
            .flatten()
            .map(|value| value.bytes.clone())
            .collect();
        let fits = |version: &Bytes| match whole {
            true => version == bytes,
            false => version.starts_with(bytes),
        };
        // It goes on in a version that begins with all that it has (R2).
        let follows = later
            .iter()
            .any(|version| fits(version) && at_open.iter().any(|first| version.starts_with(first)));
        let holds = at_open.iter().any(fits) || follows || self.is_moved(record, &of.path);
        let path = of.path.clone();
        self.must(holds, Promise::OneVersionIsRead, at, || {
            format!("{path} was {at_open:?} when it was opened, and {bytes:?} was read")
        });
    }

    /// The files of this name that were created on this machine before an open, and were not saved then.
    fn unsaved<'f>(&'f self, open: &'f Record, path: &'f str) -> impl Iterator<Item = &'f File> {
        let files = self.files.iter().enumerate();
        let unsaved = files.filter(move |(at, file)| {
            file.mount == open.mount
                && file.path == *path
                && file.created
                && self.records[file.opened].begun < open.ended
                && !self.is_saved_before(*at, open.begun)
        });
        unsaved.map(|(_, file)| file)
    }

    /// Whether a save of a file was over before some point.
    fn is_saved_before(&self, file: usize, stamp: Stamp) -> bool {
        self.records.iter().enumerate().any(|(call, record)| {
            matches!(record.did, Did::Save { file: of, .. } if of == file)
                && record.result == Some(Ok(()))
                && record.ended < stamp
                && self.events_of(call).next().is_some()
        })
    }

    /// Whether there may be one.
    pub(super) fn has_unsaved(&self, open: &Record, path: &str) -> bool {
        self.unsaved(open, path).next().is_some()
    }

    /// Whether names were moved on this machine, so that the path is not the key.
    fn is_moved(&self, record: &Record, path: &str) -> bool {
        path.ends_with('~')
            || self.records.iter().any(|one| {
                one.mount == record.mount
                    && one.begun < record.ended
                    && matches!(&one.did, Did::Rename { from, to, .. }
                        if (from == path && to.ends_with('~')) || (to == path && from.ends_with('~')))
            })
    }
}
