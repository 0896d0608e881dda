//! Sentences are for people: no code searches one to find out what happened, and a command in one is quoted, so
//! that a shell reads it as it was meant.

use super::files;

/// What searches a text.
const SEARCHES: [&str; 6] = [
    ".contains(",
    ".starts_with(",
    ".ends_with(",
    ".strip_prefix(",
    ".find(",
    ".split_once(",
];

/// The only files that search for words with a space between them: each knows one source that has no other way to
/// say it (a protocol, the kernel, a library without types), and makes of it what others go by.
const READERS: [&str; 7] = [
    // The client library's errors of name resolution and of credentials.
    "src/backend/s3/causes.rs",
    "src/backend/s3/sources.rs",
    // Content-Range.
    "src/backend/s3/byte_range.rs",
    // fuser, which passes on what fusermount3 wrote.
    "src/mount/failure.rs",
    // /proc/PID/limits and /proc/PID/mountinfo.
    "src/mount/limit.rs",
    "crates/model/src/mounts.rs",
    // clap's text, which is to show our usage.
    "src/cli/variables.rs",
];

/// The code of a file, without its tests.
fn code(path: &str, text: &str) -> String {
    if path.ends_with("/tests.rs") {
        return String::new();
    }
    // Not at the first `#[cfg(test)]`, which may be one function's.
    let code = text.split("#[cfg(test)]\nmod tests").next();
    code.unwrap_or_default().to_owned()
}

/// Whether a line searches a text for a part of a sentence, or an error for any words.
fn searches_a_sentence(line: &str) -> bool {
    let line = line.split("//").next().unwrap_or_default();
    SEARCHES.iter().any(|search| {
        line.match_indices(search).any(|(at, _)| {
            let is_of_error = line[..at].ends_with("error.to_string()");
            let argument = &line[at + search.len()..];
            let words = argument
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            is_of_error || words.is_some_and(|words| words.contains(' '))
        })
    })
}

/// The lines of a file that suggest a command with a word in it that is not quoted.
fn unquoted(text: &str) -> Vec<usize> {
    let lines: Vec<_> = text.lines().collect();
    let suggests = |line: &str| {
        let commands = ["etagfs ", "umount ", "mkdir ", "ls -l "];
        let is_text = !line.trim_start().starts_with("//");
        is_text
            && commands.iter().any(|command| {
                line.split(command).skip(1).any(|rest| {
                    let command = rest.split([';', '"', '|']).next().unwrap_or_default();
                    // "etagfs is mounted at {}" is no command.
                    command.contains('{') && !command.starts_with("is ")
                })
            })
    };
    let is_quoted = |at: usize| {
        let around = &lines[at.saturating_sub(3)..lines.len().min(at + 7)];
        around.iter().any(|line| line.contains("quoted("))
    };
    (0..lines.len())
        .filter(|at| suggests(lines[*at]) && !is_quoted(*at))
        .collect()
}

#[test]
fn no_code_searches_a_sentence_to_find_out_what_happened() {
    let mut found = Vec::new();
    let mut readers = 0;
    for (path, text) in files("src").into_iter().chain(files("crates/model/src")) {
        let code = code(&path, &text);
        let lines = code.lines().enumerate();
        for (at, line) in lines.filter(|(_, line)| searches_a_sentence(line)) {
            match READERS.contains(&&*path) {
                true => readers += 1,
                false => found.push(format!("{path}:{}: {}", at + 1, line.trim())),
            }
        }
    }
    assert!(readers >= READERS.len(), "the search finds nothing");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn commands_that_are_suggested_quote_their_words() {
    let mut found = Vec::new();
    for (path, text) in files("src/cli") {
        for at in unquoted(&code(&path, &text)) {
            found.push(format!("{path}:{}", at + 1));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn what_these_rules_forbid_is_found() {
    for line in [
        r#"if message.contains("no region is known") {"#,
        r#"match error.to_string().starts_with(name) {"#,
        r#"let region = words.split_once("the region ")?;"#,
    ] {
        assert!(searches_a_sentence(line), "{line}");
    }
    for line in [
        r#"if url.starts_with("http://") {"#,
        r#"// if message.contains("no region is known") {"#,
        r#"if kinds.contains(&kind) {"#,
    ] {
        assert!(!searches_a_sentence(line), "{line}");
    }
    assert_eq!(unquoted("format!(\"see: etagfs ls {label}\")"), [0]);
    assert_eq!(
        unquoted("format!(\"{label}: see etagfs ls; or {x}\")"),
        [0_usize; 0]
    );
    assert_eq!(
        unquoted("format!(\"see: etagfs ls {}\",\nquoted(label))"),
        [0_usize; 0]
    );
}
