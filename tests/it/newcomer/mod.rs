//! Errors that a new user makes: each is one line that says what is wrong with what, and one that says
//! what to do. The table of them is a report.
//!
//! A row names the cause that chooses the hint, the exit code, what the user typed or the system reported, and what
//! the hint gives to type: options, variables, commands. Our own sentences may change.

mod commands;
mod servers_gone_wrong;

use std::fs;
use std::path::Path;

use servers_gone_wrong::Canned;

use crate::world::mounts::{self, Mount, is_mount_point};
use crate::world::namespace::ALONE;
use crate::world::procs::{Output, Script};
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::{cli, report};

/// A user with a bucket on a server that checks signatures, and a directory.
struct User {
    bucket: Bucket,
    home: tempfile::TempDir,
    /// Seconds for each operation in the store.
    deadline: &'static str,
    /// What was told, for the report.
    table: Vec<[String; 4]>,
}

/// What an error is to be.
struct Expected<'a> {
    /// The exit code.
    code: i32,
    /// The name of the cause that chose the hint, as `docs/operations.md` lists them.
    cause: &'a str,
    /// What the message holds of what the user typed, or of what the server or the system reported.
    message: &'a [&'a str],
    /// What the hint gives to type.
    hint: &'a [&'a str],
}

/// An error with the exit code 1.
fn fails<'a>(cause: &'a str, message: &'a [&'a str], hint: &'a [&'a str]) -> Expected<'a> {
    Expected {
        code: 1,
        cause,
        message,
        hint,
    }
}

/// An error of the arguments or the environment: the exit code is 2.
fn is_misused<'a>(cause: &'a str, message: &'a [&'a str], hint: &'a [&'a str]) -> Expected<'a> {
    Expected {
        code: 2,
        ..fails(cause, message, hint)
    }
}

impl User {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("mnt")).unwrap();
        Ok(Self {
            bucket,
            home,
            deadline: "60",
            table: Vec::new(),
        })
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    /// A shell script that is to fail as expected.
    #[track_caller]
    fn errs(&mut self, what: &str, script: &str, expected: &Expected<'_>) {
        let out = self.run(script);
        assert!(!is_mount_point(&self.path().join("mnt")), "{out:#?}");
        self.told(what, script, &out, expected);
    }

    fn run(&self, script: &str) -> Output {
        cli::script(&self.bucket, &self.path().join("state"), script)
            .env("B", format!("s3://{}", self.bucket.name))
            .env("ETAGFS_DEADLINE", self.deadline)
            // The line with the cause, and no other.
            .env("ETAGFS_LOG", "off,etagfs::cli::report=debug")
            .within(self.path())
            .run()
    }

    #[track_caller]
    fn told(&mut self, what: &str, script: &str, out: &Output, expected: &Expected<'_>) {
        println!("{what}\n  $ {script}\n{}", out.stderr);
        assert_eq!(out.code, Some(expected.code), "{out:#?}");
        assert_eq!(out.stdout, "");
        let lines: Vec<_> = out.stderr.lines().collect();
        let [log, message, hint] = lines[..] else {
            panic!("{out:#?}");
        };
        let cause = format!(" cause=\"{}\"", expected.cause);
        assert!(log.ends_with(&cause), "{cause} is not in {out:#?}");
        let message = message
            .strip_prefix("etagfs: ")
            .unwrap_or_else(|| panic!("{out:#?}"));
        let hint = hint
            .strip_prefix("  ")
            .unwrap_or_else(|| panic!("{out:#?}"));
        // Words for people, not the structures and the layers of a program.
        for inside in [
            " { ",
            "dispatch failure",
            "io error",
            "os error 2)",
            "(Connect)",
            "unwrap",
        ] {
            assert!(!message.contains(inside), "{inside:?}: {out:#?}");
        }
        for word in expected.message {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        for word in expected.hint {
            assert!(hint.contains(word), "{word:?} is not in {hint:?}");
        }
        self.table
            .push([what, script, message, hint].map(str::to_owned));
    }

    fn write(&self, name: &str) {
        let lines = self.table.iter().map(|[what, script, message, hint]| {
            let message = message.replace(&self.bucket.name, "BUCKET");
            let message = message.replace(&self.path().display().to_string(), "~");
            format!("{what}\n    $ {script}\n    etagfs: {message}\n      {hint}\n")
        });
        report::write(name, &lines.collect::<String>());
    }
}

#[test]
fn buckets_servers_and_regions_that_are_wrong() {
    let mut user = or_skip!(User::new());
    // Some are asked again until it is over.
    user.deadline = "3";
    user.errs(
        "the bucket does not exist",
        "etagfs mount s3://nosuchbucket mnt",
        &fails(
            "no-bucket",
            &["nosuchbucket"],
            &["etagfs bucket create s3://nosuchbucket"],
        ),
    );
    user.errs(
        "nothing listens there",
        "etagfs mount $B mnt --endpoint-url http://127.0.0.1:2",
        &fails(
            "nothing-listens",
            &["http://127.0.0.1:2", "Connection refused"],
            &["--endpoint-url"],
        ),
    );
    user.errs(
        "no such host",
        "etagfs mount $B mnt --endpoint-url http://s3.invalid",
        &fails(
            "no-such-host",
            &["http://s3.invalid"],
            &["--endpoint-url", "getent hosts"],
        ),
    );
    user.errs(
        "an address without http://",
        "etagfs mount $B mnt --endpoint-url localhost:9000",
        &is_misused(
            "endpoint-url",
            &["localhost:9000", "http://"],
            &["--endpoint-url http://HOST:PORT"],
        ),
    );
    let plain = user.bucket.endpoint.replace("http://", "");
    user.errs(
        "https for a server that speaks http",
        &format!("etagfs mount $B mnt --endpoint-url https://{plain}"),
        &fails("speaks-http", &[&plain], &["--endpoint-url http://"]),
    );
    for (what, canned) in [
        (
            "http for a server that speaks https (as servers in Go say it)",
            Canned::https_says_400(),
        ),
        (
            "http for a server that speaks https (and says so in TLS)",
            Canned::https_alerts(),
        ),
        (
            "http for a server that speaks https (and hangs up)",
            Canned::hangs_up(),
        ),
    ] {
        let script = format!("etagfs mount $B mnt --endpoint-url {}", canned.url());
        user.errs(
            what,
            &script,
            &fails("not-http", &[&canned.url()], &["--endpoint-url https://"]),
        );
    }
    let elsewhere = Canned::bucket_is_in("eu-central-1");
    user.errs(
        "the bucket is in another region",
        &format!("etagfs mount $B mnt --endpoint-url {}", elsewhere.url()),
        &fails(
            "other-region",
            &["eu-central-1"],
            &["--region eu-central-1", "AWS_REGION=eu-central-1"],
        ),
    );
    user.errs(
        "no region",
        "unset AWS_REGION ETAGFS_ENDPOINT_URL; etagfs mount $B mnt",
        &fails(
            "no-region",
            &["region", "AWS_REGION"],
            &["--region", "AWS_REGION"],
        ),
    );
    user.errs(
        "a proxy whose port does not exist",
        "env -u ETAGFS_ENDPOINT_URL HTTPS_PROXY=http://u:hidden@h:99999 etagfs mount $B mnt --region eu-west-1",
        &is_misused("proxy", &["HTTPS_PROXY", "http://HOST:PORT"], &["http://HOST:PORT", "unset", "--proxy"]),
    );
    let silent = Canned::silent();
    user.errs(
        "nothing answers",
        &format!("etagfs mount $B mnt --endpoint-url {}", silent.url()),
        &fails(
            "no-answer",
            &[&silent.url(), " 3 s"],
            &["--proxy", "--endpoint-url", "--deadline"],
        ),
    );
    user.errs(
        "no source",
        "etagfs mount bucket mnt",
        &is_misused(
            "no-source",
            &["\"bucket\""],
            &["s3://BUCKET", "s3://BUCKET/PREFIX"],
        ),
    );
    user.write("errors-of-new-users-1-servers");
}

#[test]
fn credentials_that_are_wrong() {
    let mut user = or_skip!(User::new());
    user.errs(
        "no credentials",
        "AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY= etagfs mount $B mnt",
        &fails(
            "no-credentials",
            &["AWS_ACCESS_KEY_ID"],
            &[
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "--profile",
                "--no-sign-request",
            ],
        ),
    );
    user.errs(
        "a wrong secret",
        "AWS_SECRET_ACCESS_KEY=wrong etagfs mount $B mnt",
        &fails(
            "wrong-secret",
            &["SignatureDoesNotMatch"],
            &["AWS_SECRET_ACCESS_KEY"],
        ),
    );
    user.errs(
        "an unknown key",
        "AWS_ACCESS_KEY_ID=UNKNOWN etagfs mount $B mnt",
        &fails(
            "unknown-key-id",
            &["UNKNOWN"],
            &["AWS_ACCESS_KEY_ID", "--endpoint-url"],
        ),
    );
    user.errs(
        "no keys where some are wanted",
        "etagfs mount $B mnt --no-sign-request",
        &fails(
            "may-not-list",
            &["AccessDenied"],
            &["s3:ListBucket", "--no-sign-request"],
        ),
    );
    let late = Canned::denies("RequestTimeTooSkewed");
    user.errs(
        "a clock that is wrong",
        &format!("etagfs mount $B mnt --endpoint-url {}", late.url()),
        &fails(
            "clock",
            &["RequestTimeTooSkewed"],
            &["timedatectl set-ntp true", "date -u"],
        ),
    );
    let expired = Canned::denies("ExpiredToken");
    user.errs(
        "keys that have expired",
        &format!("etagfs mount $B mnt --endpoint-url {}", expired.url()),
        &fails("expired", &["ExpiredToken"], &["aws sso login"]),
    );
    let proxy = Proxy::to(&user.bucket.endpoint);
    proxy.inject(When::op(Op::Put), Fault::access_denied());
    user.errs(
        "keys that may only read",
        &format!("etagfs mount $B mnt --endpoint-url {}", proxy.endpoint()),
        &fails(
            "may-not-write",
            &["AccessDenied"],
            &["--read-only", "s3:PutObject"],
        ),
    );
    proxy.heal();
    proxy.inject(When::any(), Fault::access_denied());
    user.errs(
        "keys that may do nothing there",
        &format!("etagfs mount $B mnt --endpoint-url {}", proxy.endpoint()),
        &fails("may-not-list", &["AccessDenied"], &["s3:ListBucket"]),
    );
    user.write("errors-of-new-users-2-credentials");
}

#[test]
fn a_server_without_conditional_writes() {
    let mut user = or_skip!(User::new());
    user.bucket = or_skip!(servers::shared(Kind::S3rver)).bucket();
    user.errs(
        "a server without conditional writes",
        "etagfs mount $B mnt",
        &fails("unconditional", &["If-None-Match: *"], &["--read-only"]),
    );
    user.write("errors-of-new-users-3-conditions");
}

#[test]
fn directories_that_are_wrong() {
    let mut user = or_skip!(User::new());
    user.errs(
        "no such directory",
        "etagfs mount $B nowhere",
        &fails("no-directory", &["/nowhere "], &["mkdir -p "]),
    );
    fs::write(user.path().join("file"), "").unwrap();
    user.errs(
        "a file",
        "etagfs mount $B file",
        &fails("not-a-directory", &["/file "], &[]),
    );
    fs::create_dir_all(user.path().join("full/inner")).unwrap();
    user.errs(
        "a directory with something in it",
        "etagfs mount $B full",
        &fails("not-empty", &["/full "], &[]),
    );
    let mounted = Mount::of(&user.bucket).flat().start();
    let at = mounted.path().display().to_string();
    let again = format!("etagfs mount $B '{at}'");
    let out = user.run(&again);
    user.told(
        "a directory that is mounted on already",
        "etagfs mount $B mnt",
        &out,
        &fails("mounted", &[&at], &[&format!("etagfs umount {at}")]),
    );
    mounted.unmount();
    user.errs(
        "nothing is mounted there",
        "etagfs umount mnt",
        &fails(
            "not-mounted",
            &["mnt"],
            &["findmnt --types fuse,fuse.etagfs"],
        ),
    );
    user.write("errors-of-new-users-4-directories");
}

/// A script in a mount namespace of its own with an almost empty /dev, as root; `dev` makes more of it.
fn elsewhere(dev: &str, script: &str) -> String {
    format!(
        "exec unshare -m --propagation private bash -c '
{ALONE}
mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3 && {dev}
{script}'"
    )
}

#[test]
fn machines_that_cannot_mount() {
    let mut user = or_skip!(User::new());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can make a machine look otherwise");
    }
    let base = user.path().display().to_string();
    Script::bash(&format!("chmod 755 '{base}'; mkdir -m 700 '{base}/nobodys' && chown 65534 '{base}/nobodys'; chmod 777 '{base}/mnt'; cp \"$(command -v '{}')\" '{base}/etagfs'", env!("CARGO_BIN_EXE_etagfs"))).run().ok();
    // Nobody keeps rescued bytes in what is somebody else's.
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent ETAGFS_STATE_DIR=nobodys";
    for (what, script, shown, expected) in [
        (
            "no /dev/fuse",
            elsewhere("true", "exec etagfs mount $B mnt"),
            "etagfs mount $B mnt",
            fails(
                "no-fuse",
                &["/dev/fuse"],
                &["modprobe fuse", "--device /dev/fuse"],
            ),
        ),
        (
            "not root, and no fusermount3",
            elsewhere(
                "mknod -m 666 /dev/fuse c 10 229",
                &format!("exec {nobody} PATH=/nonexistent ./etagfs mount $B mnt"),
            ),
            "etagfs mount $B mnt",
            fails("no-helper", &["fusermount3"], &["apt-get install fuse3"]),
        ),
        (
            "not root, and --allow-other",
            elsewhere(
                "mknod -m 666 /dev/fuse c 10 229 && : > fuse.conf && mount --bind fuse.conf /etc/fuse.conf",
                &format!("exec {nobody} ./etagfs mount $B mnt --allow-other"),
            ),
            "etagfs mount $B mnt --allow-other",
            fails(
                "for-others",
                &["/etc/fuse.conf"],
                &["user_allow_other", "/etc/fuse.conf", "--allow-other"],
            ),
        ),
        (
            "not root, and somebody else's directory",
            elsewhere(
                "mknod -m 666 /dev/fuse c 10 229",
                &format!("mkdir -m 755 theirs; exec {nobody} ./etagfs mount $B theirs"),
            ),
            "etagfs mount $B theirs",
            fails("no-access", &["/theirs "], &[]),
        ),
        (
            "/dev/fuse is closed to this user",
            elsewhere(
                "mknod -m 600 /dev/fuse c 10 229",
                &format!("exec {nobody} ./etagfs mount $B mnt"),
            ),
            "etagfs mount $B mnt",
            fails("mount-denied", &["Permission denied"], &["/dev/fuse"]),
        ),
        (
            "root of a container, without the right to mount",
            elsewhere(
                "mknod -m 666 /dev/fuse c 10 229",
                "exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin etagfs mount $B mnt",
            ),
            "etagfs mount $B mnt",
            fails(
                "no-capability",
                &["CAP_SYS_ADMIN"],
                &["--cap-add SYS_ADMIN"],
            ),
        ),
    ] {
        let out = user.run(&script);
        user.told(what, shown, &out, &expected);
    }
    user.write("errors-of-new-users-5-machines");
}
