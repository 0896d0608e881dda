//! `etagfs@.service` under a real systemd.

use std::fmt::Write as _;

use super::machine::{Machine, Root, machine};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};
use crate::world::tls::Tls;
use crate::world::wait;

/// An instance of the unit, for a bucket of its own.
struct Instance {
    machine: &'static Machine,
    bucket: Bucket,
    name: String,
    unit: String,
    at: String,
}

impl Instance {
    /// Configured, not started.
    fn new(root: Root, name: &str) -> Result<Self, String> {
        let machine = machine(root)?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let instance = Self {
            machine,
            bucket,
            name: name.to_owned(),
            unit: format!("etagfs@{name}.service"),
            at: format!("/mnt/{name}"),
        };
        instance.configure(&instance.bucket);
        Ok(instance)
    }

    fn configure(&self, bucket: &Bucket) {
        let lines = format!(
            "ETAGFS_SOURCE=s3://{}\nETAGFS_DIR={}\nETAGFS_FLAT=true",
            bucket.name, self.at
        );
        self.machine.configure(&self.name, bucket, &lines);
    }

    /// With further settings of the unit.
    fn set(&self, section: &str) {
        let path = format!("/run/systemd/system/{}.d/test.conf", self.unit);
        self.machine.write(&path, section);
        self.machine.run("systemctl daemon-reload").ok();
    }

    fn start(&self) {
        let out = self
            .machine
            .run(&format!("systemctl start '{}'", self.unit));
        assert_eq!(
            out.code,
            Some(0),
            "{out:#?}\n{}",
            self.machine.journal(&self.unit)
        );
    }

    fn show(&self, property: &str) -> String {
        self.machine.show(&self.unit, property)
    }

    fn until(&self, property: &str, value: &str) {
        self.machine.until(&self.unit, property, value);
    }

    fn is_mounted(&self) -> bool {
        self.machine.run(&format!("findmnt '{}'", self.at)).code == Some(0)
    }

    /// A process inside that has a file of the mount open, with bytes that are not saved: a child's close
    /// saves nothing.
    fn writer(&self) -> crate::world::procs::Running {
        let script = format!(
            "exec 3<>'{}/draft'; /bin/echo unsaved >&3; echo open; sleep 1000",
            self.at
        );
        let writer = self.machine.script(&script).start();
        wait::until("the file is open", wait::SOON, || {
            writer.stdout_so_far().contains("open")
        });
        writer
    }

    /// The rescued bytes of this mount.
    fn rescued(&self) -> String {
        let script = format!(
            "etagfs rescue ls | grep -F 's3://{}/' | while read id rest; do etagfs rescue show $id; done",
            self.bucket.name
        );
        self.machine.says(&script)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.machine.run(&format!(
            "systemctl stop '{0}'; systemctl reset-failed '{0}'",
            self.unit
        ));
    }
}

on_both_roots! {
    systemd_finds_no_fault_with_the_units
    the_unit_is_ready_when_the_mount_answers_and_tells_how_it_goes
    a_daemon_that_was_killed_leaves_a_clean_directory_and_serves_again
    a_dead_mount_of_somebody_else_is_no_obstacle
    a_daemon_that_stands_still_is_replaced_and_its_drafts_are_kept
    a_stop_saves_or_rescues_what_is_open
    wrong_usage_is_not_tried_again_and_a_missing_bucket_is
    a_unit_with_a_tree_of_its_own_does_not_start_since_nobody_would_see_the_mount
    a_server_by_https_is_mounted_where_its_authority_is_known_and_else_one_line_says_what_to_install
}

fn systemd_finds_no_fault_with_the_units(root: Root) {
    let machine = or_skip!(machine(root));
    // An instance, since a template is verified as one of any name.
    let script = "systemd-analyze verify --man=yes /usr/lib/systemd/system/etagfs@.service
cp /usr/share/doc/etagfs/examples/mnt-bucket.* /run/systemd/system/
systemd-analyze verify --man=yes /run/systemd/system/mnt-bucket.automount /run/systemd/system/mnt-bucket.mount
rm /run/systemd/system/mnt-bucket.*";
    let out = machine.run(script).ok();
    assert_eq!(format!("{}{}", out.stdout, out.stderr), "");
}

fn the_unit_is_ready_when_the_mount_answers_and_tells_how_it_goes(root: Root) {
    let instance = or_skip!(Instance::new(root, "ready"));
    let proxy = Proxy::to(&instance.bucket.endpoint);
    let gate = Gate::new();
    proxy.inject(When::op(Op::List).once(), Fault::HoldRequest(gate.clone()));
    let mut bucket = instance.bucket.clone();
    bucket.endpoint = proxy.endpoint();
    instance.configure(&bucket);
    instance
        .machine
        .run(&format!("systemctl start --no-block '{}'", instance.unit))
        .ok();
    gate.wait_for(1);
    assert_eq!(instance.show("ActiveState"), "activating");
    assert!(!instance.is_mounted());
    gate.open();
    instance.until("ActiveState", "active");
    let at = &instance.at;
    let source = format!("s3://{}", instance.bucket.name);
    // Before anything is saved: it is told anew in a while.
    instance.until(
        "StatusText",
        &format!("{source} at {at}: saves 0, conflicts 0, rescues 0"),
    );
    let script =
        format!("findmnt -n -o FSTYPE,SOURCE '{at}'; echo value > '{at}/key'; cat '{at}/key'");
    assert_eq!(
        instance.machine.says(&script),
        format!("fuse.etagfs {source}\nvalue")
    );
    assert_eq!(instance.bucket.client().text("key"), "value\n");

    // Nothing ends with a reload.
    let reload = format!("systemctl reload '{}'; cat '{at}/key'", instance.unit);
    assert_eq!(instance.machine.says(&reload), "value");
    assert_eq!(instance.show("NRestarts"), "0");

    let script = format!(
        "systemd-analyze security --no-pager '{}' | tail -1",
        instance.unit
    );
    let score = instance.machine.says(&script);
    let mut text = format!("{score}\n");
    let status = instance.machine.says(&format!(
        "systemctl status --no-pager -n0 '{}'",
        instance.unit
    ));
    write!(text, "{status}").unwrap();
    report::write("systemd", &text);
    let number = score
        .split_whitespace()
        .find_map(|word| word.parse::<f32>().ok());
    assert!(number.is_some_and(|number| number < 5.0), "{score}");

    instance
        .machine
        .run(&format!("systemctl stop '{}'", instance.unit))
        .ok();
    assert!(!instance.is_mounted());
    assert_eq!(instance.show("Result"), "success");
}

fn a_daemon_that_was_killed_leaves_a_clean_directory_and_serves_again(root: Root) {
    let instance = or_skip!(Instance::new(root, "killed"));
    instance.bucket.client().put("key", "value");
    // Time to look at what is left, in one go: it is mounted again by itself.
    instance.set("[Service]\nRestartSec=5s\n");
    instance.start();
    let at = &instance.at;
    let look = format!(
        "systemctl kill -s KILL '{}'; while findmnt '{at}' > /dev/null; do :; done; ls -A '{at}'",
        instance.unit
    );
    assert_eq!(instance.machine.says(&look), "");
    instance.until("NRestarts", "1");
    instance.until("ActiveState", "active");
    assert_eq!(instance.machine.says(&format!("cat '{at}/key'")), "value");
}

fn a_dead_mount_of_somebody_else_is_no_obstacle(root: Root) {
    let instance = or_skip!(Instance::new(root, "obstacle"));
    let at = &instance.at;
    let script = format!(
        "mkdir -p '{at}'; set -a; . /etc/etagfs/obstacle.env
etagfs mount --daemon $ETAGFS_SOURCE $ETAGFS_DIR
kill -9 $(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' '{at}/.etagfs/status')
until ! ls '{at}' 2>/dev/null; do sleep 0.01; done"
    );
    instance.machine.run(&script).ok();
    assert!(instance.is_mounted(), "it died and left nothing");
    instance.start();
    assert_eq!(
        instance
            .machine
            .says(&format!("etagfs alive '{at}' && echo alive")),
        "alive"
    );
}

fn a_daemon_that_stands_still_is_replaced_and_its_drafts_are_kept(root: Root) {
    let instance = or_skip!(Instance::new(root, "watched"));
    // A machine that is only slow keeps up with this one.
    instance.set("[Service]\nWatchdogSec=10s\nRestartSec=100ms\n");
    instance.start();
    let writer = instance.writer();
    let before = instance.show("MainPID");
    instance.machine.run(&format!("kill -STOP {before}")).ok();
    instance.until("NRestarts", "1");
    instance.until("ActiveState", "active");
    assert_ne!(instance.show("MainPID"), before);
    assert!(
        instance
            .machine
            .journal(&instance.unit)
            .contains("Watchdog timeout")
    );
    assert_eq!(instance.rescued(), "unsaved");
    drop(writer);
}

fn a_stop_saves_or_rescues_what_is_open(root: Root) {
    let instance = or_skip!(Instance::new(root, "stopped"));
    instance.start();
    let writer = instance.writer();
    instance
        .machine
        .run(&format!("systemctl stop '{}'", instance.unit))
        .ok();
    assert_eq!(instance.show("Result"), "success");
    assert!(!instance.is_mounted());
    assert_eq!(instance.rescued(), "unsaved");
    assert!(instance.bucket.client().keys().is_empty());
    drop(writer);
}

fn wrong_usage_is_not_tried_again_and_a_missing_bucket_is(root: Root) {
    let instance = or_skip!(Instance::new(root, "wrong"));
    instance.set("[Service]\nRestartSec=100ms\n");
    instance.machine.configure(
        "wrong",
        &instance.bucket,
        "ETAGFS_SOURCE=nonsense\nETAGFS_DIR=/mnt/wrong",
    );
    let start = format!("systemctl start '{}'", instance.unit);
    assert_eq!(instance.machine.run(&start).code, Some(1));
    instance.until("ActiveState", "failed");
    assert_eq!(instance.show("NRestarts"), "0");
    let journal = instance.machine.journal(&instance.unit);
    assert!(journal.contains("SOURCE is s3://BUCKET"), "{journal}");

    let mut missing = instance.bucket.clone();
    "nosuchbucket".clone_into(&mut missing.name);
    instance.configure(&missing);
    assert_eq!(instance.machine.run(&start).code, Some(1));
    wait::until("it is tried again", wait::SOON, || {
        instance.show("NRestarts") != "0"
    });
    let journal = instance.machine.journal(&instance.unit);
    assert!(
        journal.contains("the bucket nosuchbucket does not exist"),
        "{journal}"
    );
    // And once it is there, it is mounted.
    instance.configure(&instance.bucket);
    instance.until("ActiveState", "active");
}

fn a_unit_with_a_tree_of_its_own_does_not_start_since_nobody_would_see_the_mount(root: Root) {
    let instance = or_skip!(Instance::new(root, "private"));
    instance.set("[Service]\nPrivateTmp=yes\nRestart=no\n");
    let out = instance
        .machine
        .run(&format!("systemctl start '{}'", instance.unit));
    assert_eq!(out.code, Some(1), "{out:#?}");
    let journal = instance.machine.journal(&instance.unit);
    assert!(
        journal.contains("nothing of etagfs is mounted at /mnt/private"),
        "{journal}"
    );
}

fn a_server_by_https_is_mounted_where_its_authority_is_known_and_else_one_line_says_what_to_install(
    root: Root,
) {
    let instance = or_skip!(Instance::new(root, "secured"));
    let tls = Tls::before(&instance.bucket.endpoint, &["127.0.0.1"]);
    let mut secured = instance.bucket.clone();
    secured.endpoint = tls.url();
    instance.configure(&secured);
    match instance.machine.kind {
        Root::Certified => {
            let authority = std::fs::read_to_string(tls.authority()).unwrap();
            instance.machine.trust(&authority);
            instance.start();
            assert!(instance.is_mounted());
        }
        Root::Bare => {
            instance.set("[Service]\nRestart=no\n");
            let start = format!("systemctl start '{}'", instance.unit);
            assert_eq!(instance.machine.run(&start).code, Some(1));
            let journal = instance.machine.journal(&instance.unit);
            for words in ["no certificate of an authority", "ca-certificates"] {
                assert!(journal.contains(words), "{journal}");
            }
            assert!(!journal.contains("panicked"), "{journal}");
        }
    }
}
