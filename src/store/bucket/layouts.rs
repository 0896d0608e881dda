//! All layouts that the stores of a bucket may have: a line for each.

use std::sync::Arc;

use crate::store::LayoutName;
use crate::store::konserve::{self, Konserve};
use crate::store::layout::{Layout, Role};
use crate::store::plain::Plain;

/// The layouts that a bucket's stores may have.
#[derive(Clone, Debug)]
pub struct Layouts {
    /// What a store is taken for before it is found. Its stores are opened each time, so that it must be
    /// cheap.
    first: Arc<dyn Layout>,
    others: Vec<Arc<dyn Layout>>,
}

impl Layouts {
    /// All of them, a line for each. Where two layouts use one name, the store is in the one that is
    /// earlier here.
    pub fn new(konserve: konserve::Settings) -> Self {
        Self {
            first: Arc::new(Plain),
            others: vec![Arc::new(Konserve::new(konserve))],
        }
    }

    /// And this one.
    #[must_use]
    pub fn and(mut self, layout: Arc<dyn Layout>) -> Self {
        self.others.push(layout);
        self
    }

    pub(super) fn first(&self) -> &Arc<dyn Layout> {
        &self.first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Layout>> {
        [&self.first].into_iter().chain(&self.others)
    }

    pub(super) fn of(&self, name: LayoutName) -> Option<&Arc<dyn Layout>> {
        self.iter().find(|layout| layout.name() == name)
    }

    /// The layout of a store, by the name of one of its objects after the store's, and its place among the
    /// layouts. What a crash left makes no store.
    pub(super) fn recognise(&self, after_store: &str) -> Option<(usize, LayoutName)> {
        let layouts = self.iter().map(|layout| &**layout).enumerate();
        let mut makes_it = layouts.filter(|(_, layout)| {
            let role = layout.role(after_store);
            matches!(role, Some(Role::Marker | Role::Value))
        });
        makes_it.next().map(|(at, layout)| (at, layout.name()))
    }
}

impl Default for Layouts {
    fn default() -> Self {
        Self::new(konserve::Settings::default())
    }
}
