//! `mount.etagfs`: what mount(8) calls for `mount -t etagfs` and for the fstab. The same program under
//! another name.
//!
//! It turns mount(8)'s way of calling its helpers into the words of `etagfs mount --daemon`, and exit
//! codes into those of mount(8). It defines no option: see `mount.rs`, and `options.rs` for their form.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use super::options::{self, OptionNames};
use super::report::Failure;

/// Exit codes of mount(8).
const USAGE: u8 = 1;
const FAILED: u8 = 32;

/// The names this program has for mount(8): the second one for those who call every such filesystem
/// `fuse.something`.
const NAMES: [&str; 2] = ["mount.etagfs", "mount.fuse.etagfs"];

/// What mount(8) wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountCall {
    /// `etagfs mount` and its arguments.
    pub(super) words: Vec<OsString>,
    /// Do everything but mount (`-f`).
    pub(super) is_fake: bool,
}

/// Whether mount(8) calls.
pub(super) fn is_called(name: Option<&OsString>) -> bool {
    let name = name.and_then(|name| Path::new(name).file_name());
    NAMES.iter().any(|ours| name == Some(OsStr::new(ours)))
}

/// Reads `SPEC DIR [-sfnvrw] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`, as mount(8) calls its helpers;
/// `known` are the long options.
///
/// # Errors
/// A failure that says what is wrong.
pub(super) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    known: &OptionNames,
) -> Result<MountCall, Failure> {
    let mut arguments = arguments.into_iter();
    let (mut places, mut list, mut is_sloppy, mut is_fake) = (Vec::new(), Vec::new(), false, false);
    while let Some(argument) = arguments.next() {
        let flags = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let Some(flags) = flags.filter(|flags| !flags.is_empty()) else {
            places.push(argument);
            continue;
        };
        for (at, flag) in flags.char_indices() {
            let mut value = || {
                let rest = &flags[at + 1..];
                match rest.is_empty() {
                    true => arguments.next().and_then(|value| value.into_string().ok()),
                    false => Some(rest.to_owned()),
                }
                .ok_or_else(|| wrong(&format!("-{flag} wants a value")))
            };
            match flag {
                's' => is_sloppy = true,
                'f' => is_fake = true,
                // There is no /etc/mtab of our own, and what we say is short.
                'n' | 'v' => {}
                'r' => list.push("ro".to_owned()),
                'w' => list.push("rw".to_owned()),
                'o' => {
                    list.extend(options::split(&value()?));
                    break;
                }
                't' => {
                    value()?;
                    break;
                }
                'N' => {
                    return Err(
                        wrong("mounting into another namespace (-N) is not supported")
                            .hint("run it there: nsenter --mount=... mount ..."),
                    );
                }
                _ => return Err(wrong(&format!("unknown option -{flag}"))),
            }
        }
    }
    let [source, dir] = &places[..] else {
        return Err(wrong("a source and a directory are wanted"));
    };
    for option in &list {
        options::refuse_remount(option, &dir.to_string_lossy())?;
    }
    let mut words: Vec<OsString> = ["etagfs", "mount", "--daemon"].map(OsString::from).into();
    for option in list {
        let knows = |name: String| known.iter().any(|(known, _)| *known == name);
        if is_sloppy && !options::is_of_no_concern(&option) && !knows(options::long_name(&option)) {
            continue;
        }
        // One at a time and quoted, since a value may hold commas.
        words.extend(["-o".into(), format!("\"{option}\"").into()]);
    }
    words.push("--".into());
    words.extend([source.clone(), dir.clone()]);
    Ok(MountCall {
        words: options::expand(words, known)?,
        is_fake,
    })
}

fn wrong(why: &str) -> Failure {
    Failure::usage(why)
        .hint("mount -t etagfs s3://BUCKET[/PREFIX] DIR [-o OPTIONS]; see man mount.etagfs")
}

/// One of our exit codes, as mount(8) has it.
pub(super) fn exit_code(ours: u8) -> ExitCode {
    ExitCode::from(match ours {
        0 => 0,
        2 => USAGE,
        _ => FAILED,
    })
}

/// What clap has to say about the options, in two lines.
pub(super) fn refusal(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    Failure::usage(line.trim_start_matches("error: "))
        .hint("options are those of etagfs mount, without the hyphens: -o read_only,ttl=0; see man etagfs-mount")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Result<MountCall, Failure> {
        let known = [("ttl", true), ("scratch", true), ("read-only", false)];
        let known = known.map(|(name, has_value)| (name.to_owned(), has_value));
        read(line.split(' ').map(OsString::from), &known.to_vec())
    }

    fn words(line: &str) -> String {
        let call = call(line).expect(line);
        let texts = call.words.into_iter().map(|word| word.into_string());
        texts.map(Result::unwrap).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_is_called_by_its_other_names() {
        for (name, is_called_so) in [
            ("/sbin/mount.etagfs", true),
            ("mount.fuse.etagfs", true),
            ("etagfs", false),
            ("/x/mount.etagfs/etagfs", false),
        ] {
            assert_eq!(is_called(Some(&name.into())), is_called_so, "{name}");
        }
        assert!(!is_called(None));
    }

    #[test]
    fn mount_calls_its_helpers_so() {
        for line in [
            "s3://b /mnt -o rw,_netdev,ttl=0",
            "s3://b /mnt -n -v -o rw,ttl=0",
            "s3://b /mnt -nvo rw,ttl=0 -t fuse.etagfs",
            "-o ttl=0 s3://b /mnt -w",
        ] {
            assert_eq!(
                words(line),
                "etagfs mount --daemon --ttl=0 -- s3://b /mnt",
                "{line}"
            );
        }
        assert_eq!(
            words("s3://b /mnt -r"),
            "etagfs mount --daemon --read-only -- s3://b /mnt"
        );
        let quoted = "s3://b /mnt -o scratch=\"a,b\",rw";
        assert_eq!(
            words(quoted),
            "etagfs mount --daemon --scratch=a,b -- s3://b /mnt"
        );
        assert!(call("s3://b /mnt -f").expect("read").is_fake);
    }

    #[test]
    fn a_sloppy_call_leaves_out_what_nobody_knows() {
        let line = "s3://b /mnt -s -o nonsense,ttl=0,more=x";
        assert_eq!(words(line), "etagfs mount --daemon --ttl=0 -- s3://b /mnt");
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for line in [
            "s3://b",
            "s3://b /mnt more",
            "s3://b /mnt -x",
            "s3://b /mnt -o",
            "s3://b /mnt -N 1",
            "s3://b /mnt -o remount,ro",
        ] {
            assert!(call(line).is_err(), "{line}");
        }
    }
}
