//! What a bucket can do beyond its objects: keep versions, sign addresses, come and go.

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use super::{Desk, fails};
use crate::world::proxy::{Fault, Gate, When};
use crate::world::servers::Kind;

#[test]
fn old_versions_are_listed_and_read() {
    let desk = or_skip!(Desk::on(Kind::Ministack));
    let configuration = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let enable = desk
        .other
        .sdk()
        .put_bucket_versioning()
        .bucket(desk.other.bucket())
        .versioning_configuration(configuration);
    desk.other.block_on(enable.send()).unwrap();

    for value in ["one", "two", "three"] {
        desk.says(&format!("printf {value} | etagfs put $S/key"));
    }
    desk.says("printf x | etagfs put $S/key2; etagfs rm $S/key");
    let out = desk.says("etagfs versions --json $S/key");
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert_eq!(
        (&lines[0]["deleted"], &lines[0]["newest"]),
        (&true.into(), &true.into())
    );
    let mut values = Vec::new();
    for line in &lines[1..] {
        let id = line["version_id"].as_str().unwrap();
        let get = desk
            .run(&format!("etagfs get --etag --version {id} $S/key"))
            .ok();
        assert_eq!(get.stderr.trim(), line["etag"]);
        values.push(get.stdout);
    }
    values.sort();
    assert_eq!(values, ["one", "three", "two"]);
    assert_eq!(desk.says("etagfs versions $S/key | wc -l"), "4\n");
    // What was deleted by mistake comes back.
    let oldest = lines[3]["version_id"].as_str().unwrap();
    desk.says(&format!(
        "etagfs get --version {oldest} $S/key | etagfs create $S/key"
    ));
    fails(
        &desk.run("etagfs versions $S/none"),
        66,
        &["/none does not exist"],
    );
    let wrong = desk.run("etagfs get --version 00000000-0000-0000-0000-000000000000 $S/key");
    assert!(matches!(wrong.code, Some(1 | 66)), "{wrong:#?}");
    assert_eq!(wrong.stdout, "");
}

#[test]
fn a_server_without_versions_says_so() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "value");
    let out = desk.run("etagfs versions $S/key");
    fails(&out, 1, &["/key"]);
    let path = desk.run("etagfs versions /etc/hostname");
    fails(&path, 2, &["is a path", "s3://"]);
}

#[test]
fn a_signed_address_reads_and_writes_without_credentials() {
    // Its signatures are checked by an independent server.
    let desk = or_skip!(Desk::on(Kind::Seaweed));
    let etag = desk.other.put(&desk.object("a key"), "value");
    let curl = |script: &str| desk.script(&format!("set -o pipefail; {script}")).run();
    let get = curl("curl -sSf \"$(etagfs presign \"$S/a key\" --expires 10m)\"").ok();
    assert_eq!(get.stdout, "value");
    curl("curl -sSf -T - \"$(etagfs presign --put $S/new)\" <<< new").ok();
    assert_eq!(desk.other.text(&desk.object("new")), "new\n");

    let put = format!(
        "out=$(etagfs presign --put --if-match '{etag}' --json \"$S/a key\")
         url=$(jq -r .url <<< $out); header=\"if-match: $(jq -r '.headers.\"if-match\"' <<< $out)\"
         curl -sS -o /dev/null -w '%{{http_code}} ' -T - \"$url\" <<< forged
         curl -sS -o /dev/null -w '%{{http_code}} ' -T - -H \"$header\" \"$url\" <<< second
         curl -sS -o /dev/null -w '%{{http_code}} ' -T - -H \"$header\" \"$url\" <<< third"
    );
    assert_eq!(curl(&put).ok().stdout, "403 200 412 ");
    assert_eq!(desk.other.text(&desk.object("a key")), "second\n");
    let konserve = desk.run("etagfs presign --store-layout konserve $S/key");
    fails(&konserve, 1, &["konserve"]);
}

#[test]
fn buckets_come_and_go() {
    for kind in Kind::CONDITIONAL {
        let desk = or_skip!(Desk::on(kind));
        let script = "set -e; new=$B-new; etagfs bucket create $new
            key=$new/$(etagfs stores create $new)/key; echo 1 | etagfs create $key > /dev/null
            if etagfs bucket rm $new 2> why; then exit 9; fi; cat why; rm why
            etagfs stores rm $new ${key#$new/} 2>/dev/null || etagfs rm $key
            etagfs stores ls $new | while read id _; do etagfs stores rm $new $id; done
            etagfs bucket rm $new; etagfs stores ls $new && exit 9 || true";
        let dir = tempfile::tempdir().unwrap();
        let out = desk.script(script).within(dir.path()).run().ok();
        assert!(out.stdout.contains("is not empty"), "{kind:?}: {out:#?}");
    }
}

#[test]
fn removing_a_bucket_ends_in_time_when_nobody_answers() {
    let desk = or_skip!(Desk::new());
    let hole = Fault::BlackHole(Gate::new());
    let _hole = desk.proxy.inject(When::any(), hole);
    let out = desk.run("etagfs bucket rm --deadline 1 $B");
    fails(&out, 1, &["no answer about"]);
}

#[test]
fn a_store_is_copied_with_everything_in_it() {
    let desk = or_skip!(Desk::new());
    desk.says(
        "set -e; for k in a b/c 'd e'; do printf \"$k\" | etagfs put \"$S/$k\" --content-type text/x; done
         etagfs bucket create $B-two",
    );
    let copy = desk.says("etagfs stores copy $S $B-two");
    assert_eq!(
        copy,
        format!("s3://{}-two/{}\n", desk.bucket.name, desk.store)
    );
    let same = desk.says("etagfs ls -R $S > one; etagfs ls -R $B-two/${S##*/} > two; cmp one two && wc -l < two; rm one two");
    assert_eq!(same, "3\n");
    let json = "etagfs stat --json \"$B-two/${S##*/}/d e\" | jq -r .content_type";
    assert_eq!(desk.says(json), "text/x\n");
    // In the same place a copy needs another name, and gets one.
    let here = desk.says("etagfs stores copy $S $B");
    assert_ne!(here.trim().rsplit('/').next(), Some(&*desk.store));
    fails(
        &desk.run("etagfs stores copy $S $S"),
        2,
        &["is the store itself"],
    );

    let again = "etagfs stores copy $S $B-two";
    fails(&desk.run(again), 1, &["exists", "--resume"]);
    desk.says("etagfs rm $B-two/${S##*/}/a; echo theirs | etagfs put $B-two/${S##*/}/b/c");
    let resumed = desk.run(&format!("{again} --resume --json"));
    fails(&resumed, 1, &["1 objects", "/b/c", "left as they are"]);
    let json: serde_json::Value = serde_json::from_str(&resumed.stdout).unwrap();
    assert_eq!((&json["made"], &json["same"]), (&1.into(), &1.into()));
    assert_eq!(desk.says("etagfs get $B-two/${S##*/}/b/c"), "theirs\n");
    let missing = "etagfs stores copy $B/6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e $B-two";
    fails(&desk.run(missing), 1, &["6d1a3c5e"]);
}
