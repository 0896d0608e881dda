//! The commands around a mount: `probe`, `stores`, `rescue`.

use std::fs;

use super::{command, etagfs, says};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Output;
use crate::world::rescues;
use crate::world::servers::{self, Bucket, Kind};

#[test]
fn probe_tells_the_truth_about_every_server() {
    let state = tempfile::tempdir().unwrap();
    for kind in Kind::ALL {
        let bucket = or_skip!(servers::shared(kind)).bucket();
        let probe = |options: &str| {
            let arguments = format!("probe s3://{} {options}", bucket.name);
            command(&bucket, state.path(), &arguments).run()
        };
        let (text, json) = (probe(""), probe("--json"));
        println!("{kind:?}: {}{}", text.stdout, json.stdout);
        let found: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        if kind == Kind::S3rver {
            says(&text, 1, &["conditional", "--read-only"]);
            assert_eq!(
                (json.code, &found["conditional"]),
                (Some(1), &"none".into())
            );
        } else {
            assert!(text.stdout.contains("safe to write"), "{text:#?}");
            assert_eq!((text.code, json.code), (Some(0), Some(0)));
            assert_ne!(found["conditional"], "none");
            assert_eq!(found["keeps_put_id"], true);
        }
        assert!(bucket.client().keys().is_empty(), "a probe left something");
    }
}

fn stores(bucket: &Bucket, arguments: &str) -> Output {
    let state = tempfile::tempdir().unwrap();
    let (verb, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let arguments = format!("stores {verb} s3://{} {rest}", bucket.name);
    command(bucket, state.path(), &arguments).run()
}

#[test]
fn stores_are_listed_created_looked_for_and_removed() {
    for kind in Kind::CONDITIONAL {
        let bucket = or_skip!(servers::shared(kind)).bucket();
        assert_eq!(stores(&bucket, "ls").ok().stdout, "");
        let created = stores(&bucket, "create").ok().stdout;
        let id = created.trim_end();
        assert_eq!(stores(&bucket, "ls").ok().stdout, format!("{id}  plain\n"));
        let json = stores(&bucket, "ls --json").ok().stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, serde_json::json!({ "store": id, "layout": "plain" }));
        stores(&bucket, &format!("exists {id}")).ok();

        let again = stores(&bucket, &format!("create {id}"));
        assert_eq!(again.code, Some(75), "{again:#?}");
        assert!(again.stderr.contains("exists"), "{again:#?}");

        bucket.client().put(&format!("{id}/key"), "value");
        let full = stores(&bucket, &format!("rm {id}"));
        assert_eq!(full.code, Some(1), "{full:#?}");
        assert!(full.stderr.contains("not empty"), "{full:#?}");
        assert_eq!(bucket.client().text(&format!("{id}/key")), "value");

        bucket.client().delete(&format!("{id}/key"));
        stores(&bucket, &format!("rm {id}")).ok();
        let gone = stores(&bucket, &format!("exists {id}"));
        assert_eq!(gone.code, Some(66), "{gone:#?}");
        assert!(gone.stderr.contains(id), "{gone:#?}");
        assert!(bucket.client().keys().is_empty());
        says(
            &stores(&bucket, "create nonsense"),
            2,
            &["nonsense", "UUID"],
        );
    }
}

#[test]
fn stores_of_a_bucket_that_is_missing() {
    let mut bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    bucket.name = "nosuchbucket".to_owned();
    for arguments in [
        "ls",
        "create",
        "exists 6f1c2d3e-0000-4000-8000-000000000000",
    ] {
        let out = stores(&bucket, arguments);
        says(&out, 1, &["nosuchbucket"]);
        assert_eq!(out.stdout, "");
    }
}

#[test]
fn rescues_are_listed_shown_and_dropped() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let other = bucket.client();
    let state = tempfile::tempdir().unwrap();
    let at = state.path().display();
    let rescue = |arguments: &str| etagfs(&format!("rescue {arguments} --state-dir '{at}'"));
    assert_eq!(rescue("ls").ok().stdout, "");

    let mount = Mount::of(&bucket).flat().state_dir(state.path()).start();
    for key in ["one", "two"] {
        other.put(key, "old");
        let lose = format!(
            "f = os.open('{key}', os.O_RDWR); os.write(f, b'lost {key}\\0')
t = os.open('{key}', os.O_WRONLY | os.O_TRUNC); os.fsync(t); os.close(t); os.close(f)"
        );
        assert_eq!(attempt(mount.path(), &lose), "EAGAIN");
    }
    let listed = rescue("ls").ok().stdout;
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    let name = format!("s3://{}/one", bucket.name);
    assert!(
        lines[0].contains(&name) && lines[1].contains("/two "),
        "{listed}"
    );
    let ids = rescues::of(state.path()).into_iter().map(|one| one.id);
    let ids: Vec<_> = ids.collect();
    assert!(lines[0].starts_with(&ids[0]));
    assert_eq!(
        rescue(&format!("show {}", ids[0])).ok().stdout,
        "lost one\0"
    );
    let kept = fs::read_to_string(mount.file(".etagfs/rescue").join(&ids[1])).unwrap();
    assert_eq!(kept, "lost two\0");
    mount.unmount();

    says(
        &rescue("show nonsense"),
        1,
        &["no rescue nonsense", "etagfs rescue ls"],
    );
    says(
        &rescue("drop nonsense"),
        1,
        &["no rescue nonsense", "etagfs rescue ls"],
    );
    says(&rescue("show ../one"), 1, &["no rescue"]);
    assert_eq!(rescue("drop").code, Some(2));
    rescue(&format!("drop {}", ids[0])).ok();
    assert_eq!(rescues::of(state.path()).len(), 1);
    assert_eq!(rescue(&format!("show {}", ids[0])).code, Some(1));
    rescue("drop --all").ok();
    assert_eq!(rescue("ls").ok().stdout, "");
    let left = fs::read_dir(state.path().join("rescue")).unwrap().count();
    assert_eq!(left, 0, "bytes are left");
}
