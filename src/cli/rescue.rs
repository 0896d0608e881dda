//! `etagfs rescue`: the kept bytes of refused and failed saves, and the scratch files of mounts.

use std::io;

use clap::{Args as ClapArgs, Subcommand};

use serde::Serialize;

use super::kv;
use super::output::{copy, say};
use super::report::Failure;
use super::source::State;
use crate::vfs::{Label, Record, Rescue, ScratchFiles};

/// The options of `rescue`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    state: State,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what was kept, oldest first: rescued bytes, and the scratch files of mounts.
    Ls {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print the bytes of a rescue or of a scratch file.
    Show {
        /// Its id, as `ls` shows it.
        id: String,
    },
    /// Compare a rescue with the value that is there now, as diff(1) does.
    Diff(Box<kv::Diff>),
    /// Save a rescue after all, over the version that its writer was told of and nothing newer, and
    /// forget it. Print the new ETag; exit with 75 if somebody saved since.
    Apply(Box<kv::Apply>),
    /// Forget rescues. Scratch files are deleted in their mount.
    Drop {
        /// Their ids, as `ls` shows them.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Forget all rescues.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// Something that is kept on this machine.
#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Kept {
    /// Bytes that could not be saved.
    Rescue(Record),
    /// A file that lives only in a mount, and outlived it or not.
    Scratch(Label),
}

impl Kept {
    fn id(&self) -> &str {
        match self {
            Self::Rescue(record) => &record.id,
            Self::Scratch(label) => &label.id,
        }
    }

    fn time(&self) -> &str {
        match self {
            Self::Rescue(record) => &record.time,
            Self::Scratch(label) => &label.time,
        }
    }
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let dir = args.state.dir()?;
    let unreadable = |error: io::Error| Failure::new(format!("{}: {error}", dir.display()));
    let rescue = Rescue::new(&dir, "");
    let scratch = ScratchFiles::of(&dir).map_err(unreadable)?;
    let records = || rescue.list(true).map_err(unreadable);
    match args.command {
        Command::Ls { json } => ls(records()?, &scratch, json),
        Command::Show { id } => {
            let bytes = match scratch.has(&id) {
                true => scratch.read(&id),
                false => rescue.read(&id),
            };
            copy(&bytes.map_err(|error| missing(&id, &error))?[..])
        }
        Command::Diff(args) => kv::diff(&args, &rescue),
        Command::Apply(args) => kv::apply(&args, &rescue),
        Command::Drop { ids, all } => {
            let ids = match all {
                true => records()?.into_iter().map(|record| record.id).collect(),
                false => ids,
            };
            ids.iter().try_for_each(|id| forget(id, &rescue, &scratch))
        }
    }
}

fn ls(records: Vec<Record>, scratch: &ScratchFiles, json: bool) -> Result<(), Failure> {
    let labels = scratch.labels().cloned().map(Kept::Scratch);
    let mut all: Vec<_> = records
        .into_iter()
        .map(Kept::Rescue)
        .chain(labels)
        .collect();
    all.sort_by(|one, other| one.time().cmp(other.time()));
    let mut text = String::new();
    for kept in &all {
        text += &match json {
            true => serde_json::to_string(kept).map_err(io::Error::from)?,
            false => line(kept, scratch),
        };
        text.push('\n');
    }
    say(&text)
}

fn forget(id: &str, rescue: &Rescue, scratch: &ScratchFiles) -> Result<(), Failure> {
    if scratch.has(id) {
        return Err(Failure::new(format!("{id} is a scratch file of a mount"))
            .hint("delete it in the mount, where it has its name"));
    }
    rescue.forget(id).map_err(|error| missing(id, &error))
}

fn line(kept: &Kept, scratch: &ScratchFiles) -> String {
    let id = kept.id();
    let (size, path, why) = match kept {
        Kept::Rescue(record) => {
            let path = record.address();
            let what = match record.appended {
                true => "to be appended: ",
                false => "",
            };
            (record.size, path, format!("{what}{}", record.message))
        }
        Kept::Scratch(label) => {
            let name = format!("{}{}", label.dir, label.name);
            let path = path(&label.source, &label.store, &name);
            let why = format!(
                "scratch file of the mount at {}",
                label.mounted_at.display()
            );
            (scratch.size(id), path, why)
        }
    };
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
