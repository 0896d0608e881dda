//! What to do about a failure of a store, by what it comes of. One table; whoever knows the circumstances
//! better says it before (`report.rs`). It reads no messages.

use crate::backend::Cause;

/// What to do about a failure that comes of this.
pub(super) fn of(cause: &Cause) -> String {
    let hint = match cause {
        Cause::EndpointUrl => "write the whole URL: --endpoint-url http://HOST:PORT, or https://",
        Cause::NothingListens => {
            "nothing listens there: is the server running, and is that what --endpoint-url should say?"
        }
        Cause::NoSuchHost => {
            "check the spelling of the host in --endpoint-url, and the name server: getent hosts HOST"
        }
        Cause::SpeaksHttp => "the server speaks http, not https: --endpoint-url http://HOST:PORT",
        // What comes of http on a port for https depends on the server: a 400 that is no XML, an alert of
        // TLS, nothing at all.
        Cause::NotHttp => "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
        Cause::Certificate => {
            "give the certificate of who signed the server's: --ca-bundle FILE (PEM)"
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
            "the clock of this machine is wrong: timedatectl set-ntp true, then look at date -u"
        }
        Cause::NotImplemented => {
            "the server cannot do it: `etagfs probe` says what it can, docs/servers.md what others can"
        }
        Cause::Argument => {
            "the server does not take a value that was sent: an option or an attribute; see its own words"
        }
        Cause::Archived => {
            "restore it, and wait until it is there: aws s3api restore-object --restore-request Days=7"
        }
        Cause::GoesOn => "ask again in a while; --deadline says how long to wait",
        Cause::TemporaryFile => {
            "large values lie there while they are read: make room, or name another directory by TMPDIR"
        }
    };
    hint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_is_known_is_named() {
        let region = Cause::Region(Some("eu-west-1".into()));
        assert!(of(&region).contains("--region eu-west-1,"));
        assert!(of(&Cause::Region(None)).contains("AWS_REGION"));
    }
}
