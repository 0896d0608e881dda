//! The mount that is looked at, through its own files `.etagfs/stats`, `status` and `access`.
//!
//! It reads them and nothing else: no request is made, and nothing is looked at that would be one.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::heat::BusyKeys;
use super::sample::{Between, Sample};
use super::view::View;
use crate::cli::quoted::quoted;
use crate::cli::report::Failure;

/// A mount that is watched.
pub(super) struct WatchedMount {
    at: PathBuf,
    source: String,
    /// How far the access log was read.
    read: u64,
    keys: BusyKeys,
    before: (Instant, Sample),
}

impl WatchedMount {
    /// The mount at this directory, or that this directory is in.
    ///
    /// # Errors
    /// A failure that says what to do.
    pub(super) fn at(dir: &Path) -> Result<Self, Failure> {
        let dir = std::path::absolute(dir)?;
        let is_root = |dir: &&Path| fs::metadata(dir.join(".etagfs/stats")).is_ok();
        let at = dir.ancestors().find(is_root).ok_or_else(|| nowhere(&dir))?;
        let mut watched = Self {
            source: source(at)?,
            at: at.to_owned(),
            read: 0,
            keys: BusyKeys::default(),
            before: (Instant::now(), sample(at)?),
        };
        watched.listen()?;
        Ok(watched)
    }

    /// What happened since the last look.
    ///
    /// # Errors
    /// When the mount is gone.
    pub(super) fn look(&mut self, keys: usize) -> Result<View, Failure> {
        let (now, after) = (Instant::now(), sample(&self.at)?);
        self.listen()?;
        let (then, before) = std::mem::replace(&mut self.before, (now, after));
        let between = Between {
            before: &before,
            after: &self.before.1,
            time: now - then,
        };
        let at = self.at.display().to_string();
        Ok(View::new(
            &self.source,
            &at,
            &between,
            self.keys.hottest(keys),
        ))
    }

    /// Reads the access log on to its present end. It is not kept open: that would hold up whoever wants to
    /// unmount.
    fn listen(&mut self) -> Result<(), Failure> {
        let mut log = File::open(self.at.join(".etagfs/access"))?;
        let end = log.metadata()?.len();
        log.seek(SeekFrom::Start(self.read))?;
        let mut text = Vec::new();
        // Where lines were lost meanwhile, those that are left come instead.
        log.take(end.saturating_sub(self.read))
            .read_to_end(&mut text)?;
        self.read = end;
        self.keys.look(&String::from_utf8_lossy(&text));
        Ok(())
    }
}

/// Why a directory is in no mount that can be looked at.
fn nowhere(dir: &Path) -> Failure {
    let shown = dir.display();
    match fs::metadata(dir) {
        // Perhaps it is, and the mount is dead.
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Failure::new(format!("{shown}: {error}")).hint(format!(
                "check whether it is a mount that answers: etagfs alive {}",
                quoted(&shown)
            ))
        }
        _ => Failure::new(format!("{shown} is in no mount of etagfs"))
            .hint("give the directory of a mount; findmnt -t fuse.etagfs lists them"),
    }
}

fn sample(at: &Path) -> Result<Sample, Failure> {
    let text = fs::read_to_string(at.join(".etagfs/stats")).map_err(|error| {
        Failure::new(format!(
            "the mount at {} does not answer: {error}",
            at.display()
        ))
    })?;
    Ok(Sample::parse(&text))
}

fn source(at: &Path) -> Result<String, Failure> {
    let status = fs::read_to_string(at.join(".etagfs/status"))?;
    let status: serde_json::Value = serde_json::from_str(&status)
        .map_err(|error| Failure::new(format!("{}: {error}", at.display())))?;
    Ok(status["source"].as_str().unwrap_or_default().to_owned())
}
