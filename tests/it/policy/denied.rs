//! What is said where something is not allowed: at the mount, and in the middle.

use std::fs;
use std::io;

use crate::world::client::Keys;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::servers::{self, Bucket, Kind};

const EACCES: i32 = 13;

fn ground() -> Result<(Bucket, Proxy), String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    Ok((bucket, proxy))
}

/// What the attempt to mount said.
fn refused(mount: Mount) -> String {
    let failed = mount.try_start().unwrap_err();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(1));
    failed.log
}

#[test]
fn read_only_credentials_are_told_what_is_missing_and_what_to_do() {
    let (bucket, proxy) = or_skip!(ground());
    for op in [Op::Put, Op::Delete] {
        proxy.heal();
        proxy.inject(When::op(op), Fault::access_denied());
        let log = refused(Mount::of(&bucket).through(&proxy).flat());
        let told: Vec<_> = log
            .lines()
            .skip_while(|line| !line.starts_with("etagfs:"))
            .collect();
        assert_eq!(told.len(), 2, "one line, and what to do: {log}");
        for part in ["may not be written to", "AccessDenied", "the environment"] {
            assert!(told[0].contains(part), "{part}: {log}");
        }
        for part in ["--read-only", "s3:PutObject", "s3:DeleteObject"] {
            assert!(told[1].contains(part), "{part}: {log}");
        }
    }
    // And so it works.
    let mount = Mount::of(&bucket).through(&proxy).flat().read_only();
    mount.start().unmount();
}

#[test]
fn what_other_keys_were_allowed_is_not_believed_of_these() {
    let (bucket, proxy) = or_skip!(ground());
    let state = tempfile::tempdir().unwrap();
    let mount = || {
        Mount::of(&bucket)
            .through(&proxy)
            .flat()
            .state_dir(state.path())
    };
    mount().start().unmount();
    proxy.inject(When::op(Op::Put), Fault::access_denied());
    // The same keys are believed for a day, and told by their first save.
    mount().start().unmount();
    let keys = &bucket.keys;
    let others = mount()
        .without_keys()
        .env("ETAGFS_ACCESS_KEY_ID", &keys.id)
        .env("ETAGFS_SECRET_ACCESS_KEY", &keys.secret);
    // Keys by another way are the same keys; a profile is somebody else.
    others.start().unmount();
    let log = refused(
        mount()
            .env("AWS_SHARED_CREDENTIALS_FILE", profile(state.path(), keys))
            .without_keys()
            .arg("--profile=other"),
    );
    assert!(log.contains("may not be written to"), "{log}");
}

/// A file in which the profile `other` has these keys.
fn profile(directory: &std::path::Path, keys: &Keys) -> std::path::PathBuf {
    let file = directory.join("credentials");
    let text = format!(
        "[other]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        keys.id, keys.secret
    );
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn credentials_that_may_not_list_are_told_so() {
    let (bucket, proxy) = or_skip!(ground());
    proxy.inject(When::op(Op::List), Fault::access_denied());
    let log = refused(Mount::of(&bucket).through(&proxy).flat());
    assert!(
        log.contains("denied") && log.contains("s3:ListBucket"),
        "{log}"
    );
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// A file operation.
type Call = fn(&Mounted) -> io::Result<()>;

fn mounted(bucket: &Bucket, proxy: &Proxy) -> Mounted {
    bucket.client().put("key", "one");
    bucket.client().put("dir/a", "one");
    Mount::of(bucket)
        .through(proxy)
        .flat()
        .arg("--ttl=0")
        .start()
}

/// What S3 says of a request that it denies, with the id of the request.
fn denial() -> Fault {
    Fault::edit(|head, body| {
        head.status = hyper::StatusCode::FORBIDDEN;
        head.headers
            .insert("x-amz-request-id", "THE-REQUEST-ID".parse().unwrap());
        *body = "<Error><Code>AccessDenied</Code><Message>not you</Message></Error>".into();
    })
}

#[test]
fn a_denial_in_the_middle_is_eacces_and_its_request_id_is_in_the_log() {
    let (bucket, proxy) = or_skip!(ground());
    let cases: [(Op, Call); 4] = [
        (Op::List, |mount| fs::metadata(mount.file("key")).map(drop)),
        (Op::List, |mount| fs::read_dir(mount.file("dir")).map(drop)),
        (Op::Put, |mount| {
            use std::io::Write as _;
            let mut file = fs::File::create(mount.file("new"))?;
            file.write_all(b"x")?;
            file.sync_all()
        }),
        (Op::Delete, |mount| fs::remove_file(mount.file("key"))),
    ];
    for (op, call) in cases {
        proxy.heal();
        let mount = mounted(&bucket, &proxy);
        proxy.inject(When::op(op), denial());
        assert_eq!(errno(call(&mount)), Some(EACCES), "{op}");
        let log = mount.log();
        let line = log.lines().find(|line| line.contains("THE-REQUEST-ID"));
        let line = line.unwrap_or_else(|| panic!("{op}: no request id in {log}"));
        assert!(
            line.contains("denied") && line.contains("AccessDenied"),
            "{line}"
        );
        proxy.heal();
        mount.unmount();
    }
}

#[test]
fn a_denied_get_is_eacces_and_never_an_empty_file() {
    let (bucket, proxy) = or_skip!(ground());
    let mount = mounted(&bucket, &proxy);
    proxy.inject(When::op(Op::Get), denial());
    assert_eq!(errno(fs::read(mount.file("key"))), Some(EACCES));
    assert!(mount.log().contains("THE-REQUEST-ID"));
    mount.unmount();
}

#[test]
fn the_bytes_of_a_denied_save_are_rescued() {
    use std::io::Write as _;
    let (bucket, proxy) = or_skip!(ground());
    let mount = mounted(&bucket, &proxy);
    let mut file = fs::File::create(mount.file("key")).unwrap();
    file.write_all(b"precious").unwrap();
    proxy.inject(When::op(Op::Put), denial());
    assert_eq!(errno(file.sync_all()), Some(EACCES));
    let rescued = crate::world::rescues::of_key(mount.state_dir(), "key");
    assert_eq!(rescued, ["precious"]);
    drop(file);
    proxy.heal();
    mount.unmount();
}
