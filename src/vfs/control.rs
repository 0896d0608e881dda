//! The mount's own files, below `/.etagfs` (V4): always reachable, never listed.
//!
//! What they say is in `told.rs`.

use std::fmt;

use crate::model::OWN_DIRECTORY;

/// One of the mount's own directories or files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// `/.etagfs`
    Top,
    /// `/.etagfs/status`: one JSON object.
    Status,
    /// `/.etagfs/stats`: the metrics, in the Prometheus text format.
    Stats,
    /// `/.etagfs/conflicts`: one JSON object a line.
    Conflicts,
    /// `/.etagfs/failures`: the latest failed requests, one JSON object a line.
    Failures,
    /// `/.etagfs/access`: the latest operations, one a line; it grows.
    Access,
    /// `/.etagfs/rescue`: the rescued bytes of this source.
    Rescue,
    /// A file of `/.etagfs/rescue`, by its id.
    Rescued(String),
}

/// The name of the top directory.
pub(super) const TOP: &str = OWN_DIRECTORY;

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("/.etagfs"),
            Self::Status => f.write_str("/.etagfs/status"),
            Self::Stats => f.write_str("/.etagfs/stats"),
            Self::Conflicts => f.write_str("/.etagfs/conflicts"),
            Self::Failures => f.write_str("/.etagfs/failures"),
            Self::Access => f.write_str("/.etagfs/access"),
            Self::Rescue => f.write_str("/.etagfs/rescue"),
            Self::Rescued(id) => write!(f, "/.etagfs/rescue/{id}"),
        }
    }
}

impl Control {
    /// What one of the fixed names in this directory is.
    pub(super) fn child(&self, name: &str) -> Option<Self> {
        let mut children = self.children().iter();
        let found = children.find(|(text, _)| *text == name);
        found.map(|(_, child)| child.clone())
    }

    /// The fixed names in this directory, and what each is.
    pub(super) fn children(&self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Top => &[
                ("status", Self::Status),
                ("stats", Self::Stats),
                ("conflicts", Self::Conflicts),
                ("failures", Self::Failures),
                ("access", Self::Access),
                ("rescue", Self::Rescue),
            ],
            _ => &[],
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self, Self::Top | Self::Rescue)
    }
}
