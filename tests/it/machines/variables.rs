//! Variables that say nonsense. Those of AWS are read by libraries, some of which panic.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::{ended_in_order, refused};
use crate::world::cli;
use crate::world::procs::{Output, Script};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};

const NAMES: [&str; 46] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCOUNT_ID",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_AUTH_SCHEME_PREFERENCE",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULTS_MODE",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_EXECUTION_ENV",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_RETRY_MODE",
    "AWS_ROLE_ARN",
    "AWS_SDK_UA_APP_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "COLUMNS",
    "HOME",
    "JOURNAL_STREAM",
    "LC_ALL",
    "NOTIFY_SOCKET",
    "RUST_LOG",
    "TERM",
    "TMPDIR",
    "TOKIO_WORKER_THREADS",
    "WATCHDOG_USEC",
    "XDG_STATE_HOME",
];

/// None at all, none that counts, one that no header can hold, too large a number, and no text.
const VALUES: [&[u8]; 5] = [
    b"",
    b"nonsense",
    b"a\x01b\r",
    b"99999999999999999999",
    b"\xff\xfe",
];

/// Keys are looked for at STS, or a server that is none and says so.
const LOOKING: &str = "export AWS_ROLE_ARN=${AWS_ROLE_ARN-arn:aws:iam::1:role/x} \
    AWS_WEB_IDENTITY_TOKEN_FILE=${AWS_WEB_IDENTITY_TOKEN_FILE-/etc/hostname} \
    AWS_ENDPOINT_URL_STS=${AWS_ENDPOINT_URL_STS-$ETAGFS_ENDPOINT_URL}; \
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; exec timeout 60 etagfs ls --flat $B --deadline 1";

fn script(bucket: &Bucket, text: &str) -> Script {
    let state = std::env::temp_dir();
    let script = cli::script(bucket, &state, text);
    script.env("B", format!("s3://{}", bucket.name))
}

fn run(bucket: &Bucket, variables: &[(&str, &OsStr)], text: &str) -> Output {
    let script = script(bucket, text);
    let with = |script: Script, (name, value): &(&str, &OsStr)| script.env(*name, *value);
    variables.iter().fold(script, with).run()
}

#[test]
fn no_variable_makes_a_command_panic() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let mut runs = 0;
    for name in NAMES {
        for value in VALUES {
            let value = OsStr::from_bytes(value);
            // With keys at hand, and while they are looked for.
            let mut texts = vec!["exec timeout 60 etagfs ls --flat $B"];
            if name.starts_with("AWS_") {
                texts.push(LOOKING);
            }
            for text in texts {
                let out = run(&bucket, &[(name, value)], text);
                ended_in_order(&format!("{name}={value:?}"), &out);
                assert_ne!(out.code, Some(124), "{name}={value:?}");
                runs += 1;
            }
        }
    }
    let line = format!(
        "{runs} runs with {} odd variables, none of which panicked",
        NAMES.len()
    );
    report::write("odd-variables", &line);
}

#[test]
fn what_no_request_can_be_signed_with_is_named() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let ls = "exec etagfs ls --flat $B";
    let odd = OsStr::from_bytes(b"a\r");
    let out = run(&bucket, &[("AWS_REGION", odd)], ls);
    refused("a region", &out, &["the region", "control character"]);
    let out = run(&bucket, &[("AWS_ACCESS_KEY_ID", odd)], ls);
    refused(
        "a key id",
        &out,
        &["AWS_ACCESS_KEY_ID", "control character"],
    );
    for option in ["--region", "--access-key-id"] {
        let ls = format!("{ls} --secret-access-key s --access-key-id a {option} $'1\\n2'");
        let ls = ls.replace("--access-key-id a --access-key-id", "--access-key-id");
        refused(option, &run(&bucket, &[], &ls), &["control character"]);
    }
    // What no header can hold is seen before anything is signed.
    let owner = run(
        &bucket,
        &[],
        &format!("{ls} --expected-bucket-owner $'1\\n2'"),
    );
    assert_eq!(owner.code, Some(2), "{owner:#?}");
    for word in ["--expected-bucket-owner", "printable ASCII"] {
        assert!(owner.stderr.contains(word), "{owner:#?}");
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("config");
    let asking = [
        ("AWS_CONFIG_FILE", file.as_os_str()),
        ("AWS_ENDPOINT_URL_STS", OsStr::new("http://127.0.0.1:1")),
    ];
    for (what, text, words) in [
        (
            "a profile's region",
            "[default]\nregion = a\u{1}b\n",
            ["region in line 2", "control character"],
        ),
        (
            "the keys that a role is asked for with",
            "[default]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = q\n\
             [profile q]\naws_access_key_id = A\u{7f}\naws_secret_access_key = s\n",
            ["aws_access_key_id in line 5", "control character"],
        ),
        (
            "an endpoint that is empty",
            "[default]\nendpoint_url =\n",
            ["endpoint_url in line 2", "is empty"],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let unset = format!("unset AWS_REGION AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; {ls}");
        let out = run(&bucket, &asking, &unset);
        refused(what, &out, &words);
    }
}

#[test]
fn an_endpoint_of_sts_that_is_set_and_empty_is_named() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let empty: OsString = OsString::new();
        let variables = [
            (name, empty.as_os_str()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", OsStr::new("/etc/hostname")),
            ("AWS_ROLE_ARN", OsStr::new("arn:aws:iam::1:role/x")),
        ];
        let text = "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; exec etagfs ls --flat $B";
        let out = run(&bucket, &variables, text);
        refused(name, &out, &[name, "is set and empty"]);
        // It does not matter to whoever has keys.
        run(
            &bucket,
            &[(name, empty.as_os_str())],
            "exec etagfs ls --flat $B",
        )
        .ok();
    }
}
