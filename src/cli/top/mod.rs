//! `etagfs top`: a live view of a mount, or one look at it.
//!
//! From `mount.rs`, which reads the mount's own files, by `sample.rs` and `heat.rs` to `view.rs`, the
//! numbers with their meaning; `text.rs` writes them down, `screen.rs` is the terminal. This file
//! decides when.

mod heat;
mod mount;
mod sample;
mod screen;
mod text;
mod view;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::output::say;
use super::report::Failure;
use super::runtime;
use super::signals::Signals;
use mount::WatchedMount;
use screen::Screen;
use text::{Size, lines, room_for_keys};
use view::View;

/// How many keys one look tells of.
const KEYS: usize = 20;

/// The options of `top`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Directory of a mount, or one in it.
    dir: PathBuf,
    /// How often to refresh, and the period over which rates are measured, in seconds.
    #[arg(
        long,
        short = 'n',
        env = "ETAGFS_TOP_INTERVAL",
        value_name = "SECONDS",
        default_value = "1",
        value_parser = interval
    )]
    interval: Duration,
    /// Print one sample as text and exit; the default when standard output is no terminal.
    #[arg(long)]
    once: bool,
    /// Print one sample as a JSON object and exit.
    #[arg(long)]
    json: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = super::units::seconds(text)?;
    match time >= Duration::from_millis(100) {
        true => Ok(time),
        false => Err("it is a number of seconds, at least 0.1".to_owned()),
    }
}

/// Shows a mount.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut watched = WatchedMount::at(&args.dir)?;
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if args.once || args.json || !is_terminal {
        std::thread::sleep(args.interval);
        return tell(&watched.look(KEYS)?, args.json);
    }
    let runtime = runtime()?;
    let result = runtime.block_on(live(watched, args.interval));
    // Nothing here is worth waiting for: neither a mount that does not answer nor a key press.
    runtime.shutdown_background();
    result
}

fn tell(view: &View, as_json: bool) -> Result<(), Failure> {
    let text = match as_json {
        true => serde_json::to_string(view).map_err(|error| Failure::new(error.to_string()))?,
        false => {
            let page = Size {
                width: usize::MAX,
                height: usize::MAX,
            };
            lines(view, page).join("\n")
        }
    };
    say(&format!("{text}\n"))
}

/// Looks from a thread of its own, so that a mount that does not answer holds nobody up.
fn looks(
    mut watched: WatchedMount,
    interval: Duration,
    height: tokio::sync::watch::Receiver<usize>,
) -> mpsc::Receiver<Result<View, Failure>> {
    let (sender, looks) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(interval);
            let view = watched.look(room_for_keys(*height.borrow()));
            let is_over = view.is_err();
            if sender.blocking_send(view).is_err() || is_over {
                return;
            }
        }
    });
    looks
}

/// Draws until it is stopped.
async fn live(watched: WatchedMount, interval: Duration) -> Result<(), Failure> {
    let mut ends = Signals::heard(&[Signal::INT, Signal::TERM])?;
    let mut resized = Signals::heard(&[Signal::WINCH])?;
    let screen = Screen::enter()?;
    let mut keys = screen.keys();
    let (height, heights) = tokio::sync::watch::channel(screen.size().height);
    let mut looks = looks(watched, interval, heights);
    let mut last = None;
    screen.draw(&["looking ...".to_owned()])?;
    loop {
        tokio::select! {
            _ = ends.next() => return Ok(()),
            key = keys.recv() => match key {
                // Ctrl-C and Ctrl-D are keys like others here.
                Some(b'q' | b'Q' | 3 | 4) | None => return Ok(()),
                Some(_) => continue,
            },
            _ = resized.next() => {
                height.send_replace(screen.size().height);
            }
            look = looks.recv() => match look {
                Some(view) => last = Some(view?),
                None => return Ok(()),
            },
        }
        if let Some(view) = &last {
            screen.draw(&lines(view, screen.size()))?;
        }
    }
}
