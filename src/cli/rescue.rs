//! `etagfs rescue`: the kept bytes of refused and failed saves.

use std::io::{self, Write};

use clap::{Args as ClapArgs, Subcommand};

use super::report::Failure;
use super::source::State;
use crate::vfs::{Record, Rescue};

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
    /// List what was kept, oldest first.
    Ls {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Print the bytes of one rescue.
    Show {
        /// Its id, as `ls` shows it.
        id: String,
    },
    /// Forget rescues.
    Drop {
        /// Their ids, as `ls` shows them.
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Forget all of them.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let dir = args.state.dir()?;
    let rescue = Rescue::new(&dir, "");
    let records = rescue
        .list(true)
        .map_err(|error| Failure::new(format!("{}: {error}", dir.display())))?;
    let mut out = io::stdout().lock();
    let printed = match args.command {
        Command::Ls { json } => records.iter().try_for_each(|record| match json {
            true => writeln!(out, "{}", serde_json::to_string(record)?),
            false => writeln!(out, "{}", line(record)),
        }),
        Command::Show { id } => {
            let bytes = rescue.read(&id).map_err(|error| missing(&id, &error))?;
            out.write_all(&bytes)
        }
        Command::Drop { ids, all } => {
            let ids = match all {
                true => records.into_iter().map(|record| record.id).collect(),
                false => ids,
            };
            for id in ids {
                rescue.forget(&id).map_err(|error| missing(&id, &error))?;
            }
            Ok(())
        }
    };
    match printed {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn line(record: &Record) -> String {
    let Record {
        id,
        source,
        store,
        key,
        size,
        message,
        appended,
        ..
    } = record;
    let path = match store.as_str() {
        "flat" => format!("{source}/{key}"),
        store => format!("{source}/{store}/{key}"),
    };
    let what = match appended {
        true => "to be appended: ",
        false => "",
    };
    format!("{id}  {size:>9}  {path}  ({what}{message})")
}

fn missing(id: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(format!("there is no rescue {id}")).hint("list them: etagfs rescue ls")
        }
        _ => Failure::new(format!("{id}: {error}")),
    }
}
