//! What the mount's own files say (V4).
//!
//! Each is made up when it is opened and says what was true then, but for the access log, which grows
//! under its readers. They make no request, so that they answer even when the store does not.

use std::io;
use std::sync::Mutex;
use std::time::SystemTime;

use serde_json::json;

use super::attr::{Attr, FileKind};
use super::content::Content;
use super::control::{Control, TOP};
use super::handles::Handle;
use super::items::{DirItem, Item};
use super::keeper::{time_of, warning};
use super::table::Kind;
use super::{Error, Source, Vfs};
use crate::model::{FileName, Ino};
use crate::store::StoreName;

impl Vfs {
    /// Which of the mount's own a name in a directory is, if it can be one there at all.
    ///
    /// # Errors
    /// [`Error::NotFound`] in a directory of the mount's own that has no such name.
    pub(super) fn find_control(
        &self,
        parent: &Kind,
        parent_is_root: bool,
        name: &FileName,
    ) -> Result<Option<Control>, Error> {
        if parent_is_root && name.as_str() == TOP {
            return Ok(Some(Control::Top));
        }
        let Kind::Control(dir) = parent else {
            return Ok(None);
        };
        match self.control_child(dir, name) {
            Some(control) => Ok(Some(control)),
            None => Err(Error::NotFound(format!("{dir}/{name}"))),
        }
    }

    /// What a name in one of the mount's own directories is.
    pub(super) fn control_child(&self, dir: &Control, name: &FileName) -> Option<Control> {
        match dir {
            Control::Rescue => {
                let found = self.keeper.get(name.as_str());
                found.map(|record| Control::Rescued(record.id.clone()))
            }
            _ => dir.child(name.as_str()),
        }
    }

    /// The names in one of the mount's own directories.
    pub(super) fn control_items(&self, dir: &Control) -> Vec<DirItem> {
        let item = |text: &str, item| {
            let name = FileName::new(text.as_ref()).ok()?;
            Some(DirItem { name, item })
        };
        match dir {
            Control::Rescue => {
                let records = self.keeper.list();
                let items = records.iter();
                items
                    .filter_map(|record| item(&record.id, Item::Control))
                    .collect()
            }
            _ => {
                let items = dir.children().iter();
                items
                    .filter_map(|(text, child)| match child.is_dir() {
                        true => item(text, Item::Dir),
                        false => item(text, Item::Control),
                    })
                    .collect()
            }
        }
    }

    /// Whether the kernel knows the mount's own directory by name.
    pub fn is_within_reach(&self) -> bool {
        let top = FileName::new(TOP.as_ref()).ok();
        top.is_some_and(|top| self.table().find(Ino::ROOT, &top).is_some())
    }

    pub(super) fn control_attr(&self, ino: Ino, control: &Control, since: SystemTime) -> Attr {
        let kind = match control.is_dir() {
            true => FileKind::Dir,
            false => FileKind::Control,
        };
        let (size, modified) = match control {
            Control::Rescued(id) => match self.keeper.get(id) {
                Some(record) => (record.size, time_of(&record).unwrap_or(since)),
                None => (0, since),
            },
            Control::Access => return self.access_attr(ino, since),
            // Made up when it is opened; readers go on to the end, whatever the size says.
            _ => (0, since),
        };
        Attr {
            size,
            modified,
            ..self.fixed_attr(ino, kind, since)
        }
    }

    /// The access log is a file that grows: `tail -f` reads on when its size has changed.
    fn access_attr(&self, ino: Ino, since: SystemTime) -> Attr {
        let (size, changed) = self.telemetry.access.extent();
        Attr {
            size,
            modified: changed.unwrap_or(since),
            ..self.fixed_attr(ino, FileKind::Control, since)
        }
    }

    /// Opens one of the mount's own files.
    pub(super) fn control_handle(&self, control: &Control) -> Result<Handle, Error> {
        match control {
            Control::Access => Ok(Handle::Access(Mutex::default())),
            _ => self.control_content(control).map(Handle::Fixed),
        }
    }

    /// The content of one of the mount's own files now.
    fn control_content(&self, control: &Control) -> Result<Content, Error> {
        let text = match control {
            Control::Top | Control::Rescue => return Err(Error::IsDir(control.to_string())),
            Control::Status => self.status(),
            Control::Stats => self.metrics(),
            Control::Conflicts => self.journal.conflicts(),
            Control::Failures => self.telemetry.failures.lines(),
            Control::Access => String::new(),
            Control::Rescued(id) => {
                return self.keeper.open(id).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Error::NotFound(control.to_string()),
                    _ => Error::failed(format!("{control}: {error}")),
                });
            }
        };
        Ok(Content::Shared(text.into()))
    }

    fn status(&self) -> String {
        let sizes = self.table().sizes();
        let shown = &sizes.shown;
        let scratch: Vec<_> = self
            .scratch_dir()
            .all()
            .map(|((store, dir), name, scratch)| {
                json!({
                    "store": store.to_string(),
                    "name": format!("{}{name}", dir.prefix()),
                    "size": scratch.shape().map_or(0, |(size, _)| size),
                })
            })
            .collect();
        let away: Vec<_> = self
            .table()
            .due(None)
            .into_iter()
            .map(|due| json!({ "store": due.key.0.to_string(), "key": due.key.1.to_string() }))
            .collect();
        let rescues = self.keeper.levels();
        let under_way: Vec<_> = match &self.source {
            Source::Bucket(catalog) => catalog.progress(),
            Source::Store(store) => store
                .progress()
                .map(|(done, total)| (store.name(), done, total))
                .into_iter()
                .collect(),
        }
        .into_iter()
        .map(|(store, done, total)| json!({ "store": store.to_string(), "looked_at": done, "of": total }))
        .collect();
        let waiting: serde_json::Map<_, _> = (self.telemetry.metrics.places_wanted())
            .into_iter()
            .map(|(kind, waiting)| (kind.to_owned(), waiting.into()))
            .collect();
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "source": match &self.source {
                Source::Store(store) if let StoreName::Id(id) = store.name() => format!("{}/{id}", self.label),
                _ => self.label.clone(),
            },
            "endpoint": self.options.server.endpoint,
            "mounted_at": self.options.mounted_at.to_string_lossy(),
            "state_directory": self.state_dir.as_ref().map(|dir| dir.to_string_lossy()),
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "read_only": self.options.read_only,
            "ttl_seconds": self.options.ttl.as_secs_f64(),
            "inline_limit_bytes": self.options.inline_limit,
            "inodes": sizes.inodes,
            "open_handles": sizes.handles,
            "cached_bytes": sizes.values.1,
            "shown": {
                "readings": shown.readings,
                "bytes": shown.bytes,
                "limit_bytes": self.options.shown_memory,
                "forgotten": shown.forgotten,
            },
            "scratch": scratch,
            "scratch_patterns": self.options.scratch.patterns().collect::<Vec<_>>(),
            "moved_away": away,
            "rescues": rescues.disk.0 + rescues.memory.0,
            "rescue_bytes": rescues.disk.1 + rescues.memory.1,
            "rescues_in_memory": rescues.memory.0,
            "rescue_bytes_in_memory": rescues.memory.1,
            "rescues_unreadable": rescues.unreadable,
            "rescues_warning": warning(&rescues),
            "waiting_for_a_place": waiting,
            "listings": under_way,
            "conflicts": self.telemetry.metrics.counts().conflicts,
        });
        format!("{status:#}\n")
    }
}
