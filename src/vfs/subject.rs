//! The subject of an operation, in the words of the log: the store, and the key as its owner calls it.
//!
//! It asks only the table, once for each operation, before that begins: a name may be gone when it ends.
//! `mount` uses it.

use std::ffi::OsStr;

use super::Vfs;
use super::control::{self, Control};
use super::table::{Kind, Table};
use crate::model::{FileName, Ino};
use crate::store::StoreName;
use crate::telemetry::Subject;

impl Vfs {
    /// The subject of an operation on an inode; with a name, on that name in that directory.
    pub fn subject(&self, ino: Ino, name: Option<&OsStr>) -> Subject {
        let mut subject = {
            let table = self.table();
            let child = name.and_then(|name| known_child(&table, ino, name));
            match child {
                // A key may have more than one name (of files, of objects), but is one key.
                Some(child) => return of(&table, child),
                None => of(&table, ino),
            }
        };
        let Some(name) = name else { return subject };
        if ino == Ino::ROOT && name == control::TOP {
            return own(control::TOP.to_owned());
        }
        if subject.store.is_none() && !subject.is_own {
            // A name at the root of a bucket is a store, if it is anything.
            subject.key = name.to_string_lossy().into_owned();
            return subject;
        }
        if !subject.key.is_empty() && !subject.key.ends_with('/') {
            subject.key.push('/');
        }
        subject.key.push_str(&name.to_string_lossy());
        subject
    }
}

/// The inode of a name, if it is that of a key.
fn known_child(table: &Table, parent: Ino, name: &OsStr) -> Option<Ino> {
    let (child, node) = table.child(parent, &FileName::new(name).ok()?)?;
    node.is_key().then_some(child)
}

fn of(table: &Table, ino: Ino) -> Subject {
    match table.kind(ino) {
        Some(Kind::File(store, key)) => inside(store.name(), &key.to_string()),
        Some(Kind::Dir(store, dir)) => inside(store.name(), dir.prefix()),
        Some(Kind::Control(control)) => own(of_own(control)),
        Some(Kind::Scratch(_)) => match table.name(ino) {
            Some((parent, name)) => match table.kind(parent) {
                Some(Kind::Dir(store, dir)) => {
                    inside(store.name(), &format!("{}{name}", dir.prefix()))
                }
                _ => Subject::default(),
            },
            None => Subject::default(),
        },
        Some(Kind::Stores) | None => Subject::default(),
    }
}

fn inside(store: StoreName, key: &str) -> Subject {
    Subject {
        is_flat: matches!(store, StoreName::Flat),
        store: Some(store.to_string()),
        key: key.to_owned(),
        is_own: false,
    }
}

fn own(name: String) -> Subject {
    Subject {
        key: name,
        is_own: true,
        ..Subject::default()
    }
}

fn of_own(control: &Control) -> String {
    control.to_string().trim_start_matches('/').to_owned()
}
