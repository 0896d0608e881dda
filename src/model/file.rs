//! One file of a mount, as its writers share it: what this mount did to it, and what each writer has
//! still to learn of that before it saves.
//!
//! A writer is never told while it is busy: what happens is noted in the [`File`], and the writer
//! catches up when its own save begins. So whoever renames, deletes or describes a file waits for no
//! writer. The rule of one writer is [`Draft`]; a save as a whole is [`super::Saving`].

use super::{Draft, Precondition, Version};

/// A file kept its bytes and got another version: it was renamed, its metadata was changed, or it was
/// saved empty while others had the new file open. What was based on the old version goes on, based on
/// the new one. `T` travels with a value, as its metadata do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Successor<T> {
    /// What the bytes were known as.
    pub from: Precondition,
    /// What they are now.
    pub to: Version,
    /// What travels with them now, if that is what changed.
    pub metadata: Option<T>,
}

/// One file of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File<T> {
    unsaved: bool,
    removed: bool,
    /// How many versions this mount put in the place of others, and the last of them.
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

/// How far a writer has learned what became of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CaughtUp {
    saves: u64,
    successors: usize,
}

impl<T: Clone> File<T> {
    /// Whether this mount created it and has not saved it yet, so that nobody else can see it.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Whether this mount deleted it: whoever still writes it, writes in vain.
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

    /// It is no longer a file that only this mount knows: another machine's is in its place, or it never
    /// was.
    pub fn give_up(&mut self) {
        self.unsaved = false;
    }

    /// This mount deletes it.
    pub fn remove(&mut self) {
        self.removed = true;
    }

    /// This mount put a version in the place of what was `replaced`. A save that changed nothing
    /// overtakes nobody: it may not even have been sent.
    pub fn save(&mut self, replaced: &Precondition, version: &Version) {
        self.unsaved = false;
        if replaced.version() != Some(version) {
            self.saves += 1;
            self.last_saved = Some(version.clone());
        }
    }

    /// Its bytes have another version now. Only if it is open is there anybody who has to catch up.
    pub fn goes_on_as(&mut self, successor: Successor<T>, is_open: bool) {
        // The bytes are this mount's own if they were before.
        if self.last_saved.is_some() && self.last_saved.as_ref() == successor.from.version() {
            self.last_saved = Some(successor.to.clone());
        }
        if is_open {
            self.successors.push(successor);
        }
    }

    /// Its last handle is closed: there is nobody who has to catch up.
    pub fn forget_successors(&mut self) {
        self.successors.clear();
    }

    /// Where a writer stands that opens it now.
    pub fn now(&self) -> CaughtUp {
        CaughtUp {
            saves: self.saves,
            successors: self.successors.len(),
        }
    }

    /// A writer learns what became of the file since it last looked; what travels with its bytes now, if
    /// that changed.
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

    /// The version that this mount itself saved over the base of a draft, if it did: then a save of
    /// that draft is lost without asking the store (W12).
    pub fn overtaken(&self, draft: &Draft, writer: &CaughtUp) -> Option<&Version> {
        let last = self.last_saved.as_ref()?;
        let is_newer = self.saves > writer.saves;
        (is_newer && draft.base().version() != Some(last)).then_some(last)
    }

    /// The bytes of a writer are those of the newest version again, or stand behind them.
    pub fn rebased(&mut self, base: &Precondition, writer: &mut CaughtUp) {
        writer.saves = self.saves;
        self.unsaved &= *base == Precondition::Absent;
    }

    /// A writer saved it: its own save does not overtake it.
    pub fn saved_by(&self, writer: &mut CaughtUp) {
        writer.saves = self.saves;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SaveError, SaveReason};

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
