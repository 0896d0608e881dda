//! What to do about a failure of a store, by what it says of itself: the words of S3, of name resolution, of
//! TLS. One table; whoever knows the circumstances better says it before (`report.rs`).

/// Words of messages, and what to do then. The first line that has all its words counts.
const HINTS: &[(&[&str], &str)] = &[
    (
        &["does not begin with http://"],
        "write the whole URL: --endpoint-url http://HOST:PORT, or https://",
    ),
    (
        &["Connection refused"],
        "nothing listens there: is the server running, and is that what --endpoint-url should say?",
    ),
    (
        &["dns error"],
        "check the spelling of the host in --endpoint-url, and the name server: getent hosts HOST",
    ),
    (
        &["https://", "InvalidContentType"],
        "the server speaks http, not https: --endpoint-url http://HOST:PORT",
    ),
    (
        &["the CA bundle"],
        "name a file with certificates (PEM): --ca-bundle FILE, or AWS_CA_BUNDLE",
    ),
    (
        &["no certificate of an authority"],
        "install the package ca-certificates, or name a file with certificates (PEM): --ca-bundle FILE",
    ),
    (
        &["certificate"],
        "give the certificate of who signed the server's: --ca-bundle FILE (PEM)",
    ),
    // What comes of http on a port for https depends on the server: a 400 that is no XML, an alert of
    // TLS, nothing at all.
    (
        &["http://", "no explanation (HTTP 400)"],
        "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
    ),
    (
        &["http://", "invalid HTTP"],
        "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
    ),
    (
        &["http://", "connection closed before message completed"],
        "if the server speaks https, say so: --endpoint-url https://HOST:PORT",
    ),
    (
        &["no answer about"],
        "a firewall, a proxy (--proxy) or a wrong --endpoint-url? --deadline says how long to wait",
    ),
    (
        &["region was not"],
        "name the region of the bucket: --region, or AWS_REGION",
    ),
    (
        &["no region is known"],
        "name the region of the bucket: --region, or AWS_REGION",
    ),
    (
        &["no credentials are known"],
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile; for a public bucket --no-sign-request",
    ),
    (
        &["SignatureDoesNotMatch"],
        "the secret does not belong to this key id: check AWS_SECRET_ACCESS_KEY",
    ),
    (
        &["InvalidAccessKeyId"],
        "the server does not know this key id: check AWS_ACCESS_KEY_ID, and that --endpoint-url is the server it is for",
    ),
    (
        &["ExpiredToken"],
        "the keys have expired: get new ones (aws sso login, or from whoever gave them)",
    ),
    (
        &["a temporary file: "],
        "large values lie there while they are read: make room, or name another directory by TMPDIR",
    ),
    (
        &["RequestTimeTooSkewed"],
        "the clock of this machine is wrong: timedatectl set-ntp true, then look at date -u",
    ),
];

/// What to do about a failure with this message, if its words say it.
pub(super) fn of(message: &str) -> Option<String> {
    if let Some((_, rest)) = message.split_once("the bucket is in the region ") {
        let region = rest.split([':', ' ']).next().unwrap_or_default();
        return Some(format!("say so: --region {region}, or AWS_REGION={region}"));
    }
    let fits = |words: &[&str]| words.iter().all(|word| message.contains(word));
    let hint = HINTS.iter().find(|(words, _)| fits(words));
    hint.map(|(_, hint)| (*hint).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_messages_say_what_to_do() {
        for (message, hint) in [
            (
                "s3://b/ failed: the bucket is in the region eu-west-1: Moved (HTTP 301)",
                "--region eu-west-1,",
            ),
            (
                "x could not be reached: https://h: received corrupt message of type InvalidContentType",
                "speaks http,",
            ),
            ("access to x was denied: RequestTimeTooSkewed: no", "clock"),
        ] {
            assert!(
                of(message).is_some_and(|said| said.contains(hint)),
                "{message}"
            );
        }
        assert_eq!(of("something else"), None);
    }
}
