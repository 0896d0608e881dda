//! `mount.etagfs` and the fstab, through mount(8), umount(8) and systemd's mount and automount units.

use super::machine::{Machine, Root, machine};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::wait;

/// Every test writes the one fstab, and sed(1) replaces it.
const IN_TURN: &str = "flock /run/fstab.lock";

struct World {
    machine: &'static Machine,
    bucket: Bucket,
    /// Names the directory, the environment file and the unit.
    name: &'static str,
}

impl World {
    /// With this line in the fstab, `%` being the bucket.
    fn new(root: Root, name: &'static str, options: &str) -> Result<Self, String> {
        let machine = machine(root)?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        bucket.client().put("key", "value");
        machine.configure(name, &bucket, "ETAGFS_FLAT=true");
        let line = format!(
            "s3://{} /mnt/{name} etagfs {options},env_file=/etc/etagfs/{name}.env 0 0",
            bucket.name
        );
        machine
            .run(&format!(
                "mkdir -p /mnt/{name}; {IN_TURN} sh -c \"echo '{line}' >> /etc/fstab\"; systemctl daemon-reload"
            ))
            .ok();
        Ok(Self {
            machine,
            bucket,
            name,
        })
    }

    /// A command that counts the mounts, without looking at the directory itself: an automount would not be
    /// idle then.
    fn count(&self) -> String {
        format!(
            "grep -c ' /mnt/{} .* - fuse.etagfs ' /proc/self/mountinfo",
            self.name
        )
    }

    fn mounts(&self) -> usize {
        let counted = self.machine.run(&self.count());
        counted.stdout.trim().parse().unwrap()
    }

    fn daemons(&self) -> usize {
        let found = self
            .machine
            .run(&format!("pgrep -c -f ' /mnt/{}$'", self.name))
            .stdout;
        found.trim().parse().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let script = format!(
            "systemctl stop 'mnt-{0}.automount' 'mnt-{0}.mount'; umount -l /mnt/{0}; {IN_TURN} sed -i '/mnt.{0} /d' /etc/fstab",
            self.name
        );
        self.machine.run(&script);
    }
}

on_both_roots! {
    a_line_of_the_fstab_is_mounted_by_mount_and_unmounted_by_umount
    mount_says_what_is_wrong_in_two_lines_and_with_its_own_exit_codes
    a_user_mounts_and_unmounts_a_line_that_allows_it_as_himself
    systemd_mounts_and_unmounts_a_line_of_the_fstab
    an_automount_mounts_when_somebody_looks_and_unmounts_when_nobody_does
}

fn a_line_of_the_fstab_is_mounted_by_mount_and_unmounted_by_umount(root: Root) {
    let world = or_skip!(World::new(
        root,
        "fstab",
        "_netdev,nofail,noexec,ttl=0,x-test=1"
    ));
    let run = |script: &str| world.machine.run(script);
    let out = run("mount /mnt/fstab && cat /mnt/fstab/key").ok();
    assert_eq!((&*out.stdout, &*out.stderr), ("value", ""));
    let options = world.machine.says("findmnt -n -o OPTIONS /mnt/fstab");
    for option in ["rw", "nosuid", "nodev", "noexec"] {
        assert!(
            options.split(',').any(|found| found == option),
            "{option}: {options}"
        );
    }
    assert_eq!((world.mounts(), world.daemons()), (1, 1));
    // Neither of them mounts it once more. The lines of other tests are theirs to mount, or not.
    run("grep ' /mnt/fstab ' /etc/fstab > /run/own; mount -a -T /run/own && mount -a -T /run/own")
        .ok();
    assert_eq!((world.mounts(), world.daemons()), (1, 1));
    assert_eq!(run("mount /mnt/fstab").code, Some(32));

    let out = run("mount -o remount,ro /mnt/fstab");
    assert_eq!(out.code, Some(32), "{out:#?}");
    assert!(
        out.stderr.contains("cannot be remounted") && out.stderr.contains("umount /mnt/fstab"),
        "{out:#?}"
    );
    run("echo new > /mnt/fstab/key").ok();
    assert_eq!(world.bucket.client().text("key"), "new\n");

    let busy = run("cd /mnt/fstab; umount /mnt/fstab");
    assert_eq!(busy.code, Some(32), "{busy:#?}");
    run("umount /mnt/fstab").ok();
    assert_eq!(world.mounts(), 0);
    wait::until("the daemon ends", wait::SOON, || world.daemons() == 0);
    // What is said last counts.
    run("mount /mnt/fstab -o ro,ttl=5").ok();
    assert!(
        world
            .machine
            .says("findmnt -n -o OPTIONS /mnt/fstab")
            .starts_with("ro,")
    );
    assert_eq!(run("echo x > /mnt/fstab/key").code, Some(1));
    run("cd /mnt/fstab; umount -l /mnt/fstab").ok();
    assert_eq!(world.mounts(), 0);
    wait::until("the daemon ends", wait::SOON, || world.daemons() == 0);
}

fn mount_says_what_is_wrong_in_two_lines_and_with_its_own_exit_codes(root: Root) {
    let world = or_skip!(World::new(root, "usage", "noauto"));
    let source = format!("s3://{}", world.bucket.name);
    let with = "env_file=/etc/etagfs/usage.env";
    for (arguments, code, words) in [
        (
            format!("{source} /mnt/usage -o nonsense=1"),
            1,
            ["nonsense", "man etagfs-mount"],
        ),
        (
            format!("{source} /mnt/usage -o ttl=x"),
            1,
            ["ttl", "man etagfs-mount"],
        ),
        ("bucket /mnt/usage".to_owned(), 1, ["bucket", "s3://BUCKET"]),
        (
            format!("s3://nosuchbucket /mnt/usage -o {with}"),
            32,
            ["nosuchbucket does not exist", "check its name"],
        ),
        (
            format!("{source} /mnt/usage -o env_file=/nowhere"),
            32,
            ["/nowhere", "ETAGFS_ENDPOINT_URL"],
        ),
        (
            format!("{source} /etc -o {with}"),
            32,
            ["/etc is not empty", "empty directory"],
        ),
    ] {
        let out = world.machine.run(&format!("mount -t etagfs {arguments}"));
        println!("{}", out.stderr);
        assert_eq!(out.code, Some(code), "{out:#?}");
        assert_eq!(out.stderr.lines().count(), 2, "{out:#?}");
        for word in words {
            assert!(out.stderr.contains(word), "{word}: {out:#?}");
        }
    }
    // Everything but mounting; and what is unknown may be left out.
    world
        .machine
        .run(&format!("mount -f -t etagfs {source} /mnt/usage -o {with}"))
        .ok();
    world
        .machine
        .run(&format!(
            "mount -f -s -t etagfs {source} /mnt/usage -o {with},nonsense"
        ))
        .ok();
    assert_eq!(world.mounts(), 0);
    // As the other filesystems of this kind are called.
    world
        .machine
        .run(&format!(
            "mount -t fuse.etagfs {source} /mnt/usage -o {with}"
        ))
        .ok();
    assert_eq!(world.mounts(), 1);
}

fn a_user_mounts_and_unmounts_a_line_that_allows_it_as_himself(root: Root) {
    let world = or_skip!(World::new(root, "user", "noauto,user"));
    let run = |script: &str| world.machine.run(script);
    run("useradd -m alice; chown alice /mnt/user /etc/etagfs/user.env").ok();
    let as_alice = |script: &str| run(&format!("runuser -u alice -- sh -c '{script}'"));
    as_alice("mount /mnt/user && cat /mnt/user/key && echo new > /mnt/user/key").ok();
    assert_eq!(world.bucket.client().text("key"), "new\n");
    let daemon = run("ps -o user= -p $(pgrep -f \" /mnt/user$\")").stdout;
    assert_eq!(daemon, "alice\n");
    assert_eq!(as_alice("stat -c %U /mnt/user/key").stdout, "alice\n");
    // Nobody else gets in, not even root, unless allow_other says so.
    assert_eq!(run("cat /mnt/user/key").code, Some(1));
    as_alice("umount /mnt/user").ok();
    assert_eq!(world.mounts(), 0);
    wait::until("the daemon ends", wait::SOON, || world.daemons() == 0);
    let log = run("tail -1 /home/alice/.local/state/etagfs/mnt-user.log");
    assert!(log.stdout.contains("unmounted"), "{log:#?}");
}

fn systemd_mounts_and_unmounts_a_line_of_the_fstab(root: Root) {
    let world = or_skip!(World::new(root, "unit", "_netdev,nofail"));
    let unit = "mnt-unit.mount";
    world.machine.run(&format!("systemctl start {unit}")).ok();
    assert_eq!(world.machine.show(unit, "ActiveState"), "active");
    world.machine.run("echo new > /mnt/unit/key").ok();
    world.machine.run(&format!("systemctl stop {unit}")).ok();
    assert_eq!(world.machine.show(unit, "Result"), "success");
    assert_eq!(world.mounts(), 0);
    wait::until("the daemon ends", wait::SOON, || world.daemons() == 0);
    // In its own time: systemd did not kill it.
    let log = world.machine.says("tail -1 /var/lib/etagfs/mnt-unit.log");
    assert!(log.contains("unmounted"), "{log}");
    assert_eq!(world.bucket.client().text("key"), "new\n");
}

fn an_automount_mounts_when_somebody_looks_and_unmounts_when_nobody_does(root: Root) {
    let world = or_skip!(World::new(
        root,
        "auto",
        "_netdev,noauto,x-systemd.automount,x-systemd.idle-timeout=1"
    ));
    let unit = "mnt-auto.automount";
    world.machine.run(&format!("systemctl start {unit}")).ok();
    assert_eq!(world.mounts(), 0);
    for _ in 0..2 {
        // Whoever is in it uses it: else it may be gone before it is looked for in the table.
        let look = format!("cd /mnt/auto && cat key && {}", world.count());
        let out = world.machine.run(&look);
        let journal = world.machine.journal("mnt-auto.*");
        assert_eq!(out.stdout, "value1\n", "{out:#?}\n{journal}");
        wait::until("it is unmounted", wait::SOON, || world.mounts() == 0);
        // Whoever looks while systemd is still at it finds the directory below, empty.
        world
            .machine
            .until("mnt-auto.mount", "ActiveState", "inactive");
    }
    assert_eq!(world.machine.show(unit, "Result"), "success");
}
