//! `etagfs ls`: stores, keys, and what keys begin with.

use std::os::unix::ffi::OsStrExt;

use clap::Args as ClapArgs;
use serde_json::{Map, Value};

use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::one_line::one_line;
use crate::cli::output::say_bytes;
use crate::cli::report::Failure;
use crate::client::{List, Listed, ListedKind};
use crate::model::Version;

/// The options of `ls`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX] for the stores, s3://BUCKET[/PREFIX]/UUID[/DIR] for the keys of one, or
    /// a path.
    target: Target,
    /// All keys below, not only the next level.
    #[arg(long, short = 'R')]
    recursive: bool,
    /// With size, time and ETag.
    #[arg(long, short)]
    long: bool,
    /// Print one JSON object a line.
    #[arg(long, conflicts_with = "long")]
    json: bool,
    /// End each name with NUL, not with a line: for mget --null, mrm --null and xargs -0, and for names that have
    /// line feeds in them.
    #[arg(long, short = '0', conflicts_with_all = ["long", "json"])]
    null: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Prints the listing.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| {
        let Target::At(target) = &args.target else {
            return Err(Failure::usage("- cannot be listed"));
        };
        let list = List {
            recursive: args.recursive,
            whole: args.json || args.long,
        };
        let items = client.list(target, list).await?;
        let lines: Vec<_> = items.iter().filter_map(|item| args.line(item)).collect();
        say_bytes(&lines.concat())?;
        match items.len() - lines.len() {
            0 => Ok(()),
            untold => Err(Failure::new(format!(
                "{untold} names are not printed: they have line feeds in them"
            ))
            .hint("print them with --null, --json or --long")),
        }
    })
}

impl Args {
    /// What is printed of it; nothing if it would be taken for two.
    fn line(&self, item: &Listed) -> Option<Vec<u8>> {
        let name = item.name.as_bytes();
        if self.json {
            let mut line = Map::new();
            metadata_args::text_or_bytes(&mut line, "target", item.target.as_bytes());
            metadata_args::text_or_bytes(&mut line, "name", name);
            if item.kind == ListedKind::Key {
                metadata_args::text_or_bytes(&mut line, "key", name);
            }
            let (kind, layout) = match item.kind {
                ListedKind::Store(layout) => ("store", Some(layout)),
                ListedKind::Prefix => ("prefix", None),
                ListedKind::Key => ("key", None),
            };
            line.insert("type".to_owned(), kind.into());
            if let Some(layout) = layout {
                line.insert("layout".to_owned(), layout.as_str().into());
            }
            if let Some(version) = &item.version {
                line.insert("etag".to_owned(), version.etag().into());
            }
            if let Some(modified) = item.modified {
                line.insert("modified".to_owned(), metadata_args::time(modified).into());
            }
            if let Some(size) = item.size {
                line.insert("size".to_owned(), size.into());
            }
            return Some(format!("{}\n", Value::from(line)).into_bytes());
        }
        let slash: &[u8] = match item.kind {
            ListedKind::Key => b"",
            ListedKind::Store(_) | ListedKind::Prefix => b"/",
        };
        if self.long {
            let nothing = || "-".to_owned();
            let size = item.size.map_or_else(nothing, |size| size.to_string());
            let modified = item.modified.map_or_else(nothing, metadata_args::time);
            let etag = item.version.as_ref().map_or("-", Version::etag);
            let before = format!("{size:>12}  {modified:20}  {etag:34}  ");
            let shown = match name.contains(&b'\n') {
                true => one_line(&item.name.to_string_lossy())
                    .into_owned()
                    .into_bytes(),
                false => name.to_owned(),
            };
            return Some([before.as_bytes(), &shown, slash, b"\n"].concat());
        }
        match self.null {
            true => Some([name, slash, b"\0"].concat()),
            false if name.contains(&b'\n') => None,
            false => Some([name, slash, b"\n"].concat()),
        }
    }
}
