//! What the writers of one file share: what this mount did to the file, and what each writer must learn of it
//! before it saves.
//!
//! A busy writer is never interrupted: changes are noted in the [`File`], and the writer catches up when its
//! own save begins. So a rename, a delete or a change of attributes waits for no writer. The rule of one
//! writer is [`Draft`]; a save as a whole is [`super::Saving`].

use super::{Draft, Precondition, Version};

/// A file kept its bytes and got another version: it was renamed, its metadata was changed, or it was saved
/// empty while others had the new file open. Drafts that were based on the old version are now based on the
/// new one. `T` is what travels with a value: its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Successor<T> {
    /// The version of the bytes before.
    pub from: Precondition,
    /// Their version now.
    pub to: Version,
    /// The metadata now, if they changed.
    pub metadata: Option<T>,
}

/// One file of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File<T> {
    unsaved: bool,
    removed: bool,
    /// How many versions this mount saved over others, and the last of them.
    saves: u64,
    last_saved: Option<Version>,
    successors: Vec<Successor<T>>,
}

impl<T> Default for File<T> {
    fn default() -> Self {
        Self {
            unsaved: false,
            removed: false,
            saves: 0,
            last_saved: None,
            successors: Vec::new(),
        }
    }
}

/// How much a writer has learned of what happened to its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CaughtUp {
    saves: u64,
    successors: usize,
}

impl<T: Clone> File<T> {
    /// Whether this mount created it and has not saved it yet, so that no other mount can see it.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether this mount deleted it: later writes are lost.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether this version is the last one that this mount saved.
    pub fn was_saved_as(&self, version: &Version) -> bool {
        self.last_saved.as_ref() == Some(version)
    }

    /// This mount creates it.
    pub fn create(&mut self) {
        self.unsaved = true;
    }

    /// It is no longer a file that only this mount has: another machine's file replaced it, or it was never
    /// created.
    pub fn give_up(&mut self) {
        self.unsaved = false;
    }

    /// This mount deletes it.
    pub fn remove(&mut self) {
        self.removed = true;
    }

    /// This mount saved a version over `replaced`. A save that changed nothing overtakes no writer: it may
    /// not even have been sent.
    pub fn save(&mut self, replaced: &Precondition, version: &Version) {
        self.unsaved = false;
        if replaced.version() != Some(version) {
            self.saves += 1;
            self.last_saved = Some(version.clone());
        }
    }

    /// Its bytes have another version now. Writers must catch up only if it is open.
    pub fn goes_on_as(&mut self, successor: Successor<T>, is_open: bool) {
        // The bytes are this mount's own if they were before.
        if self.last_saved.is_some() && self.last_saved.as_ref() == successor.from.version() {
            self.last_saved = Some(successor.to.clone());
        }
        if is_open {
            self.successors.push(successor);
        }
    }

    /// Its last handle is closed: no writer has to catch up.
    pub fn forget_successors(&mut self) {
        self.successors.clear();
    }

    /// The starting point of a writer that opens it now.
    pub fn now(&self) -> CaughtUp {
        CaughtUp {
            saves: self.saves,
            successors: self.successors.len(),
        }
    }

    /// A writer learns what happened to the file since it last caught up. Returns the metadata of its bytes,
    /// if they changed.
    pub fn catch_up(&self, draft: &mut Draft, writer: &mut CaughtUp) -> Option<T> {
        let mut metadata = None;
        for successor in self.successors.iter().skip(writer.successors) {
            if *draft.base() == successor.from {
                draft.moved(&successor.from, successor.to.clone());
                metadata = successor.metadata.clone().or(metadata);
            }
        }
        writer.successors = self.successors.len();
        if self.removed {
            draft.drop_unlinked();
        }
        metadata
    }

    /// The version that this mount itself saved over the base of a draft, if any: then a save of that draft
    /// is lost without a request (W12).
    pub fn overtaken(&self, draft: &Draft, writer: &CaughtUp) -> Option<&Version> {
        let last = self.last_saved.as_ref()?;
        let is_newer = self.saves > writer.saves;
        (is_newer && draft.base().version() != Some(last)).then_some(last)
    }

    /// The bytes of a writer equal or continue the newest version again.
    pub fn rebased(&mut self, base: &Precondition, writer: &mut CaughtUp) {
        writer.saves = self.saves;
        self.unsaved &= *base == Precondition::Absent;
    }

    /// A writer saved the file: its own save does not overtake it.
    pub fn saved_by(&self, writer: &mut CaughtUp) {
        writer.saves = self.saves;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SaveError, SaveReason};

    fn v(n: u32) -> Version {
        Version::new(format!("\"{n}\""))
    }

    fn is(n: u32) -> Precondition {
        Precondition::Is(v(n))
    }

    fn successor(from: u32, to: u32, metadata: Option<&'static str>) -> Successor<&'static str> {
        Successor {
            from: is(from),
            to: v(to),
            metadata,
        }
    }

    #[test]
    fn a_writer_follows_its_bytes_through_renames_and_attributes() {
        let mut file = File::default();
        let (mut draft, mut writer) = (Draft::editing(v(1)), file.now());
        file.goes_on_as(successor(1, 2, None), true);
        file.goes_on_as(successor(2, 3, Some("type")), true);
        assert_eq!(file.catch_up(&mut draft, &mut writer), Some("type"));
        assert_eq!(*draft.base(), is(3));
        assert_eq!(file.catch_up(&mut draft, &mut writer), None);
    }

    #[test]
    fn a_writer_of_older_bytes_is_not_carried_along() {
        let mut file = File::default();
        let (mut draft, mut writer) = (Draft::editing(v(1)), file.now());
        file.goes_on_as(successor(2, 3, Some("type")), true);
        assert_eq!(file.catch_up(&mut draft, &mut writer), None);
        assert_eq!(*draft.base(), is(1));
    }

    #[test]
    fn a_save_of_this_mount_overtakes_every_other_writer_but_one_that_is_based_on_it() {
        let mut file = File::<()>::default();
        let (older, before) = (Draft::editing(v(1)), file.now());
        file.save(&is(1), &v(2));
        assert_eq!(file.overtaken(&older, &before), Some(&v(2)));
        assert_eq!(file.overtaken(&Draft::editing(v(2)), &before), None);
        let mut own = before;
        file.saved_by(&mut own);
        assert_eq!(file.overtaken(&older, &own), None);
    }

    #[test]
    fn a_save_that_changed_nothing_overtakes_nobody() {
        let mut file = File::<()>::default();
        let (draft, writer) = (Draft::editing(v(1)), file.now());
        file.save(&is(1), &v(1));
        assert_eq!(file.overtaken(&draft, &writer), None);
    }

    #[test]
    fn who_writes_a_deleted_file_writes_in_vain() {
        let mut file = File::<()>::default();
        let (mut draft, mut writer) = (Draft::editing(v(1)), file.now());
        draft.edit().unwrap();
        file.remove();
        file.catch_up(&mut draft, &mut writer);
        assert_eq!(draft.begin_save(SaveReason::Flush), Ok(None::<_>));
        assert_ne!(
            draft.begin_save(SaveReason::Flush),
            Err(SaveError::Conflict)
        );
    }
}
