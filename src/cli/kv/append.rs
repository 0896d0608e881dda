//! `etagfs append` and `etagfs log`: lines at the end of a value, merged with those of others (W7).
//!
//! In a konserve store a log is one of the library's own, and each line an element of it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde_json::Map;

use super::metadata_args;
use super::patience::RetryOptions;
use super::put::input;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::{copy, say_json};
use crate::client::{self, Client};

/// The options of `append`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Append {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// The file that holds the lines; - is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `log`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Log {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// Print only this many lines, the last ones.
    #[arg(long, short = 'n', value_name = "COUNT")]
    lines: Option<usize>,
    /// Print one JSON object a line, with the number of the line and its text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Appends.
pub(in crate::cli) fn append(args: &Append) -> CommandResult {
    args.reach.run(async |client| {
        let location = client.location(args.target.address()?).await?;
        let lines = input(&args.file)?;
        Ok(client::append(&*location, &lines, args.patience.retry()).await?)
    })
}

/// Prints the lines.
pub(in crate::cli) fn log(args: &Log) -> CommandResult {
    args.reach.run(async |client| print(args, client).await)
}

async fn print(args: &Log, client: Client) -> CommandResult {
    let location = client.location(args.target.address()?).await?;
    let got = client::get(&*location).await?;
    if args.lines.is_none() && !args.json {
        return copy(got.content.reader()?);
    }
    let most = args.lines.unwrap_or(usize::MAX);
    let mut last = VecDeque::new();
    let mut lines = BufReader::new(got.content.reader()?);
    for number in 1_u64.. {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        last.push_back((number, line));
        if last.len() > most {
            last.pop_front();
        }
    }
    for (number, line) in last {
        match args.json {
            false => copy(&line[..])?,
            true => {
                let mut map = Map::new();
                map.insert("line".to_owned(), number.into());
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                metadata_args::text_or_bytes(&mut map, "text", text);
                say_json(&map.into())?;
            }
        }
    }
    Ok(())
}
