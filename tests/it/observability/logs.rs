//! The log: what is told, in which form, with which fields, and what never is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::Value as Json;

use super::lose_a_race;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::namespace;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Op, When};
use crate::world::servers::{self, Kind};

/// The lines of a log in JSON.
fn json(log: &str) -> Vec<Json> {
    let parsed = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    parsed.collect()
}

fn logging(level: &str) -> Result<Counted, String> {
    Counted::mount(|mount| mount.flat().log_level(level).arg("--log-format=json"))
}

#[test]
fn a_conflict_is_one_warning_with_store_key_and_versions() {
    let ground = or_skip!(logging("info"));
    lose_a_race(&ground, "key");
    let theirs = ground.other.head("key").unwrap().etag;
    let log = json(&ground.unmount().mount_log);
    let warnings: Vec<_> = log.iter().filter(|line| line["level"] == "WARN").collect();
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:#?}");
    };
    assert_eq!(warning["op"], "fsync");
    assert_eq!(warning["store"], "flat");
    assert_eq!(warning["key"], "key");
    assert_eq!(warning["found"], theirs);
    assert!(
        warning["expected"].is_string() && warning["rescue"].is_string(),
        "{warning}"
    );
    assert!(warning["pid"].is_u64(), "{warning}");
}

#[test]
fn a_key_with_a_line_feed_adds_no_line_to_the_log() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    let key = "key\n2026-01-01T00:00:00.000000Z ERROR all is lost\n";
    lose_a_race(&ground, key);
    let log = ground.unmount().mount_log;
    assert!(log.contains("somebody else saved first"), "{log}");
    assert!(
        log.contains("\\n2026-01-01T00:00:00.000000Z ERROR all is lost"),
        "{log}"
    );
    let forged = log.lines().any(|line| line.starts_with("2026-01-01"));
    assert!(!forged, "{log}");
}

#[test]
fn a_failed_request_is_one_warning_and_names_the_operation_that_made_it() {
    let ground = or_skip!(logging("debug"));
    ground.other.put("key", "value");
    ground.proxy.inject(
        When::op(Op::Get).key("key"),
        Fault::Answer(403, "AccessDenied"),
    );
    assert!(fs::read(ground.mount.file("key")).is_err());
    let log = json(&ground.unmount().mount_log);
    let failed: Vec<_> = log
        .iter()
        .filter(|line| line.get("outcome").is_some())
        .collect();
    let [failed] = failed.as_slice() else {
        panic!("{failed:#?}");
    };
    assert_eq!(failed["level"], "WARN");
    assert_eq!(
        (&failed["request"], &failed["object"]),
        (&"get".into(), &"key".into())
    );
    assert_eq!(
        (&failed["status"], &failed["sent"]),
        (&403.into(), &1.into())
    );
    assert!(failed["ms"].as_f64().unwrap() > 0.0);
    assert_eq!(failed["span"]["key"], "key", "{failed}");
}

#[test]
fn debug_tells_each_operation_and_trace_each_request() {
    let ground = or_skip!(logging("trace"));
    fs::write(ground.mount.file("key"), "value").unwrap();
    let log = json(&ground.unmount().mount_log);
    let of = |op: &str| {
        let mut lines = log
            .iter()
            .filter(|line| line["op"] == op && line.get("errno").is_some());
        lines
            .find(|line| line["key"] == "key")
            .unwrap_or_else(|| panic!("{op}: {log:#?}"))
    };
    for op in ["create", "write", "flush"] {
        let line = of(op);
        assert_eq!(line["level"], "DEBUG");
        assert_eq!(
            (&line["store"], &line["errno"]),
            (&"flat".into(), &"OK".into())
        );
        assert!(line["fh"].is_u64() && line["ms"].is_f64(), "{line}");
    }
    assert_eq!(of("write")["bytes"], 5);
    let put = log
        .iter()
        .find(|line| line["request"] == "put" && line["object"] == "key");
    let put = put.unwrap();
    assert_eq!(
        (&put["level"], &put["outcome"]),
        (&"TRACE".into(), &"ok".into())
    );
}

/// Values that nobody may ever read in a log.
const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYzSecretKeyForTests";
const TOKEN: &str = "FwoGZXIvYXdzEBYaDSessionTokenForTestsThatNobodyMayRead";

/// Every crate that sees them, at its lowest level, by name.
const EVERYTHING: &str = "trace,aws_config=trace,aws_credential_types=trace,aws_runtime=trace,\
aws_sdk_s3=trace,aws_sigv4=trace,aws_smithy_runtime=trace,aws_smithy_runtime_api=trace,\
aws_smithy_http_client=trace,hyper=trace,hyper_util=trace,rustls=trace";

#[test]
fn no_secret_is_in_the_log_not_even_at_the_lowest_level_of_every_crate() {
    or_skip!(mounts::possible());
    // It checks no signatures.
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let files = tempfile::tempdir().unwrap();
    let profile = files.path().join("credentials");
    let text = format!(
        "[here]\naws_access_key_id = AKIATEST\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    );
    fs::write(&profile, text).unwrap();
    let mount = || Mount::of(&bucket).flat().log_level(EVERYTHING);
    let ways = [
        mount()
            .env("AWS_ACCESS_KEY_ID", "AKIATEST")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_SESSION_TOKEN", TOKEN),
        mount()
            .env("AWS_SHARED_CREDENTIALS_FILE", profile)
            .arg("--profile=here"),
    ];
    for way in ways {
        let mount = way.start();
        fs::write(mount.file("key"), "value").unwrap();
        assert_eq!(fs::read(mount.file("key")).unwrap(), b"value");
        fs::remove_file(mount.file("key")).unwrap();
        let log = mount.unmount();
        // It says much, and the crates were heard.
        assert!(
            log.contains("AKIATEST") || log.contains("canonical") || log.len() > 20_000,
            "{log}"
        );
        let told: Vec<_> = log
            .lines()
            .filter(|line| line.contains(SECRET) || line.contains(TOKEN))
            .collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

/// The entries of systemd's native journal protocol: `NAME=value` lines, or `NAME`, the length in
/// eight bytes, and the value.
fn entry(mut datagram: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = datagram.iter().position(|byte| *byte == b'\n') {
        let line = &datagram[..end];
        datagram = &datagram[end + 1..];
        let (name, value) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (&line[..at], line[at + 1..].to_vec()),
            None => {
                let (length, rest) = datagram.split_at(8);
                let length =
                    usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
                datagram = &rest[length + 1..];
                (line, rest[..length].to_vec())
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        fields.insert(text(name), text(&value));
    }
    fields
}

/// The journal's socket has one name, which a mount namespace of the test's own puts elsewhere.
#[test]
fn below_systemd_each_field_is_a_field_of_the_journal() {
    or_skip!(mounts::possible());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can give the journal's socket another place");
    }
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    bucket.client().put("key", "value");
    let run = tempfile::tempdir().unwrap();
    fs::create_dir_all(run.path().join("systemd/journal")).unwrap();
    let journal = UnixDatagram::bind(run.path().join("systemd/journal/socket")).unwrap();
    journal
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let place = tempfile::tempdir().unwrap();
    let script = format!(
        r#"{alone}
set -e
mount --bind "{run}" /run
cd "{place}"; mkdir mnt state
exec 2> stderr
export JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr)
"{etagfs}" mount s3://{bucket} "{place}/mnt" --flat --endpoint-url {endpoint} --path-style --state-dir state --log debug &
until grep -q " {place}/mnt " /proc/self/mountinfo; do :; done
cat mnt/key; cat mnt/missing || true
until umount mnt; do :; done
wait
cat stderr"#,
        alone = namespace::ALONE,
        run = run.path().display(),
        place = place.path().display(),
        etagfs = env!("CARGO_BIN_EXE_etagfs"),
        bucket = bucket.name,
        endpoint = bucket.endpoint,
    );
    let running = Script::bash(r#"exec unshare --mount --propagation private bash -c "$SCRIPT""#)
        .env("SCRIPT", script)
        .env("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret)
        .start();
    // Whoever writes to a journal that nobody reads, waits.
    let mut entries = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let over = running.ended();
        match journal.recv(&mut buffer) {
            Ok(0) => {}
            Ok(length) => entries.push(entry(&buffer[..length])),
            Err(_) if over => break,
            Err(_) => {}
        }
    }
    let out = running.finish().ok();
    // What is in the journal is not told a second time.
    assert!(
        out.stdout.starts_with("value") && !out.stdout.contains("mounted"),
        "{out:#?}"
    );
    let find = |op: &str, errno: &str| {
        let is = |entry: &&BTreeMap<String, String>| {
            let field = |name: &str| entry.get(name).map(String::as_str).unwrap_or_default();
            field("ETAGFS_OP") == op && field("ETAGFS_ERRNO") == errno
        };
        entries
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{op} {errno}: {entries:#?}"))
    };
    let missing = find("lookup", "ENOENT");
    assert_eq!(missing["ETAGFS_KEY"], "missing");
    assert_eq!(missing["SYSLOG_IDENTIFIER"], "etagfs");
    assert_eq!(missing["PRIORITY"], "7");
    assert_eq!(find("read", "OK")["ETAGFS_BYTES"], "5");
    let mounted = entries
        .iter()
        .find(|entry| entry["MESSAGE"] == "mounted")
        .unwrap();
    assert_eq!(mounted["PRIORITY"], "6");
}
