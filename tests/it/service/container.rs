//! In a container: as its first process, with the capabilities that Docker gives
//! (`docker run --device /dev/fuse --cap-add SYS_ADMIN`), made of the same namespaces.

use super::ETAGFS;
use crate::world::namespace::ALONE;
use crate::world::procs::Script;
use crate::world::servers::{self, Kind};
use crate::world::{client::REGION, mounts, wait};

/// What Docker leaves to root of a container, and what it is asked for.
const CAPABILITIES: &str = "-all,+audit_write,+chown,+dac_override,+fowner,+fsetid,+kill,+mknod,\
    +net_bind_service,+net_raw,+setfcap,+setgid,+setpcap,+setuid,+sys_chroot,+sys_admin";

#[test]
fn the_first_process_of_a_container_mounts_answers_and_ends_in_order() {
    or_skip!(mounts::possible());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can make a container");
    }
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let place = tempfile::tempdir().unwrap();
    let script = format!(
        "{ALONE}
mkdir mnt
exec setpriv --bounding-set={CAPABILITIES} --inh-caps=-all --no-new-privs \
    '{ETAGFS}' mount s3://{} mnt --flat --endpoint-url {} --state-dir state",
        bucket.name, bucket.endpoint
    );
    let unshare =
        "exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private";
    let container = Script::bash(&format!(r#"{unshare} bash -c "$SCRIPT""#))
        .within(place.path())
        .env("SCRIPT", script)
        .env("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret)
        .env("AWS_REGION", REGION)
        .start();
    let first = format!("$(pgrep -P {})", container.pid());
    let inside = |script: &str| {
        let enter = format!(r#"exec nsenter -t "{first}" --mount --pid --wd bash -c "$SCRIPT""#);
        Script::bash(&enter).env("SCRIPT", script).run()
    };
    // As a health check does.
    wait::until("it answers", wait::SOON, || {
        inside(&format!("'{ETAGFS}' alive mnt")).code == Some(0)
    });
    let out = inside("echo hello > mnt/key && cat mnt/key; cat mnt/.etagfs/access").ok();
    assert!(out.stdout.starts_with("hello\n"), "{out:#?}");
    assert_eq!(bucket.client().text("key"), "hello\n");
    // As `docker stop` does.
    Script::bash(&format!("kill -TERM {first}")).run().ok();
    let out = container.finish().ok();
    assert!(
        out.stderr.contains("mounted") && out.stderr.contains("unmounted"),
        "{out:#?}"
    );
}
