//! Mounts that must not begin: one message that says what is wrong, one line that says what to do, and
//! an exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::{ETAGFS, command, says};
use crate::world::mounts::{self, Mount, is_mount_point};
use crate::world::procs::{Output, Script};
use crate::world::servers::{self, Bucket, Kind};

struct World {
    bucket: Bucket,
    base: tempfile::TempDir,
}

impl World {
    /// On the embedded server, which checks signatures.
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("mnt")).unwrap();
        Ok(Self { bucket, base })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    /// Mounts the bucket at `mnt` with further arguments.
    fn mount(&self, arguments: &str) -> Output {
        self.run(&format!("s3://{} mnt {arguments}", self.bucket.name))
    }

    fn run(&self, arguments: &str) -> Output {
        let out = command(
            &self.bucket,
            &self.at("state"),
            &format!("mount {arguments}"),
        )
        .within(self.base.path())
        .run();
        assert!(!is_mount_point(&self.at("mnt")), "{out:#?}");
        out
    }
}

#[test]
fn directories_that_cannot_be_mounted_on() {
    let world = or_skip!(World::new());
    let source = format!("s3://{}", world.bucket.name);
    says(
        &world.run(&format!("{source} missing")),
        1,
        &["missing does not exist", "mkdir -p"],
    );
    fs::write(world.at("file"), "").unwrap();
    says(
        &world.run(&format!("{source} file")),
        1,
        &["file is not a directory"],
    );
    fs::create_dir_all(world.at("full/inner")).unwrap();
    says(
        &world.run(&format!("{source} full")),
        1,
        &["full is not empty", "empty directory"],
    );
    assert!(world.at("full/inner").exists());
}

#[test]
fn a_mount_on_a_mount() {
    let world = or_skip!(World::new());
    let first = Mount::of(&world.bucket).flat().start();
    let arguments = format!("s3://{} '{}'", world.bucket.name, first.path().display());
    let out = command(
        &world.bucket,
        &world.at("state"),
        &format!("mount {arguments}"),
    )
    .run();
    says(&out, 1, &["is mounted at", "already", "etagfs umount"]);
    first.unmount();
}

#[test]
fn buckets_that_are_missing_or_denied() {
    let mut world = or_skip!(World::new());
    says(
        &world.run("s3://nosuchbucket mnt"),
        1,
        &["the bucket nosuchbucket does not exist", "check its name"],
    );
    let missing = uuid::Uuid::new_v4().to_string();
    let out = world.mount(&format!("--store {missing}"));
    says(&out, 1, &["has no store", "etagfs stores create"]);
    world.bucket.keys.secret = "wrong".to_owned();
    says(&world.mount(""), 1, &["denied", "AWS_SECRET_ACCESS_KEY"]);
    world.bucket.keys.id = "wrong".to_owned();
    says(&world.mount(""), 1, &["denied", "AWS_ACCESS_KEY_ID"]);
    says(&world.mount("--no-sign-request"), 1, &["denied"]);
}

#[test]
fn endpoints_that_are_wrong_or_closed() {
    let mut world = or_skip!(World::new());
    for (url, code, words) in [
        // To try again would not help.
        ("127.0.0.1:9", 2, ["http://", "--endpoint-url"]),
        ("ftp://host", 2, ["ftp://host", "--endpoint-url"]),
        ("http://", 2, ["http://", "--endpoint-url"]),
        // Nobody listens there: the port is privileged and unassigned.
        (
            "http://127.0.0.1:2",
            1,
            ["Connection refused", "--endpoint-url"],
        ),
        ("http://host.invalid", 1, ["dns error", "--endpoint-url"]),
    ] {
        url.clone_into(&mut world.bucket.endpoint);
        let out = world.mount("");
        println!("{}", out.stderr);
        says(&out, code, &words);
    }
}

#[test]
fn wrong_usage_is_told_before_anything_is_asked() {
    let mut world = or_skip!(World::new());
    // Whoever asks it hears nothing.
    "http://127.0.0.1:2".clone_into(&mut world.bucket.endpoint);
    says(&world.run("bucket mnt"), 2, &["bucket", "s3://BUCKET"]);
    says(&world.run("s3:// mnt"), 2, &["s3://BUCKET"]);
    for arguments in [
        "--store nonsense",
        "--ttl=-1",
        "--ttl=x",
        "--deadline=0",
        "--log=a,,=",
        "--file-mode=999",
        "--cache-size=1X",
        "--nonsense",
        "--flat --store 6f1c2d3e-0000-4000-8000-000000000000",
    ] {
        let out = world.mount(arguments);
        assert_eq!(out.code, Some(2), "{out:#?}");
        let option = arguments.split(['=', ' ']).next().unwrap();
        let named = out.stderr.contains(option) || option == "--log" && out.stderr.contains("log");
        assert!(named, "{out:#?}");
    }
    let out = Script::bash(&format!("exec '{ETAGFS}' mount s3://bucket")).run();
    assert_eq!(out.code, Some(2), "{out:#?}");
}

#[test]
fn a_server_without_conditions_is_mounted_for_reading_only() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::S3rver)).bucket();
    bucket.client().put("key", "value");
    let base = tempfile::tempdir().unwrap();
    let arguments = format!("mount s3://{} '{}'", bucket.name, base.path().display());
    let state = tempfile::tempdir().unwrap();
    let out = command(&bucket, state.path(), &arguments).run();
    says(&out, 1, &["conditional", "--read-only"]);
    assert_eq!(bucket.client().keys(), ["key"], "the probe left something");

    let mount = Mount::of(&bucket).flat().read_only().start();
    assert_eq!(fs::read_to_string(mount.file("key")).unwrap(), "value");
    let refused = fs::write(mount.file("key"), "x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(fs::remove_file(mount.file("key")).is_err());
    mount.unmount();
    assert_eq!(bucket.client().text("key"), "value");
}

/// The mount of a user who is not root, with this PATH.
fn as_nobody(world: &World, path: &str) -> Output {
    // Where everybody may go.
    for name in ["", "mnt"] {
        fs::set_permissions(world.at(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    // By another process: a program that is open for writing cannot be executed, and any process that
    // another test starts meanwhile would inherit our descriptor of it.
    let copy = format!("cp '{ETAGFS}' '{}'", world.at("etagfs").display());
    Script::bash(&copy).run().ok();
    let command = format!(
        "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
export AWS_ACCESS_KEY_ID='{}' AWS_SECRET_ACCESS_KEY='{}' AWS_REGION=us-east-1 HOME=/nonexistent
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
exec setpriv --reuid 65534 --regid 65534 --clear-groups env PATH='{path}' \
'{base}/etagfs' mount s3://{} '{base}/mnt' --endpoint-url {} --state-dir '{base}/state'",
        world.bucket.keys.id,
        world.bucket.keys.secret,
        world.bucket.name,
        world.bucket.endpoint,
        base = world.base.path().display(),
    );
    Script::bash(&command).run()
}

#[test]
fn a_user_without_fusermount_is_told_which_package_to_install() {
    let world = or_skip!(World::new());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can become nobody");
    }
    let out = as_nobody(&world, "/nonexistent");
    says(&out, 1, &["fusermount3 is missing", "install", "fuse3"]);
}

#[test]
fn a_user_without_access_to_dev_fuse_is_told_so() {
    let world = or_skip!(World::new());
    let mode = fs::metadata("/dev/fuse").unwrap().permissions().mode();
    if !rustix::process::geteuid().is_root() || mode & 0o006 == 0o006 {
        skip!("everybody here may use /dev/fuse");
    }
    let out = as_nobody(&world, "/usr/bin:/bin");
    says(&out, 1, &["could not be mounted", "/dev/fuse"]);
}
