//! Every trouble has a name and a hint of its own.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;

/// All causes of a request that fails.
pub(in crate::cli) static ALL: LazyLock<Vec<Cause>> = LazyLock::new(|| {
    vec![
        Cause::EndpointUrl,
        Cause::NothingListens,
        Cause::NoSuchHost,
        Cause::Proxy,
        Cause::SpeaksHttp,
        Cause::NotHttp,
        Cause::Certificate,
        Cause::CaBundle,
        Cause::NoAuthorities,
        Cause::Region(Some("eu-west-1".to_owned())),
        Cause::Region(None),
        Cause::NoCredentials,
        Cause::Secret,
        Cause::KeyId,
        Cause::Expired,
        Cause::Clock,
        Cause::NotImplemented,
        Cause::Argument,
        Cause::Archived,
        Cause::GoesOn,
        Cause::TemporaryFile,
    ]
});

/// All that is no request's cause.
fn others() -> Vec<Trouble> {
    let word = || "a b".to_owned();
    vec![
        Trouble::Denied,
        Trouble::NoAnswer,
        Trouble::Failed,
        Trouble::Damaged,
        Trouble::NotFound,
        Trouble::Unsupported,
        Trouble::InDoubt,
        Trouble::NoSource,
        Trouble::KeyInSource,
        Trouble::NoBucket(word()),
        Trouble::NoStore {
            source: word(),
            store: word(),
        },
        Trouble::MayNotList,
        Trouble::MayNotWrite,
        Trouble::Unconditional,
        Trouble::Mounted(word()),
        Trouble::NotMounted,
        Trouble::NoDirectory(word()),
        Trouble::NotADirectory,
        Trouble::NotEmpty,
        Trouble::DeadMount(word()),
        Trouble::Unreadable,
        Trouble::NoFuse,
        Trouble::NoHelper,
        Trouble::Mounting(MountError::ForOthers),
        Trouble::Mounting(MountError::NoCapability),
        Trouble::Mounting(MountError::NoAccess(word())),
        Trouble::Mounting(MountError::Denied(word())),
        Trouble::Mounting(MountError::Failed(word())),
    ]
}

#[test]
fn each_cause_has_a_hint_of_its_own_that_names_something_to_do() {
    let mut hints: Vec<_> = ALL.iter().map(of).collect();
    for hint in &hints {
        // An option, a variable, or a command.
        let words = [
            "--",
            "AWS_",
            "TMPDIR",
            "install",
            "aws sso",
            "etagfs probe",
            "timedatectl",
        ];
        let points_elsewhere = hint.ends_with("see its own words");
        assert!(
            points_elsewhere || words.iter().any(|word| hint.contains(word)),
            "{hint}"
        );
    }
    hints.sort();
    hints.dedup();
    assert_eq!(hints.len(), ALL.len());
}

#[test]
fn all_causes_are_in_the_list() {
    // A new cause does not compile here until it is given the next number.
    let number = |cause: &Cause| match cause {
        Cause::EndpointUrl => 0,
        Cause::NothingListens => 1,
        Cause::NoSuchHost => 2,
        Cause::Proxy => 3,
        Cause::SpeaksHttp => 4,
        Cause::NotHttp => 5,
        Cause::Certificate => 6,
        Cause::CaBundle => 7,
        Cause::NoAuthorities => 8,
        Cause::Region(Some(_)) => 9,
        Cause::Region(None) => 10,
        Cause::NoCredentials => 11,
        Cause::Secret => 12,
        Cause::KeyId => 13,
        Cause::Expired => 14,
        Cause::Clock => 15,
        Cause::NotImplemented => 16,
        Cause::Argument => 17,
        Cause::Archived => 18,
        Cause::GoesOn => 19,
        Cause::TemporaryFile => 20,
    };
    let numbers: Vec<_> = ALL.iter().map(number).collect();
    assert_eq!(numbers, (0..=20).collect::<Vec<_>>());
}

#[test]
fn no_two_troubles_share_a_name_or_a_hint() {
    let mut all: Vec<_> = ALL.iter().map(Trouble::from).collect();
    all.extend(others());
    let names: BTreeSet<_> = all.iter().map(Trouble::name).collect();
    let hints: BTreeSet<_> = all.iter().map(Trouble::hint).collect();
    assert_eq!((names.len(), hints.len()), (all.len(), all.len()));
    let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    assert!(names.iter().all(is_name), "{names:?}");
    // The log names each of them, and the documentation says which there are.
    let document = include_str!("../../../docs/operations.md");
    for name in names {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn a_region_that_is_known_is_named() {
    let region = Cause::Region(Some("eu-west-1".into()));
    assert!(of(&region).contains("--region eu-west-1,"));
    assert!(of(&Cause::Region(None)).contains("AWS_REGION"));
}
