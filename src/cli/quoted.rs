//! Words of a command that is suggested: whoever copies it into a shell gets the same words.

use std::fmt::{Display, Write as _};

/// A word as a shell reads it: as it is if it is plain, else between quotes.
pub(super) fn quoted(word: impl Display) -> String {
    let word = word.to_string();
    let is_plain = |char: char| char.is_alphanumeric() || "_./:@%+=,-".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word;
    }
    if !word.contains(char::is_control) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    // The only quotes of a shell in which a control character can be written.
    let mut text = "$'".to_owned();
    for char in word.chars() {
        match char {
            '\\' | '\'' => text.extend(['\\', char]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            char if char.is_control() => {
                let mut bytes = [0; 4];
                for byte in char.encode_utf8(&mut bytes).bytes() {
                    // A string takes all that it is given.
                    _ = write!(text, "\\x{byte:02x}");
                }
            }
            char => text.push(char),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_suggested_word_as_it_was() {
        for (word, text) in [
            ("/mnt/a", "/mnt/a"),
            ("s3://b/0f5b/k%25", "s3://b/0f5b/k%25"),
            ("caf\u{e9}", "caf\u{e9}"),
            ("/tmp/sp ace", "'/tmp/sp ace'"),
            ("$(id)/y", "'$(id)/y'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
            ("~/x", "'~/x'"),
            ("a\nb\x1b'", "$'a\\nb\\x1b\\''"),
        ] {
            assert_eq!(quoted(word), text);
            if !word.contains('~') {
                let shown = std::process::Command::new("bash")
                    .args(["-c", &format!("printf %s {text}")])
                    .output();
                // Where there is a shell to ask.
                if let Ok(shown) = shown {
                    assert_eq!(String::from_utf8_lossy(&shown.stdout), word);
                }
            }
        }
    }
}
