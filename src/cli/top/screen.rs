//! A terminal that is drawn on: entered as it was found, and left so, however the program ends.
//!
//! It knows lines and keys, nothing of what they mean. The control sequences are those of ECMA-48 and
//! xterm that every terminal of today has.

use std::io::{self, Read, Write};
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::text::Size;

/// The alternate screen, without cursor, and without lines that go on in the next.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The terminal of standard input and output.
pub(super) struct Screen {
    as_found: Termios,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn enter() -> io::Result<Self> {
        let as_found = tcgetattr(io::stdin())?;
        let mut raw = as_found.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let screen = Self { as_found };
        say(ENTER)?;
        Ok(screen)
    }

    /// Its size now.
    pub(super) fn size(&self) -> Size {
        let (width, height) = match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => (80, 24),
        };
        Size {
            width: width.into(),
            height: height.into(),
        }
    }

    /// Draws lines from the top; what was there before is gone.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        // Each line over the old one, and then the rest: clearing all of it first would flicker.
        let lines: Vec<_> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
        say(&format!("\x1b[H{}\x1b[J", lines.join("\r\n")))
    }

    /// The keys that are pressed from now on.
    pub(super) fn keys(&self) -> UnboundedReceiver<u8> {
        let (sender, keys) = unbounded_channel();
        // It ends with the program: nothing else ends a read from a terminal.
        thread::spawn(move || {
            for key in io::stdin().lock().bytes() {
                if key.is_err() || key.is_ok_and(|key| sender.send(key).is_err()) {
                    return;
                }
            }
        });
        keys
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone need not be put in order.
        let _ = say(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.as_found);
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
