//! What the opener of a handle was not shown yet.

use std::sync::{Mutex, PoisonError};

use super::place::Place;
use crate::model::{Precondition, Version};

/// The version of a key that a handle was opened on, until its opener is shown it by the first reading.
#[derive(Debug, Default)]
pub(super) struct Unshown(Mutex<Option<(Place, Version)>>);

impl Unshown {
    pub(super) fn new(place: Place, version: Version) -> Self {
        Self(Mutex::new(Some((place, version))))
    }

    /// It, if it was not shown yet. From now on it counts as shown.
    pub(super) fn take(&self) -> Option<(Place, Version)> {
        let unshown = self.0.lock();
        unshown.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// It counts no more, if it is of this key.
    pub(super) fn take_of(&self, place: &Place) {
        let mut unshown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unshown.take_if(|(of, _)| of == place);
    }

    /// If it is what was replaced, whoever reads it knows what took its place.
    pub(super) fn goes_on(&self, place: &Place, replaced: &Version, version: &Version) {
        let mut unshown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, shown)) = unshown.as_mut()
            && (&*of, &*shown) == (place, replaced)
        {
            shown.clone_from(version);
        }
    }

    /// The handle reads this version of the same key now, if there is one.
    pub(super) fn follows(&self, place: &Place, newest: &Precondition) {
        let mut unshown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unshown.as_ref().is_some_and(|(of, _)| of == place) {
            let newest = newest.version().cloned();
            *unshown = newest.map(|version| (place.clone(), version));
        }
    }

    /// The handle reads another version now.
    pub(super) fn put(&self, place: Place, version: Version) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, version));
    }
}
