//! `etagfs ls`: stores, keys, and what keys begin with.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

use clap::Args as ClapArgs;
use rustix::fs::{Access, access};
use rustix::io::Errno;
use serde_json::{Map, Value};

use super::path::PathKey;
use super::said;
use super::session::{Outcome, Reach, Session};
use super::target::{Level, Spot, Target, Url};
use crate::cli::one_line::one_line;
use crate::cli::output::say_bytes;
use crate::cli::report::Failure;
use crate::store::{Catalog as _, Entry, Scanned, StoreEntry};

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

/// Something in a listing.
struct Item {
    target: OsString,
    name: OsString,
    kind: &'static str,
    layout: Option<&'static str>,
    etag: Option<String>,
    modified: Option<SystemTime>,
    size: Option<u64>,
}

impl Item {
    /// Something that has no value.
    fn container(
        kind: &'static str,
        target: impl Into<OsString>,
        name: impl Into<OsString>,
    ) -> Self {
        Self {
            target: target.into(),
            name: name.into(),
            kind,
            layout: None,
            etag: None,
            modified: None,
            size: None,
        }
    }

    fn of_key(target: String, name: String, entry: Entry) -> Self {
        Self {
            etag: Some(entry.version.etag().to_owned()),
            modified: Some(entry.modified),
            size: entry.size,
            ..Self::container("key", target, name)
        }
    }

    /// A file; with all that is known of it, which takes looking at it, or by its name alone.
    fn of_file(path: &Path, name: OsString, whole: bool) -> Result<Self, Failure> {
        let item = Self::container("key", path, name);
        if !whole {
            return Ok(item);
        }
        let file = PathKey::new(path.to_owned());
        let found = match fs::metadata(path) {
            Ok(found) if found.is_file() => found,
            // A socket cannot be opened; a link may lead to a directory, or nowhere.
            Ok(_) => return Ok(item),
            Err(error) if leads_nowhere(&error) => return Ok(item),
            Err(error) => return Err(file.failed(&error)),
        };
        Ok(match file.look() {
            Err(_) if access(path, Access::READ_OK) == Err(Errno::ACCESS) => Self {
                modified: found.modified().ok(),
                size: Some(found.len()),
                ..item
            },
            Err(failure) => return Err(failure),
            Ok(None) => item,
            Ok(Some(about)) => Self {
                etag: about.version.map(|version| version.etag().to_owned()),
                modified: Some(about.modified),
                size: about.size,
                ..item
            },
        })
    }
}

fn leads_nowhere(error: &std::io::Error) -> bool {
    let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_loop || error.kind() == ErrorKind::NotFound
}

/// Prints the listing.
pub(in crate::cli) fn run(args: &Args) -> Outcome {
    args.reach.run(async |session| {
        let items = match &args.target {
            Target::Stream => return Err(Failure::usage("- cannot be listed")),
            Target::Path(path) => files(args, path, OsStr::new(""))?,
            Target::Url(url) => {
                let spot = session.spot(url)?;
                match spot.level {
                    Level::Stores => stores(&session, url, &spot).await?,
                    Level::Store(_) | Level::Flat => keys(&session, url, &spot, args).await?,
                }
            }
        };
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
    fn line(&self, item: &Item) -> Option<Vec<u8>> {
        let name = item.name.as_bytes();
        if self.json {
            let mut line = Map::new();
            said::text_or_bytes(&mut line, "target", item.target.as_bytes());
            said::text_or_bytes(&mut line, "name", name);
            if item.kind == "key" {
                said::text_or_bytes(&mut line, "key", name);
            }
            line.insert("type".to_owned(), item.kind.into());
            if let Some(layout) = item.layout {
                line.insert("layout".to_owned(), layout.into());
            }
            if let Some(etag) = &item.etag {
                line.insert("etag".to_owned(), etag.as_str().into());
            }
            if let Some(modified) = item.modified {
                line.insert("modified".to_owned(), said::time(modified).into());
            }
            if let Some(size) = item.size {
                line.insert("size".to_owned(), size.into());
            }
            return Some(format!("{}\n", Value::from(line)).into_bytes());
        }
        let slash: &[u8] = match item.kind {
            "key" => b"",
            _ => b"/",
        };
        if self.long {
            let nothing = || "-".to_owned();
            let size = item.size.map_or_else(nothing, |size| size.to_string());
            let modified = item.modified.map_or_else(nothing, said::time);
            let etag = item.etag.as_deref().unwrap_or("-");
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

async fn stores(session: &Session<'_>, url: &Url, spot: &Spot) -> Result<Vec<Item>, Failure> {
    let stores = session.catalog(&spot.source).await?.list().await?;
    let base = Target::Url(url.clone());
    let item = |store: StoreEntry| {
        let name = store.id.to_string();
        Item {
            layout: Some(store.layout.as_str()),
            ..Item::container("store", base.join(&name).to_string(), name)
        }
    };
    Ok(stores.into_iter().map(item).collect())
}

async fn keys(
    session: &Session<'_>,
    url: &Url,
    spot: &Spot,
    args: &Args,
) -> Result<Vec<Item>, Failure> {
    let store = session.home(spot).await?.certain().await?;
    let root = url.root_of(spot);
    let item = |scanned: Scanned, below: usize| {
        let target = format!("{root}{}", scanned.text());
        let name = scanned.text()[below..].to_owned();
        match scanned {
            Scanned::Prefix(_) => {
                let name = name.trim_end_matches('/').to_owned();
                Item::container("prefix", target, name)
            }
            Scanned::Key(_, entry) => Item::of_key(target, name, entry),
        }
    };
    let mut beginning = spot.key.clone();
    if !beginning.is_empty() && !beginning.ends_with('/') {
        let around = store.scan(&beginning, true).await?;
        let below = beginning.rfind('/').map_or(0, |slash| slash + 1);
        let itself = around.iter().find(|found| found.text() == beginning);
        if let Some(found) = itself {
            return Ok(vec![item(found.clone(), below)]);
        }
        beginning.push('/');
    }
    let fold = !args.recursive;
    let found = match args.json || args.long {
        // They are printed, and may be compared with what `get` and `stat` tell.
        true => store.scan_versions(&beginning, fold).await?,
        false => store.scan(&beginning, fold).await?,
    };
    if found.is_empty() && !beginning.is_empty() {
        // A marker alone makes an empty directory.
        let marker = store.key_at(&beginning)?;
        if store.describe(&marker).await?.is_none() {
            return Err(Failure::absent(format!("{url} does not exist"))
                .hint(format!("see what there is: etagfs ls {root}")));
        }
    }
    let below = beginning.len();
    Ok(found.into_iter().map(|found| item(found, below)).collect())
}

/// Files in a directory, or one file.
fn files(args: &Args, path: &Path, before: &OsStr) -> Result<Vec<Item>, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Failure::absent(format!("{} does not exist", path.display()))
            .hint("check its name, and what is mounted: findmnt --types fuse,fuse.etagfs"),
        _ => Failure::new(format!("{}: {error}", path.display())),
    };
    let whole = args.json || args.long;
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        let name = path.file_name().unwrap_or_default();
        return Ok(vec![Item::of_file(path, name.to_owned(), whole)?]);
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut items = Vec::new();
    for entry in entries {
        let mut name = before.to_owned();
        name.push(entry.file_name());
        let path = entry.path();
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true if args.recursive => {
                name.push("/");
                items.extend(files(args, &path, &name)?);
            }
            true => items.push(Item::container("prefix", path, name)),
            false => items.push(Item::of_file(&path, name, whole)?),
        }
    }
    Ok(items)
}
