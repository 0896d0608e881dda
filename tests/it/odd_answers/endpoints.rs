//! Where a bucket is: a server below a path, a bucket that is elsewhere for its first hours, and one that
//! is no bucket.

use std::fs;

use super::{World, names};
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::servers::{self, Kind};

/// Where gateways serve S3.
const BASE: &str = "/storage/v1/s3";

#[test]
fn a_server_below_a_path_is_found_whoever_names_it() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let proxy = Proxy::below(BASE, &bucket.endpoint);
    let other = bucket.client();
    let store = uuid::Uuid::new_v4().to_string();
    other.put(&format!("{store}/a b"), "value");
    let url = proxy.endpoint();
    for url in [url.clone(), format!("{url}/")] {
        for source in [
            "export ETAGFS_ENDPOINT_URL=$URL",
            "export AWS_ENDPOINT_URL=$URL",
            "export AWS_ENDPOINT_URL_S3=$URL",
            "printf '[default]\\nendpoint_url = %s\\n' $URL > conf; export AWS_CONFIG_FILE=$PWD/conf",
            "printf '[default]\\nservices = x\\n[services x]\\ns3 =\\n  endpoint_url = %s\\n' $URL > conf; export AWS_CONFIG_FILE=$PWD/conf",
        ] {
            let state = tempfile::tempdir().unwrap();
            let script = format!(
                "unset ETAGFS_ENDPOINT_URL; cd {}; {source}
                etagfs get \"$S/a b\"; etagfs stat \"$S/a b\" > /dev/null
                echo new | etagfs put $S/new > /dev/null; etagfs ls $S; etagfs rm $S/new; etagfs probe $B",
                state.path().display()
            );
            let out = crate::world::cli::script(&bucket, state.path(), &script)
                .env("URL", &url)
                .env("S", format!("s3://{}/{store}", bucket.name))
                .env("B", format!("s3://{}", bucket.name))
                .run()
                .ok();
            assert!(
                out.stdout.starts_with("valuea b\nnew\n"),
                "{source}: {out:#?}"
            );
        }
        let mount = Mount::of(&bucket).at_url(&url).store(&store).start();
        assert_eq!(names(&mount).unwrap(), ["a b"]);
        fs::write(mount.file("a b"), "mine").unwrap();
        fs::write(mount.file("gone"), "").unwrap();
        fs::remove_file(mount.file("gone")).unwrap();
        mount.unmount();
        assert_eq!(other.text(&format!("{store}/a b")), "mine");
        other.put(&format!("{store}/a b"), "value");
    }
    let astray = proxy
        .log()
        .0
        .iter()
        .filter(|record| record.fault.is_some())
        .count();
    assert_eq!(astray, 0, "{}", proxy.log());
}

#[test]
fn an_endpoint_that_is_no_url_of_a_server_is_named_whoever_names_it() {
    let world = or_skip!(World::new());
    for bad in ["localhost:9000", "http://h:9000/?x=y", "http://"] {
        for source in [
            "ETAGFS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_S3",
        ] {
            let out = world.run(&format!(
                "unset ETAGFS_ENDPOINT_URL; export {source}={bad}; etagfs ls $S"
            ));
            assert_ne!(out.code, Some(0), "{source}={bad}: {out:#?}");
            assert!(
                out.stderr.contains(&format!("the endpoint {bad}")),
                "{source}={bad}: {out:#?}"
            );
        }
    }
}

#[test]
fn a_young_bucket_is_followed_to_where_it_is() {
    let world = or_skip!(World::new());
    let there = Proxy::to(&world.direct);
    let large = vec![b'x'; 300_000];
    world.put("large", large.clone());
    let away = world
        .proxy
        .inject(When::any(), Fault::Redirect(307, there.endpoint()));
    let mount = world.mount().start();
    assert_eq!(names(&mount).unwrap(), ["key", "large"]);
    assert_eq!(fs::read(mount.file("key")).unwrap(), b"value");
    assert!(fs::read(mount.file("large")).unwrap() == large);
    let mark = there.mark();
    fs::write(mount.file("key"), "mine").unwrap();
    fs::write(mount.file("new"), "new").unwrap();
    fs::remove_file(mount.file("large")).unwrap();
    let counts = there.since(mark).counts();
    assert_eq!((counts.of(Op::Put), counts.of(Op::Delete)), (2, 1));
    mount.unmount();
    // Only the first of each client asks in vain.
    println!(
        "{} requests were sent elsewhere, {} there",
        away.struck(),
        there.log().0.len()
    );
    assert!(away.struck() < 5, "{}", world.proxy.log());
    assert_eq!(world.other.text(&world.object("key")), "mine");
    // Each command begins at the address that it was told. A write is sent there once.
    let mark = there.mark();
    assert_eq!(
        world.says("etagfs get $S/key; printf new | etagfs put $S/key > /dev/null; etagfs rm $S/new; etagfs ls $S"),
        "minekey\n"
    );
    let counts = there.since(mark).counts();
    assert_eq!((counts.of(Op::Put), counts.of(Op::Delete)), (1, 1));
}

#[test]
fn nobody_is_followed_in_circles_or_into_nowhere() {
    let world = or_skip!(World::new());
    let back = Proxy::to(&world.direct);
    back.inject(When::any(), Fault::Redirect(307, world.proxy.endpoint()));
    world
        .proxy
        .inject(When::any(), Fault::Redirect(307, back.endpoint()));
    for script in [
        "etagfs ls $S",
        "etagfs get $S/key",
        "echo 1 | etagfs put $S/key",
    ] {
        let mark = world.proxy.mark();
        let out = world.run(script);
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        assert!(out.stderr.contains("307"), "{script}: {out:#?}");
        let asked = world.proxy.since(mark).0.len();
        assert!(asked < 10, "{script}: {asked}");
    }
    world.proxy.heal();
    assert_eq!(world.says("etagfs get $S/key"), "value");
}

#[test]
fn an_arn_is_no_bucket_and_the_message_says_what_is() {
    let world = or_skip!(World::new());
    for arn in [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/mine",
        "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-1/accesspoint/mine",
        "arn:aws:s3:::bucket",
    ] {
        for script in [
            "etagfs ls s3://$ARN",
            "etagfs get s3://$ARN/6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e/key",
            "etagfs stores ls s3://$ARN",
            "etagfs probe s3://$ARN",
            "mkdir m && etagfs mount s3://$ARN m",
        ] {
            let state = tempfile::tempdir().unwrap();
            let script = format!("cd {}; ARN={arn}; {script}", state.path().display());
            let out = world.run(&script);
            assert_eq!(out.code, Some(2), "{script}: {out:#?}");
            assert!(
                out.stderr.contains("is an ARN") && out.stderr.contains("alias"),
                "{out:#?}"
            );
        }
    }
    let asked = world.proxy.log().0.len();
    assert_eq!(asked, 0, "{}", world.proxy.log());
}
