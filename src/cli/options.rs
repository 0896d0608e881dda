//! `-o OPTIONS`: options as mount(8) and fstab(5) write them.
//!
//! They are turned into the long options of `etagfs mount` before anything is parsed, so that there is
//! one definition of each. It knows no option of ours by name, but for those that mount(8) has a name
//! for, too. `helper.rs` is what mount(8) calls.

use std::ffi::OsString;

use super::quoted::quoted;
use super::report::Failure;
use super::variables::distance;

/// What every mount is, or what concerns only readers of the fstab. Set-user-id bits and devices (`suid`, `dev`) do
/// not exist in a bucket, and access times are not kept.
const OF_NO_CONCERN: &[&str] = &[
    "_netdev",
    "auto",
    "atime",
    "default_permissions",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "group",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "noauto",
    "nodev",
    "nodiratime",
    "nofail",
    "nogroup",
    "nolazytime",
    "nomand",
    "noowner",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nouser",
    "nousers",
    "owner",
    "relatime",
    "silent",
    "strictatime",
    "suid",
    "user",
    "users",
];

/// What only programs say to each other that stand between the user and us.
const BETWEEN: &[&str] = &["comment=", "helper=", "uhelper=", "user=", "x-", "X-"];

/// Names of mount(8) that are ours under another; and, behind it, the name that takes it back.
const OF_MOUNT: [(&str, &str, &str); 3] = [
    ("ro", "--read-only", "rw"),
    ("noexec", "--no-exec", "exec"),
    ("sync", "--sync", "async"),
];

/// The options of `etagfs mount`: their long names, and whether each has a value.
pub(super) type OptionNames = Vec<(String, bool)>;

/// Replaces `-o a,b=c` among the arguments of `etagfs mount` by `--a --b=c`; underscores are hyphens.
///
/// # Errors
/// A failure that names an option that is not `known`, as it was written.
pub(super) fn expand(
    arguments: impl IntoIterator<Item = OsString>,
    known: &OptionNames,
) -> Result<Vec<OsString>, Failure> {
    let mut expanded = Vec::new();
    let mut is_mount = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let list = match argument.to_str() {
            Some("--") => {
                expanded.push(argument);
                expanded.extend(arguments);
                break;
            }
            Some("-o") if is_mount => match arguments.next() {
                Some(list) => list.into_string().ok(),
                None => None,
            },
            Some(text) if is_mount => text.strip_prefix("-o").map(str::to_owned),
            _ => None,
        };
        match list {
            Some(list) => {
                for option in split(&list) {
                    add(&mut expanded, &option, known)?;
                }
            }
            None => {
                is_mount |= expanded.len() == 1 && argument == "mount";
                expanded.push(argument);
            }
        }
    }
    Ok(expanded)
}

/// The options of a list: separated by commas, but for those between double quotes, as mount(8) reads
/// them.
pub(super) fn split(list: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut is_quoted = false;
    for char in list.chars() {
        match char {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => options.push(String::new()),
            _ => options.last_mut().expect("it is never empty").push(char),
        }
    }
    options.retain(|option| !option.is_empty());
    options
}

/// Whether an option changes nothing here.
pub(super) fn is_of_no_concern(option: &str) -> bool {
    OF_NO_CONCERN.contains(&option) || BETWEEN.iter().any(|start| option.starts_with(start))
}

/// The long form of one option, without the hyphens and its value.
pub(super) fn long_name(option: &str) -> String {
    let name = option.split_once('=').map_or(option, |(name, _)| name);
    match OF_MOUNT
        .iter()
        .find(|(ours, _, back)| *ours == name || *back == name)
    {
        Some((_, long, _)) => long.trim_start_matches('-').to_owned(),
        None => name.replace('_', "-"),
    }
}

/// Whether a mount cannot do what an option asks of it.
///
/// # Errors
/// A failure that says so.
pub(super) fn refuse_remount(option: &str, dir: &str) -> Result<(), Failure> {
    match option {
        "remount" => Err(Failure::new(format!(
            "{dir} cannot be remounted: a mount keeps the options it began with"
        ))
        .hint(format!(
            "unmount it and mount it again: umount {0}; mount {0}",
            quoted(dir)
        ))),
        _ => Ok(()),
    }
}

/// What a flag is set to, as in its variable.
fn is_set(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn unknown(option: &str, known: &OptionNames) -> Failure {
    let name = long_name(option);
    let nearest = known
        .iter()
        .map(|(known, _)| known)
        .filter(|known| distance(known, &name) * 3 <= name.len())
        .min_by_key(|known| distance(known, &name));
    let failure = Failure::usage(format!("-o {option}: there is no such option"));
    match nearest {
        Some(near) => failure.hint(format!("did you mean {}? See man etagfs-mount", near.replace('-', "_"))),
        None => failure.hint(
            "options are those of etagfs mount, without the hyphens: -o read_only,ttl=0; see man etagfs-mount",
        ),
    }
}

/// Adds the long form of one option. The last one of two that contradict each other counts.
fn add(expanded: &mut Vec<OsString>, option: &str, known: &OptionNames) -> Result<(), Failure> {
    if is_of_no_concern(option) {
        return Ok(());
    }
    refuse_remount(option, "what is mounted")?;
    if let Some((_, long, back)) = OF_MOUNT
        .iter()
        .find(|(name, _, back)| [name, back].contains(&&option))
    {
        expanded.retain(|argument| argument != long);
        if option != *back {
            expanded.push((*long).into());
        }
        return Ok(());
    }
    let long = long_name(option);
    let Some((_, has_value)) = known.iter().find(|(name, _)| *name == long) else {
        return Err(unknown(option, known));
    };
    if !has_value && let Some((name, value)) = option.split_once('=') {
        let Some(is_set) = is_set(value) else {
            return Err(
                Failure::usage(format!("-o {option}: {name} is true or false"))
                    .hint("an option without a value is set: write its name alone"),
            );
        };
        let flag = format!("--{long}");
        expanded.retain(|argument| *argument != *flag);
        if is_set {
            expanded.push(flag.into());
        }
        return Ok(());
    }
    expanded.push(match option.split_once('=') {
        Some((_, value)) => format!("--{long}={value}").into(),
        None => format!("--{long}").into(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> OptionNames {
        let of = |has_value| move |name: &str| (name.to_owned(), has_value);
        let flags = ["sync", "read-only", "allow-other", "daemon"].map(of(false));
        let values = ["ttl", "state-dir", "scratch"].map(of(true));
        flags.into_iter().chain(values).collect()
    }

    fn expanded(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        let texts = expand(words, &known())
            .expect(line)
            .into_iter()
            .map(|word| word.into_string());
        texts.map(Result::unwrap).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_of_the_fstab_become_long_options() {
        assert_eq!(
            expanded("etagfs mount s3://b /mnt -o sync,ro,allow_other,ttl=0,state_dir=/a_b"),
            "etagfs mount s3://b /mnt --sync --read-only --allow-other --ttl=0 --state-dir=/a_b"
        );
        assert_eq!(
            expanded("etagfs mount -osync s3://b d"),
            "etagfs mount --sync s3://b d"
        );
    }

    #[test]
    fn what_concerns_mount_and_systemd_alone_is_left_out() {
        assert_eq!(
            expanded(
                "etagfs mount -o defaults,_netdev,nofail,x-systemd.automount,comment=x,user=joe s3://b d"
            ),
            "etagfs mount s3://b d"
        );
    }

    #[test]
    fn the_last_of_two_that_contradict_each_other_counts() {
        for (list, long) in [
            ("ro,rw", ""),
            ("rw,ro", " --read-only"),
            ("ro,ro", " --read-only"),
            ("noexec,exec", ""),
            ("async,sync", " --sync"),
            ("sync,async", ""),
        ] {
            assert_eq!(
                expanded(&format!("etagfs mount -o {list}")),
                format!("etagfs mount{long}")
            );
        }
    }

    #[test]
    fn values_between_quotes_may_hold_commas() {
        assert_eq!(
            expanded("etagfs mount -o scratch=\"*.swp,*~\",ro"),
            "etagfs mount --scratch=*.swp,*~ --read-only"
        );
        assert_eq!(split(",,a,,"), ["a"]);
    }

    #[test]
    fn a_flag_may_be_set_or_not_as_by_its_variable() {
        for (list, long) in [
            ("sync=true", " --sync"),
            ("sync=false", ""),
            ("sync,sync=0", ""),
            ("ro=no", ""),
            ("allow_other=yes", " --allow-other"),
        ] {
            assert_eq!(
                expanded(&format!("etagfs mount -o {list}")),
                format!("etagfs mount{long}"),
                "{list}"
            );
        }
    }

    #[test]
    fn what_is_unknown_is_refused_as_it_was_written() {
        for (option, told) in [
            ("nonsense=1", "-o nonsense=1: there is no such option"),
            ("foo", "-o foo: there is no such option"),
            ("read_onli", "did you mean read_only"),
            ("sync=perhaps", "sync is true or false"),
            ("remount", "cannot be remounted"),
        ] {
            let words = ["etagfs", "mount", "-o", option].map(OsString::from);
            let failure = format!("{:?}", expand(words, &known()).expect_err(option));
            assert!(failure.contains(told), "{failure}");
            assert!(!failure.contains("--daemon"), "{failure}");
        }
    }

    #[test]
    fn other_commands_and_what_comes_after_two_hyphens_stay() {
        for line in [
            "etagfs stores ls -o x",
            "etagfs mount -- -o x",
            "etagfs umount -o sync",
        ] {
            assert_eq!(expanded(line), line);
        }
    }
}
