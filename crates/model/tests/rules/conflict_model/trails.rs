//! Trails in a world: what the real [`Trail`] makes of the history, and what it cannot show.

use etagfs_model::{Precondition, Trail, Version};

use super::world::{By, SaveId, Scenario, World};

impl World {
    /// The event whose trail a save goes on: its writer was shown the version there. The oldest one, for
    /// the newest may have the same version, and was not shown.
    pub(super) fn shown_at(&self, s: &Scenario, expect: &Precondition) -> Option<usize> {
        let version = expect.version()?;
        let mut events = 0..self.history.len();
        events.find(|event| self.state_at(s, *event).version() == Some(version))
    }

    /// What lies on the key after an event.
    fn trail(&self, s: &Scenario, event: usize) -> Trail {
        let (By::Save(id), Precondition::Is(version)) =
            (self.history[event].by, self.state_at(s, event))
        else {
            return Trail::default();
        };
        let before = self.history[event].after;
        let before = before.map_or_else(Trail::default, |event| self.trail(s, event));
        Trail::after(id.put_id(), &version, &before)
    }

    /// The version that a save made, if the key or its trail tells.
    pub(super) fn made(&self, s: &Scenario, id: SaveId) -> Option<Version> {
        self.trail(s, self.now()).version_of(id.put_id()).cloned()
    }

    /// Whether nothing in the store can show that a save happened: after it came one of an outsider,
    /// who keeps no trail, or a delete; or it was a delete itself.
    pub(super) fn is_hidden(&self, id: SaveId) -> bool {
        let landed = self
            .history
            .iter()
            .rposition(|event| event.by == By::Save(id));
        landed.is_some_and(|at| {
            let mut later = self.history[at + 1..].iter();
            self.history[at].put.is_none()
                || later.any(|event| event.by == By::Outsider || event.put.is_none())
        })
    }
}
