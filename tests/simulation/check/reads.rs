//! A descriptor shows one version to its end, and an open shows the newest (R1, R2).

use bytes::Bytes;

use super::{Judge, Promise};
use crate::world::{Did, Record};

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
        let later = self.values_in(&of.path, open.begun, record.ended);
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

    /// Whether a file of this name was created on this machine and not saved by then.
    pub(super) fn has_unsaved(&self, open: &Record, path: &str) -> bool {
        self.files.iter().any(|file| {
            file.mount == open.mount
                && file.path == *path
                && file.created
                && self.records[file.opened].begun < open.ended
        })
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
