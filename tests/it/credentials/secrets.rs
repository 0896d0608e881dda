//! No secret gets into a log, a message, `.etagfs` or the state directory, at whatever level.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Home, after, json};
use crate::world::mounts;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::servers::{self, Kind};

/// All text below a directory.
fn all_text(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => all_text(&path, into),
            false => into.push_str(&String::from_utf8_lossy(
                &fs::read(&path).unwrap_or_default(),
            )),
        }
    }
}

#[test]
fn no_log_at_any_level_holds_a_secret_a_token_or_a_signature() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let token = "the-session-token-that-nobody-may-see";
    let argument = "an-argument-that-is-secret";
    for level in [
        "trace",
        "trace,etagfs=trace",
        "aws_smithy_runtime=trace,aws_runtime=trace,aws_sigv4=trace,aws_config=trace,hyper=trace,hyper_util=trace,etagfs=trace",
    ] {
        let home = Home::new();
        let hour = after(Duration::from_secs(3600));
        home.write("keys.json", &json(&bucket.keys, Some(token), Some(&hour)));
        let file = home.path("keys.json");
        home.config(&format!(
            "[default]\ncredential_process = sh -c 'cat {}' {argument}\n\
             [profile twice]\naws_secret_access_key = {}\naws_secret_access_key = {}\n\
             [services twice]\ns3 =\n  endpoint_url = http://me:{argument}@one\n  endpoint_url = http://me:{argument}@two\n",
            file.display(),
            bucket.keys.secret,
            bucket.keys.secret
        ));
        let state = tempfile::tempdir().unwrap();
        proxy.heal();
        let mount = home
            .mount(&bucket)
            .through(&proxy)
            .state_dir(state.path())
            .env(
                "ETAGFS_PROXY",
                format!("http://user:{argument}@proxy.invalid:1"),
            )
            .env("NO_PROXY", "127.0.0.1")
            .log_level(level)
            .try_start();
        let mount = match mount {
            Ok(mount) => mount,
            Err(failed) => panic!("{level}: {}", failed.log),
        };
        let run = |script: &str| Script::dash(script).within(mount.path()).run();
        run("echo one > key; cat key; echo two >> key; ls -l; rm key; cat missing");
        // Refusals and denials, whose answers S3 fills with what it was sent.
        proxy.inject(
            When::op(Op::Put).times(2),
            Fault::Answer(403, "SignatureDoesNotMatch"),
        );
        run("echo three > other");
        proxy.inject(When::op(Op::List).times(1), Fault::slow_down());
        run("ls; cat .etagfs/status .etagfs/stats .etagfs/conflicts");
        let mut text = run("cat .etagfs/status .etagfs/stats .etagfs/conflicts").stdout;
        text.push_str(&mount.unmount());
        all_text(state.path(), &mut text);

        // The control: what is no secret is there, and would be found.
        assert!(
            text.contains("missing") && text.contains(&bucket.keys.id),
            "{level}"
        );
        // That it is the highest level, and that requests were signed.
        assert!(text.contains("TRACE") || level == "trace", "{level}");
        let mut secrets = vec![
            bucket.keys.secret.clone(),
            token.to_owned(),
            argument.to_owned(),
        ];
        for request in proxy.log().0 {
            let signed = request.header("authorization").unwrap();
            let (_, signature) = signed.split_once("Signature=").unwrap();
            secrets.push(signature.to_owned());
        }
        assert!(secrets.len() > 10);
        for secret in secrets {
            if let Some(line) = text.lines().find(|line| line.contains(&secret)) {
                panic!("{level}: {secret:?} is told: {line}");
            }
        }
    }
}

#[test]
fn help_tells_no_value_of_a_secret_variable() {
    let home = Home::new()
        .with("ETAGFS_ACCESS_KEY_ID", "AK")
        .with("ETAGFS_SECRET_ACCESS_KEY", "hidden-1")
        .with("ETAGFS_SESSION_TOKEN", "hidden-2")
        .with("ETAGFS_PROXY", "http://user:hidden-3@proxy:1");
    for command in ["mount", "probe"] {
        let out = home.etagfs(&[command, "--help"]);
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(text.contains("ETAGFS_SECRET_ACCESS_KEY"));
        assert!(!text.contains("hidden-"), "{text}");
    }
}
