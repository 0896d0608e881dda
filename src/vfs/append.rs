//! Appends merge (W7): what a refused save of somebody who only appended is based on next.
//!
//! Its bytes are put behind those of the newest version and saved again, under the condition that
//! this is still the newest; so no line is lost, and none is there twice, since a save of unknown
//! fate is never repeated. [`Draft::rebase`](crate::model::Draft::rebase) is the rule; what was
//! appended is told apart by its place, see `handles.rs`. The save itself is in `save.rs`.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::handles::{Shape, WriterState};
use super::loss::Kept;
use super::open::Version;
use super::save::SaveBegun;
use super::{Error, Vfs};
use crate::model::{self, Expect, Outcome, Save, Trigger};
use crate::store::Envelope;

/// No other try begins when the first one is so long ago: with the time that the last one may take,
/// the save still ends before its caller is told that there was no answer (A1).
const PATIENCE: Duration = Duration::from_secs(5);

/// The mean of the first pause is half of this, and it doubles to half of the other: those who were
/// refused together do not come back together.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(800));

/// The tries of one save.
struct Tries {
    left: u32,
    until: Instant,
    pause: Duration,
}

impl Tries {
    fn new(times: u32) -> Self {
        Self {
            left: times,
            until: Instant::now() + PATIENCE,
            pause: PAUSE.0,
        }
    }

    /// Waits a little; whether there may be another one.
    async fn another(&mut self) -> bool {
        let pause = self.pause.mul_f64(fastrand::f64());
        if self.left == 0 || Instant::now() + pause > self.until {
            return false;
        }
        sleep(pause).await;
        self.left -= 1;
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}

impl Vfs {
    /// Carries a save to the store; that of an appender again and again, behind what others saved.
    /// `None` when there turned out to be nothing to save.
    ///
    /// # Errors
    /// Any [`Error`]; the bytes then certainly were not saved.
    pub(super) async fn send(
        &self,
        begun: &mut SaveBegun<'_>,
        state: &mut WriterState,
        mut save: Save,
        trigger: Trigger,
    ) -> Result<Option<Outcome>, Error> {
        let (store, key) = (begun.store, begun.key);
        let mut tries = Tries::new(self.options.append_retries);
        // The bytes of one large draft are in memory at a time.
        let _alone = match state.content.is_large() {
            true => Some(self.large_save.lock().await),
            false => None,
        };
        loop {
            let bytes = state.content.share().map_err(Error::of_disk)?;
            let kept = match state.draft.only_appends() {
                true => Kept::appended(bytes.slice(state.appended_from.min(bytes.len())..)),
                false => Kept::whole(bytes.clone()),
            };
            begun
                .writer
                .set_under_way(Some((save.expect.clone(), kept)));
            state.envelope = state.envelope.of(&bytes);
            let outcome = store.put(key, bytes, &state.envelope, &save.expect).await;
            begun.writer.set_under_way(None);
            let outcome = outcome?;
            let again = outcome.is_refused() && state.draft.only_appends();
            if !again || !tries.another().await {
                return Ok(Some(outcome));
            }
            self.rebase(begun, state, None).await?;
            match state.draft.begin_save(trigger) {
                Ok(Some(next)) => save = next,
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(Outcome::Refused(None))),
            }
        }
    }

    /// Bases what was appended on the newest version: on `own`, if that is what this mount saved
    /// last and has at hand, else on what the store says; one request then, or a few for a large
    /// value.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(super) async fn rebase(
        &self,
        begun: &mut SaveBegun<'_>,
        state: &mut WriterState,
        own: Option<&model::Version>,
    ) -> Result<(), Error> {
        let (expect, bytes, envelope) = self.to_append_to(begun, own).await?;
        let appended = state.appended().map_err(Error::of_disk)?;
        state
            .put_behind(bytes, &appended, &self.room)
            .map_err(Error::of_disk)?;
        state
            .draft
            .rebase(expect)
            .map_err(|error| Error::of_save(error, &begun.store.address(begun.key), ""))?;
        begun.base = state.draft.base().clone();
        state.envelope = envelope;
        let shape = state.draft.is_dirty().then(|| Shape {
            size: state.content.len() as u64,
            modified: std::time::SystemTime::now(),
        });
        begun.writer.reshape(shape);
        if let Ok(node) = self.table().node_mut(begun.writer.ino) {
            state.saves_seen = node.saves;
            node.unsaved &= begun.base == Expect::Absent;
        }
        // It remembers the size that the file had with our bytes alone.
        self.forget_in_kernel(begun.writer.ino);
        self.telemetry.metrics.merged_append();
        tracing::debug!(op = begun.op, store = %begun.store.name(), key = %begun.key, base = %begun.base, "appending to what others saved");
        Ok(())
    }

    async fn to_append_to(
        &self,
        begun: &SaveBegun<'_>,
        own: Option<&model::Version>,
    ) -> Result<(Expect, Bytes, Envelope), Error> {
        let (ino, store, key) = (begun.writer.ino, begun.store, begun.key);
        let cached = self.table().values.get(&(store.name(), key.clone()));
        if let Some(value) = cached
            && own == Some(&value.version)
        {
            let expect = Expect::Is(value.version.clone());
            return Ok((expect, value.bytes.clone(), value.envelope.clone()));
        }
        loop {
            match self.ask_newest(ino, store, key).await {
                Ok(Version::Whole(value)) => {
                    let expect = Expect::Is(value.version.clone());
                    return Ok((expect, value.bytes.clone(), value.envelope.clone()));
                }
                Ok(Version::Large(large)) => match self.read_whole(store, key, *large).await {
                    // Somebody saved while it was read.
                    Err(Error::Stale(_)) => {}
                    value => {
                        let value = value?;
                        let expect = Expect::Is(value.version.clone());
                        return Ok((expect, value.bytes.clone(), value.envelope.clone()));
                    }
                },
                Err(Error::NotFound(_)) => {
                    let fresh = self.new_envelope(store, key);
                    return Ok((Expect::Absent, Bytes::new(), fresh));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
