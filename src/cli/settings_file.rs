//! Small files that hold settings: read whole, and never more than such a file can have.
//!
//! A device or a pipe may have no end. It knows nothing of what is in them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The longest one, in bytes.
const LONGEST: u64 = 1 << 20;

/// All of it, which is a text.
///
/// # Errors
/// When it cannot be read, is no text, or is too long to hold settings.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        let why = format!("it is longer than {LONGEST} bytes");
        return Err(io::Error::other(why));
    }
    String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_holds_no_settings() {
        let error = read(Path::new("/dev/zero")).expect_err("it has no end");
        assert!(error.to_string().contains("longer than 1048576 bytes"));
        assert_eq!(read(Path::new("/dev/null")).expect("it is empty"), "");
    }
}
