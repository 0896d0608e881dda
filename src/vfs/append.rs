//! Appends are merged (W7): the new base of a refused save of a writer that only appended.
//!
//! Its bytes are appended to the newest version and saved again, if that is still the newest. So no line is
//! lost, and none is stored twice, because a save in doubt is never repeated. [`Saving`] has the rule;
//! `writer.rs` knows where the appended bytes begin. The save itself is in `save.rs`.

use bytes::Bytes;

use super::open::Version as Newest;
use super::save::SaveBegun;
use super::writer::{Shape, WriterState};
use super::{Error, Vfs};
use crate::model::saving::{Saving, Step};
use crate::model::{Precondition, Version};
use crate::store::Metadata;

impl Vfs {
    /// Appends the appended bytes to the newest version, and returns that version: `own`, if this mount saved
    /// it last and still has it, else what the store has. That takes one request, or a few for a large value.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(super) async fn rebase(
        &self,
        begun: &SaveBegun<'_>,
        state: &mut WriterState,
        own: Option<&Version>,
    ) -> Result<Precondition, Error> {
        let (newest, bytes, metadata) = self.to_append_to(begun, own).await?;
        let appended = state.appended().map_err(Error::of_disk)?;
        state
            .put_behind(bytes, &appended, &self.room)
            .map_err(Error::of_disk)?;
        state.metadata = metadata;
        Ok(newest)
    }

    /// The appended bytes follow another version now. Returns the next step of the save.
    ///
    /// # Errors
    /// [`Error::BadHandle`] when the file is unknown.
    pub(super) fn rebased(
        &self,
        begun: &SaveBegun<'_>,
        state: &mut WriterState,
        saving: &mut Saving,
        newest: Precondition,
    ) -> Result<Step, Error> {
        let ino = begun.writer.ino();
        let step = {
            let mut table = self.table();
            let file = table.node_mut(ino)?.shared_mut();
            state.rebased(file, saving, newest)
        };
        let size = state.content.len() as u64;
        let shape = Shape::new(size, std::time::SystemTime::now());
        let shape = state.draft.is_dirty().then_some(shape);
        begun.writer.reshape(shape);
        let place = (begun.store.name(), begun.key.clone());
        begun.writer.reads_behind(&place, saving.base());
        // The kernel remembers the size that the file had with our bytes alone.
        self.forget_in_kernel(ino);
        self.telemetry.metrics.merged_append();
        tracing::debug!(op = begun.op, store = %begun.store.name(), key = %begun.key, base = %saving.base(), "appending to what others saved");
        Ok(step)
    }

    async fn to_append_to(
        &self,
        begun: &SaveBegun<'_>,
        own: Option<&Version>,
    ) -> Result<(Precondition, Bytes, Metadata), Error> {
        let (ino, store, key) = (begun.writer.ino(), begun.store, begun.key);
        let cached = self.table().value(&(store.name(), key.clone()));
        if let Some(value) = cached
            && own == Some(&value.version)
        {
            let expect = Precondition::Is(value.version.clone());
            return Ok((expect, value.bytes.clone(), value.metadata.clone()));
        }
        loop {
            match self.ask_newest(ino, store, key).await {
                Ok(Newest::Whole(value)) => {
                    let expect = Precondition::Is(value.version.clone());
                    return Ok((expect, value.bytes.clone(), value.metadata.clone()));
                }
                Ok(Newest::Large(large)) => match self.read_whole(store, key, *large).await {
                    // Another writer saved while it was read.
                    Err(Error::Stale(_)) => {}
                    value => {
                        let value = value?;
                        let expect = Precondition::Is(value.version.clone());
                        return Ok((expect, value.bytes.clone(), value.metadata.clone()));
                    }
                },
                Err(Error::NotFound(_)) => {
                    let fresh = self.new_metadata(store, key);
                    return Ok((Precondition::Absent, Bytes::new(), fresh));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
