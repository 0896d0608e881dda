//! Each source of credentials, end to end: `etagfs stores ls` finds its keys there, signs with them,
//! and says where they came from when they are no good.

use std::time::Duration;

use super::{Home, after, is_in, json, new_keys, section};
use crate::world::client::Keys;
use crate::world::issuer::{Asked, Issuer};
use crate::world::mounts;
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Bucket, Kind};

const TOKEN: &str = "the-token-of-temporary-keys";
const HOUR: Duration = Duration::from_secs(3600);

fn bucket() -> Result<Bucket, String> {
    Ok(servers::shared(Kind::Embedded)?.bucket())
}

/// Makes sure that the keys of this home work, that requests carry the token of temporary keys, and
/// that the same source is named when it has the wrong ones.
#[track_caller]
fn works(bucket: &Bucket, home: impl Fn(&Keys) -> Home, more: &[&str], token: bool, name: &str) {
    let proxy = Proxy::to(&bucket.endpoint);
    let right = home(&bucket.keys);
    right.ls(bucket, &proxy.endpoint(), more).unwrap();
    let log = proxy.log().0;
    assert!(!log.is_empty());
    for request in &log {
        let signed = request.header("authorization").unwrap();
        assert!(signed.contains(&format!("Credential={}/", bucket.keys.id)));
        let sent = request.header("x-amz-security-token");
        assert_eq!(sent, token.then_some(TOKEN));
    }
    let wrong = home(&new_keys());
    let mark = proxy.mark();
    let said = wrong.ls(bucket, &proxy.endpoint(), more).unwrap_err();
    // To ask again with the same keys would be of no use.
    assert_eq!(proxy.since(mark).0.len(), 1, "{}", proxy.since(mark));
    assert!(said.starts_with("Some(1)"), "{said}");
    assert!(said.contains("denied"), "{said}");
    assert!(said.contains(name), "{name:?} is not named in: {said}");
    for secret in [&bucket.keys.secret, "secret-", TOKEN] {
        assert!(!said.contains(secret), "a secret is told: {said}");
    }
}

#[test]
fn keys_of_the_environment_are_used() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        Home::new()
            .with("AWS_ACCESS_KEY_ID", &keys.id)
            .with("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .with("AWS_SESSION_TOKEN", TOKEN)
    };
    works(&bucket, home, &[], true, "the environment");
}

#[test]
fn keys_of_the_default_profile_are_used() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        let home = Home::new();
        home.credentials(&section("default", keys));
        home
    };
    works(&bucket, home, &[], false, "profile default of /");
}

#[test]
fn the_profile_of_the_environment_is_used() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        let home = Home::new().with("AWS_PROFILE", "work");
        home.credentials(&(section("default", &new_keys()) + &section("work", keys)));
        home
    };
    works(&bucket, home, &[], false, "profile work of /");
}

#[test]
fn a_profile_that_is_asked_for_goes_before_the_environment() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        let wrong = new_keys();
        let home = Home::new()
            .with("AWS_ACCESS_KEY_ID", wrong.id)
            .with("AWS_SECRET_ACCESS_KEY", wrong.secret);
        home.config(&section("profile work", keys));
        home
    };
    works(
        &bucket,
        home,
        &["--profile", "work"],
        false,
        "profile work of /",
    );
}

#[test]
fn a_profile_that_does_not_exist_is_named_and_nobody_else_is_asked() {
    let bucket = or_skip!(bucket());
    let home = Home::new()
        .with("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .with("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret);
    home.config("[profile somebody]\nregion = us-east-1\n");
    let said = home
        .ls(&bucket, &bucket.endpoint, &["--profile", "nobody"])
        .unwrap_err();
    assert!(said.contains("profile nobody of "), "{said}");
    assert!(said.contains("not defined"), "{said}");
    assert!(is_in(&said, &home.path(".aws/config")), "{said}");
}

#[test]
fn keys_that_are_given_as_options_go_before_all_others() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        let wrong = new_keys();
        Home::new()
            .with("AWS_ACCESS_KEY_ID", wrong.id)
            .with("AWS_SECRET_ACCESS_KEY", wrong.secret)
            .with("ETAGFS_ACCESS_KEY_ID", &keys.id)
            .with("ETAGFS_SECRET_ACCESS_KEY", &keys.secret)
            .with("ETAGFS_SESSION_TOKEN", TOKEN)
    };
    works(&bucket, home, &[], true, "the options");
}

#[test]
fn a_process_is_asked() {
    let bucket = or_skip!(bucket());
    let home = |keys: &Keys| {
        let home = Home::new();
        home.write("keys.json", &json(keys, Some(TOKEN), Some(&after(HOUR))));
        let file = home.path("keys.json");
        let config = format!("[default]\ncredential_process = cat {}\n", file.display());
        home.config(&config);
        home
    };
    works(&bucket, home, &[], true, "by its process");
}

#[test]
fn a_process_that_fails_is_told_with_its_words() {
    let bucket = or_skip!(bucket());
    let home = Home::new();
    home.config("[default]\ncredential_process = sh -c 'echo no vault today >&2; exit 3'\n");
    let said = home.ls(&bucket, &bucket.endpoint, &[]).unwrap_err();
    assert!(said.contains("profile default of "), "{said}");
    assert!(said.contains("no vault today"), "{said}");
    assert!(said.contains("denied"), "{said}");
}

/// An issuer of the bucket's own keys, and one of others.
struct Issuers {
    own: String,
    right: Issuer,
    wrong: Issuer,
}

impl Issuers {
    fn of(bucket: &Bucket, issuer: impl Fn(Keys) -> Issuer) -> Self {
        Self {
            own: bucket.keys.id.clone(),
            right: issuer(bucket.keys.clone()),
            wrong: issuer(new_keys()),
        }
    }

    /// The URL of the one that hands out the bucket's keys, if these are, and else of the other.
    fn url(&self, keys: &Keys) -> String {
        match keys.id == self.own {
            true => self.right.url(),
            false => self.wrong.url(),
        }
    }
}

/// STS, as far as anybody asks here.
fn sts(keys: Keys) -> Issuer {
    Issuer::start(move |asked: &Asked| {
        let field = |name: &str| asked.body.contains(name);
        let action = match () {
            () if field("Action=AssumeRoleWithWebIdentity") => "AssumeRoleWithWebIdentity",
            () if field("Action=AssumeRole") => "AssumeRole",
            () => return (400, String::new()),
        };
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>\
             <AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser><Credentials>\
             <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
             <SessionToken>{TOKEN}</SessionToken><Expiration>{}</Expiration></Credentials>\
             </{action}Result></{action}Response>",
            keys.id,
            keys.secret,
            after(HOUR)
        );
        (200, xml)
    })
}

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

#[test]
fn a_web_identity_token_is_exchanged() {
    let bucket = or_skip!(bucket());
    let issuers = Issuers::of(&bucket, sts);
    let home = |keys: &Keys| {
        let home = Home::new();
        home.write("token", "the.web.token");
        let token = home.path("token").to_str().unwrap().to_owned();
        home.with("AWS_WEB_IDENTITY_TOKEN_FILE", token)
            .with("AWS_ROLE_ARN", ROLE)
            .with("AWS_ENDPOINT_URL_STS", issuers.url(keys))
    };
    works(&bucket, home, &[], true, "the web identity token /");
    assert!(issuers.right.asked()[0].body.contains("the.web.token"));
}

#[test]
fn a_role_is_assumed() {
    let bucket = or_skip!(bucket());
    let issuers = Issuers::of(&bucket, sts);
    let home = |keys: &Keys| {
        let home = Home::new().with("AWS_ENDPOINT_URL_STS", issuers.url(keys));
        home.credentials(&section("base", &new_keys()));
        home.config(&format!(
            "[profile app]\nrole_arn = {ROLE}\nsource_profile = base\n"
        ));
        home
    };
    works(
        &bucket,
        home,
        &["--profile", "app"],
        true,
        "profile app of /",
    );
}

#[test]
fn a_session_of_sso_is_used() {
    let bucket = or_skip!(bucket());
    let portal = |keys: Keys| {
        Issuer::start(move |asked: &Asked| {
            let bearer = asked.headers.get("x-amz-sso_bearer_token");
            if bearer.is_none_or(|token| token != "the-login") {
                return (401, "{}".to_owned());
            }
            let role = serde_json::json!({ "roleCredentials": {
                "accessKeyId": keys.id, "secretAccessKey": keys.secret, "sessionToken": TOKEN,
                "expiration": (time::OffsetDateTime::now_utc().unix_timestamp() + 3600) * 1000,
            }});
            (200, role.to_string())
        })
    };
    let issuers = Issuers::of(&bucket, portal);
    let url = "https://example.awsapps.com/start";
    let home = |keys: &Keys| {
        let home = Home::new().with("AWS_ENDPOINT_URL_SSO", issuers.url(keys));
        home.config(&format!(
            "[default]\nsso_start_url = {url}\nsso_region = us-east-1\n\
             sso_account_id = 123456789012\nsso_role_name = reader\n"
        ));
        let login = serde_json::json!({
            "startUrl": url, "region": "us-east-1", "accessToken": "the-login",
            "expiresAt": after(HOUR),
        });
        // `aws sso login` names the file after the SHA-1 of the start URL.
        let name = "e8be5486177c5b5392bd9aa76563515b29358e6e";
        home.write(&format!(".aws/sso/cache/{name}.json"), &login.to_string());
        home
    };
    works(&bucket, home, &[], true, "by SSO");
}

#[test]
fn a_session_of_sso_that_is_over_says_how_to_begin_another() {
    let bucket = or_skip!(bucket());
    let portal = Issuer::start(|_| {
        (
            401,
            r#"{"message":"Session token not found or invalid"}"#.into(),
        )
    });
    let url = "https://example.awsapps.com/start";
    let home = Home::new().with("AWS_ENDPOINT_URL_SSO", portal.url());
    home.config(&format!(
        "[default]\nsso_start_url = {url}\nsso_region = us-east-1\n\
         sso_account_id = 123456789012\nsso_role_name = reader\n"
    ));
    let login = |expires: &str| {
        let login = serde_json::json!({
            "startUrl": url, "region": "us-east-1", "accessToken": "the-login", "expiresAt": expires,
        });
        let name = "e8be5486177c5b5392bd9aa76563515b29358e6e";
        home.write(&format!(".aws/sso/cache/{name}.json"), &login.to_string());
    };
    let says = || {
        let said = home.ls(&bucket, &bucket.endpoint, &[]).unwrap_err();
        assert!(
            said.contains("denied") && said.contains("aws sso login"),
            "{said}"
        );
        assert!(said.contains("profile default of "), "{said}");
        assert!(!said.contains("the-login"), "{said}");
    };
    // Nobody ever logged in, the login is old, and it is not known any more.
    says();
    login("2020-01-01T00:00:00Z");
    says();
    login(&after(HOUR));
    says();
    assert!(!portal.asked().is_empty());
}

#[test]
fn a_container_is_asked() {
    let bucket = or_skip!(bucket());
    let ecs = |keys: Keys| {
        Issuer::start(
            move |asked: &Asked| match asked.headers.get("authorization") {
                Some(token) if token == "the-pass" => {
                    (200, json(&keys, Some(TOKEN), Some(&after(HOUR))))
                }
                _ => (403, "{}".to_owned()),
            },
        )
    };
    let issuers = Issuers::of(&bucket, ecs);
    let home = |keys: &Keys| {
        Home::new()
            .with(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{}/keys", issuers.url(keys)),
            )
            .with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-pass")
    };
    works(&bucket, home, &[], true, "the container (ECS)");
}

fn imds(keys: Keys) -> Issuer {
    Issuer::start(move |asked: &Asked| {
        if asked.method == "PUT" && asked.path == "/latest/api/token" {
            return (200, "imds-session".to_owned());
        }
        let session = asked.headers.get("x-aws-ec2-metadata-token");
        if session.is_none_or(|session| session != "imds-session") {
            return (401, String::new());
        }
        match asked.path.as_str() {
            "/latest/meta-data/iam/security-credentials/" => (200, "the-role".to_owned()),
            "/latest/meta-data/iam/security-credentials/the-role" => {
                (200, json(&keys, Some(TOKEN), Some(&after(HOUR))))
            }
            "/latest/meta-data/placement/region" => (200, "eu-central-1".to_owned()),
            _ => (404, String::new()),
        }
    })
}

#[test]
fn an_instance_is_asked_where_there_is_one() {
    let bucket = or_skip!(bucket());
    let issuers = Issuers::of(&bucket, imds);
    let home =
        |keys: &Keys| Home::new().with("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuers.url(keys));
    works(&bucket, home, &[], true, "the EC2 instance (IMDS)");
}

#[test]
fn an_instance_is_not_asked_when_that_is_ruled_out() {
    let bucket = or_skip!(bucket());
    let issuer = imds(bucket.keys.clone());
    let home = Home::new().with("AWS_EC2_METADATA_SERVICE_ENDPOINT", issuer.url());
    let said = home
        .ls(&bucket, &bucket.endpoint, &["--imds", "never"])
        .unwrap_err();
    assert!(said.contains("no credentials are known"), "{said}");
    assert!(issuer.asked().is_empty());
}

#[test]
fn where_there_are_no_credentials_every_place_is_named() {
    let bucket = or_skip!(bucket());
    let said = Home::new().ls(&bucket, &bucket.endpoint, &[]).unwrap_err();
    for place in [
        "the environment",
        "profile default of /",
        "container",
        "web identity",
    ] {
        assert!(said.contains(place), "{place}: {said}");
    }
    // This machine is no EC2 instance, and says so.
    assert!(!said.contains("IMDS"), "{said}");
}

#[test]
fn nobody_asks_where_requests_are_not_signed() {
    let bucket = or_skip!(bucket());
    let proxy = Proxy::to(&bucket.endpoint);
    let home = Home::new()
        .with("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .with("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret);
    let said = home
        .ls(&bucket, &proxy.endpoint(), &["--no-sign-request"])
        .unwrap_err();
    assert!(said.contains("AccessDenied"), "{said}");
    let log = proxy.log().0;
    assert!(log[0].header("authorization").is_none());
}

#[test]
fn a_mount_uses_the_chain_too() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    let home = Home::new();
    home.write("keys.json", &json(&bucket.keys, None, None));
    let file = home.path("keys.json");
    let config = format!("[profile x]\ncredential_process = cat {}\n", file.display());
    home.config(&config);
    let mount = home.mount(&bucket).arg("--profile=x").start();
    std::fs::write(mount.file("key"), "value").unwrap();
    assert_eq!(bucket.client().text("key"), "value");
    mount.unmount();
}
