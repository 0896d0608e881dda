//! `-o OPTIONS`: options as mount(8) and fstab(5) write them.
//!
//! They are turned into the long options of `etagfs mount` before anything is parsed, so that there is
//! one definition of each. It knows no option of ours by name, but for those that mount(8) has a name
//! for, too. `helper.rs` is what mount(8) calls.

use std::ffi::OsString;

/// What every mount is, or what concerns only who reads the fstab. Set-user-id bits and devices
/// (`suid`, `dev`) do not exist in a bucket, and access times are not kept.
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

/// Replaces `-o a,b=c` among the arguments of `etagfs mount` by `--a --b=c`; underscores are hyphens.
pub(super) fn expand(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
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
                    add(&mut expanded, &option);
                }
            }
            None => {
                is_mount |= expanded.len() == 1 && argument == "mount";
                expanded.push(argument);
            }
        }
    }
    expanded
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

/// Adds the long form of one option. The last one of two that contradict each other counts.
fn add(expanded: &mut Vec<OsString>, option: &str) {
    if is_of_no_concern(option) {
        return;
    }
    if let Some((_, long, back)) = OF_MOUNT
        .iter()
        .find(|(name, _, back)| [name, back].contains(&&option))
    {
        expanded.retain(|argument| argument != long);
        if option != *back {
            expanded.push((*long).into());
        }
        return;
    }
    let long = long_name(option);
    expanded.push(match option.split_once('=') {
        Some((_, value)) => format!("--{long}={value}").into(),
        None => format!("--{long}").into(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        let texts = expand(words).into_iter().map(|word| word.into_string());
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
    fn what_is_unknown_is_left_to_be_refused() {
        assert_eq!(
            expanded("etagfs mount -o nonsense=1 a b"),
            "etagfs mount --nonsense=1 a b"
        );
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
