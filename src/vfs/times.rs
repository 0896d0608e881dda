//! When versions were written: the time that a file shows (V5). The rule is in `crates/model/src/times.rs`; the clock
//! is here.

use std::sync::PoisonError;
use std::time::SystemTime;

use super::Vfs;
use super::place::Place;
use crate::model::Version;
use crate::store::{Entry, StoreName};

impl Vfs {
    /// This mount saved a version just now. Returns the moment by which that is remembered.
    pub(super) fn saved_now(&self, place: &Place, version: &Version) -> SystemTime {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.saved(place, version, SystemTime::now())
    }

    /// The time that a version of a file shows.
    pub(super) fn shown_time(&self, store: StoreName, entry: &Entry) -> SystemTime {
        let place = (store, entry.key.clone());
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.shown(&place, &entry.version, entry.modified, SystemTime::now())
    }
}
