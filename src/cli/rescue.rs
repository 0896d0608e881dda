//! `etagfs rescue`: the kept bytes of refused and failed saves, and the scratch files of mounts.

use std::io;

use clap::{Args as ClapArgs, Subcommand};

use serde::Serialize;

use super::elsewhere;
use super::kv;
use super::one_line::one_line;
use super::output::{copy, note, say};
use super::report::Failure;
use super::source::StateOptions;
use crate::vfs::{Label, Odd, Record, Rescue, ScratchFiles};

/// The options of `rescue`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    state: StateOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what was kept, oldest first: rescued bytes and the scratch files of mounts.
    Ls {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print the bytes of a rescue or of a scratch file.
    Show {
        /// The id, as `ls` shows it.
        id: String,
    },
    /// Compare a rescue with the current value, as diff(1) does.
    Diff(Box<kv::Diff>),
    /// Save a rescue after all, replacing only the version that its writer knew of, and forget it. Print the new
    /// ETag; exit with 75 if somebody has saved since.
    Apply(Box<kv::Apply>),
    /// Forget rescues, including those that cannot be read. Scratch files are deleted in their mount.
    Drop {
        /// The ids, as `ls` shows them.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Forget all rescues that can be read.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// Something that is kept on this machine.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Leftover {
    /// Bytes that could not be saved.
    Rescue(Record),
    /// A file that lives only in a mount, and outlived it or not.
    Scratch(Label),
    /// What lies there and cannot be read: damaged, of a newer program, or no file.
    Unreadable {
        id: String,
        size: Option<u64>,
        why: String,
    },
}

impl Leftover {
    fn id(&self) -> &str {
        match self {
            Self::Rescue(record) => &record.id,
            Self::Scratch(label) => &label.id,
            Self::Unreadable { id, .. } => id,
        }
    }

    fn time(&self) -> &str {
        match self {
            Self::Rescue(record) => &record.time,
            Self::Scratch(label) => &label.time,
            Self::Unreadable { .. } => "",
        }
    }
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    // Where there is no directory, there are no rescues.
    let dir = match args.state.find()? {
        Some(state) => state.path().to_owned(),
        None => args.state.dir()?,
    };
    let unreadable = |error: io::Error| Failure::new(format!("{}: {error}", dir.display()));
    let rescue = Rescue::new(&dir);
    let scratch = ScratchFiles::of(&dir).map_err(unreadable)?;
    match args.command {
        Command::Ls { json } => {
            let (records, odd) = rescue.list().map_err(unreadable)?;
            let listed = ls(records, odd, &scratch, json);
            // Whoever names a directory asks for that one.
            if !args.state.is_named() {
                for line in elsewhere::rescues(&dir) {
                    note(&one_line(&format!("etagfs: {line}")));
                }
            }
            listed
        }
        Command::Show { id } => {
            let bytes = match scratch.has(&id) {
                true => scratch.open(&id),
                false => rescue
                    .open(&id)
                    .map(|file| Box::new(file) as Box<dyn io::Read>),
            };
            copy(bytes.map_err(|error| missing(&id, &error))?)
        }
        Command::Diff(args) => kv::diff(*args, &rescue),
        Command::Apply(args) => kv::apply(*args, &rescue, &dir),
        Command::Drop { ids, all: false } => drop_each(ids, &rescue, &scratch),
        Command::Drop { all: true, .. } => {
            let (records, odd) = rescue.list().map_err(unreadable)?;
            let ids = records.into_iter().map(|record| record.id);
            let dropped = drop_each(ids, &rescue, &scratch);
            for Odd { id, why, .. } in &odd {
                note(&one_line(&format!("etagfs: {id} stays: {why}")));
            }
            match odd.is_empty() {
                true => dropped,
                false => Err(Failure::new(format!(
                    "{} of them cannot be read, and stay",
                    odd.len()
                ))
                .hint("see what they hold: etagfs rescue show ID; then: etagfs rescue drop ID")),
            }
        }
    }
}

/// Lists everything, also what cannot be read.
fn ls(
    records: Vec<Record>,
    odd: Vec<Odd>,
    scratch: &ScratchFiles,
    json: bool,
) -> Result<(), Failure> {
    let labels = scratch.labels().cloned().map(Leftover::Scratch);
    let odd: Vec<_> = odd.into_iter().chain(scratch.odd().cloned()).collect();
    let mut all: Vec<_> = records
        .into_iter()
        .map(Leftover::Rescue)
        .chain(labels)
        .collect();
    all.sort_by(|one, other| one.time().cmp(other.time()));
    let count = odd.len();
    all.extend(odd.into_iter().map(|odd| Leftover::Unreadable {
        id: odd.id,
        size: odd.size,
        why: odd.why,
    }));
    let mut text = String::new();
    for kept in &all {
        text += &match json {
            true => serde_json::to_string(kept).map_err(io::Error::from)?,
            false => one_line(&line(kept, scratch)).into_owned(),
        };
        text.push('\n');
    }
    say(&text)?;
    match count {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} of them cannot be read"))
            .hint("see what they hold: etagfs rescue show ID; forget them: etagfs rescue drop ID")),
    }
}

/// Forgets each that can be forgotten, and says which cannot.
fn drop_each(
    ids: impl IntoIterator<Item = String>,
    rescue: &Rescue,
    scratch: &ScratchFiles,
) -> Result<(), Failure> {
    let mut result = Ok(());
    for id in ids {
        if let Err(failure) = forget(&id, rescue, scratch)
            && let Err(before) = std::mem::replace(&mut result, Err(failure))
        {
            // The last one is reported at the end.
            before.report();
        }
    }
    result
}

fn forget(id: &str, rescue: &Rescue, scratch: &ScratchFiles) -> Result<(), Failure> {
    let in_mount = || {
        Failure::new(format!("{id} is a scratch file of a mount"))
            .hint("delete it in the mount, by its name there")
    };
    if scratch.is_labelled(id) {
        return Err(in_mount());
    }
    let forgotten = match scratch.has(id) {
        true => scratch.forget(id),
        false => rescue.forget(id),
    };
    forgotten.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock if scratch.has(id) => in_mount(),
        io::ErrorKind::WouldBlock => Failure::new(format!("{id} is being written"))
            .hint("try again later; see: etagfs rescue ls"),
        io::ErrorKind::DirectoryNotEmpty => Failure::new(format!("{id} is no rescue: {error}"))
            .hint("see what is in it, and delete it"),
        _ => missing(id, &error),
    })
}

fn line(kept: &Leftover, scratch: &ScratchFiles) -> String {
    let id = kept.id();
    let (size, path, why) = match kept {
        Leftover::Rescue(record) => {
            let path = record.address();
            let what = match record.appended {
                true => "to be appended: ",
                false => "",
            };
            (Some(record.size), path, format!("{what}{}", record.message))
        }
        Leftover::Scratch(label) => {
            let name = format!("{}{}", label.dir, label.name);
            let path = path(&label.source, &label.store, &name);
            let why = format!(
                "scratch file of the mount at {}",
                label.mounted_at.display()
            );
            (Some(scratch.size(id)), path, why)
        }
        Leftover::Unreadable { size, why, .. } => (*size, "?".to_owned(), why.clone()),
    };
    let size = size.map_or_else(|| "?".to_owned(), |size| size.to_string());
    format!("{id}  {size:>9}  {path}  ({why})")
}

fn path(source: &str, store: &str, key: &str) -> String {
    match store {
        "flat" => format!("{source}/{key}"),
        store => format!("{source}/{store}/{key}"),
    }
}

fn missing(id: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(format!("there is no rescue {id}")).hint("list them: etagfs rescue ls")
        }
        _ => Failure::new(format!("{id}: {error}")),
    }
}
