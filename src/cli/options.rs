//! `-o OPTIONS`: options as mount(8) and fstab(5) write them.
//!
//! They are turned into the long options of `etagfs mount` before anything is parsed, so that there is
//! one definition of each. It knows no option of ours by name.

use std::ffi::OsString;

/// What every mount is, or what concerns only who reads the fstab.
const OF_NO_CONCERN: [&str; 14] = [
    "async", "auto", "defaults", "noatime", "noauto", "nodev", "nofail", "nosuid", "nouser",
    "relatime", "rw", "user", "users", "_netdev",
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
            Some(list) => expanded.extend(list.split(',').filter_map(long).map(OsString::from)),
            None => {
                is_mount |= expanded.len() == 1 && argument == "mount";
                expanded.push(argument);
            }
        }
    }
    expanded
}

/// The long form of one option; `None` if it changes nothing.
fn long(option: &str) -> Option<String> {
    let is_comment = option.starts_with("x-") || option.starts_with("comment=");
    if option.is_empty() || is_comment || OF_NO_CONCERN.contains(&option) {
        return None;
    }
    if option == "ro" {
        return Some("--read-only".to_owned());
    }
    Some(match option.split_once('=') {
        Some((name, value)) => format!("--{}={value}", name.replace('_', "-")),
        None => format!("--{}", option.replace('_', "-")),
    })
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
                "etagfs mount -o defaults,_netdev,nofail,x-systemd.automount,comment=x s3://b d"
            ),
            "etagfs mount s3://b d"
        );
    }

    #[test]
    fn what_is_unknown_is_left_to_be_refused() {
        assert_eq!(
            expanded("etagfs mount -o noexec a b"),
            "etagfs mount --noexec a b"
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
