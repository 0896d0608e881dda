//! What to do about a failure of a store, by what it comes of. One table; a caller that knows the circumstances
//! better sets its own hint (`report.rs`). It reads no messages.

use crate::backend::Cause;

/// What to do about a failure that comes of this.
pub(super) fn of(cause: &Cause) -> String {
    let hint = match cause {
        Cause::EndpointUrl => "write the whole URL: --endpoint-url http://HOST:PORT, or https://",
        Cause::NothingListens => {
            "nothing listens there: check that the server is running, and --endpoint-url"
        }
        Cause::NoSuchHost => {
            "check the spelling of the host in --endpoint-url, and the name server: getent hosts HOST"
        }
        Cause::Proxy => {
            "write the whole URL of the proxy, http://HOST:PORT, or unset the variable; --proxy goes before it"
        }
        Cause::SpeaksHttp => "the server speaks http, not https: --endpoint-url http://HOST:PORT",
        // What comes of http on a port for https depends on the server: a 400 that is no XML, an alert of
        // TLS, nothing at all.
        Cause::NotHttp => "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
        Cause::Certificate => {
            "name the certificate of the authority that signed the server's: --ca-bundle FILE (PEM)"
        }
        Cause::CaBundle => {
            "name a file with certificates (PEM): --ca-bundle FILE, or AWS_CA_BUNDLE"
        }
        Cause::NoAuthorities => {
            "install the package ca-certificates, or name a file with certificates (PEM): --ca-bundle FILE"
        }
        Cause::Region(Some(region)) => {
            return format!("say so: --region {region}, or AWS_REGION={region}");
        }
        Cause::Region(None) => "name the region of the bucket: --region, or AWS_REGION",
        Cause::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile; for a public bucket --no-sign-request"
        }
        Cause::Secret => "the secret does not belong to this key id: check AWS_SECRET_ACCESS_KEY",
        Cause::KeyId => {
            "the server does not know this key id: check AWS_ACCESS_KEY_ID, and that --endpoint-url is the server it is for"
        }
        Cause::Expired => {
            "the keys have expired: get new ones (aws sso login, or from whoever gave them)"
        }
        Cause::Clock => {
            "the clock of this machine is wrong: timedatectl set-ntp true, then check with date -u"
        }
        Cause::NotImplemented => {
            "the server cannot do it: `etagfs probe` shows what it can do, docs/servers.md what other servers can"
        }
        Cause::Argument => {
            "the server refuses a value that was sent, from an option or an attribute: see its own words"
        }
        Cause::Archived => {
            "restore it, and wait until that is done: aws s3api restore-object --restore-request Days=7"
        }
        Cause::GoesOn => "ask again in a while; --deadline sets how long to wait",
        Cause::TemporaryFile => {
            "large values are kept there while they are read: make room, or set TMPDIR to another directory"
        }
    };
    hint.to_owned()
}

/// All causes.
#[cfg(test)]
pub(super) static ALL: std::sync::LazyLock<Vec<Cause>> = std::sync::LazyLock::new(|| {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_region_that_is_known_is_named() {
        let region = Cause::Region(Some("eu-west-1".into()));
        assert!(of(&region).contains("--region eu-west-1,"));
        assert!(of(&Cause::Region(None)).contains("AWS_REGION"));
    }
}
