//! `etagfs append` and `etagfs log`: lines at the end of a value, merged with those of others (W7).
//!
//! In a konserve store a log is one of the library's own, and each line an element of it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use clap::Args as ClapArgs;
use serde_json::Map;

use super::backoff::Patience;
use super::place::{Answer, Place, Wanted};
use super::put::input;
use super::said;
use super::session::{self, Reach, Session};
use super::target::Target;
use crate::cli::output::{copy, say_json};
use crate::model::{Expect, Outcome};

/// The options of `append`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Append {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// The file that holds the lines; - is standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `log`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Log {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// Only so many lines, the last ones.
    #[arg(long, short = 'n', value_name = "COUNT")]
    lines: Option<usize>,
    /// Print one JSON object a line, with the number of the line and its text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Appends.
pub(in crate::cli) fn append(args: &Append) -> session::Outcome {
    args.reach.run(async |session| {
        let place = session.place(&args.target).await?;
        let lines = closed(&input(&args.file)?);
        if lines.is_empty() {
            return Ok(());
        }
        put_behind(&place, &lines, args.patience).await
    })
}

/// Whole lines, so that the next ones begin on a line of their own.
fn closed(lines: &Bytes) -> Bytes {
    match lines.last() {
        None | Some(b'\n') => lines.clone(),
        Some(_) => joined(lines, b"\n"),
    }
}

/// The one, and behind it the other.
pub(super) fn joined(one: &[u8], other: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(one.len() + other.len());
    bytes.extend_from_slice(one);
    bytes.extend_from_slice(other);
    bytes.freeze()
}

/// Puts lines behind a value, again and again until nobody was faster.
///
/// # Errors
/// A conflict when patience ends.
pub(super) async fn put_behind(
    place: &Place,
    lines: &Bytes,
    patience: Patience,
) -> session::Outcome {
    let mut tries = patience.begin();
    loop {
        let outcome = match place {
            // The mount merges, and any other filesystem too.
            Place::Path(path) => path.append(lines)?,
            Place::Remote(remote) => {
                let asked = Instant::now();
                let answer = place.read(&Wanted::Newest, None).await?;
                tries.measured(asked.elapsed());
                match answer {
                    Answer::Got(got) => {
                        let after = joined(&got.content.into_bytes()?, lines);
                        let expect = Expect::from(got.about.version);
                        let envelope = got.about.envelope.of(&after);
                        let saved = place.save(after, &envelope, &expect).await?;
                        saved.map(drop)
                    }
                    Answer::Absent | Answer::Other | Answer::Unchanged => {
                        remote.create_log(lines.clone()).await?.map(drop)
                    }
                }
            }
        };
        match outcome {
            Outcome::Saved(()) => return Ok(()),
            // It may be there: a line must not be there twice.
            Outcome::Unknown => return Err(place.unknown()),
            Outcome::Refused(_) if tries.another().await => {}
            Outcome::Refused(_) => return Err(place.contended(tries.made())),
        }
    }
}

/// Prints the lines.
pub(in crate::cli) fn log(args: &Log) -> session::Outcome {
    args.reach.run(async |session| print(args, session).await)
}

async fn print(args: &Log, session: Session<'_>) -> session::Outcome {
    let place = session.place(&args.target).await?;
    let Answer::Got(got) = place.read(&Wanted::Newest, None).await? else {
        return Err(place.absent());
    };
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
                said::text_or_bytes(&mut map, "text", text);
                say_json(&map.into())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_ends_with_a_line_break() {
        for (given, appended) in [("", ""), ("a", "a\n"), ("a\n", "a\n"), ("a\nb", "a\nb\n")] {
            assert_eq!(closed(&Bytes::from(given)), appended, "{given:?}");
        }
    }
}
