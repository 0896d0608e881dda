//! `etagfs alive`: the health check.

use rustix::process::Signal;

use super::etagfs;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Kind};

#[test]
fn a_mount_is_alive_until_its_daemon_stands_still_or_dies() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let mut mount = Mount::of(&bucket).flat().start();
    let shown = mount.path().display().to_string();
    let alive = || etagfs(&format!("alive '{shown}'"));
    assert_eq!(alive().ok().stderr, "");

    mount.signal(Signal::STOP);
    let out = etagfs(&format!("alive --timeout 2 '{shown}'"));
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stderr.contains("does not answer"), "{out:#?}");
    assert!(out.stderr.contains("etagfs umount --lazy"), "{out:#?}");
    mount.signal(Signal::CONT);
    alive().ok();

    mount.kill();
    let out = alive();
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stderr.contains("its daemon is gone"), "{out:#?}");
    mount.clear();
    let out = alive();
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stderr.contains("nothing of etagfs"), "{out:#?}");
}

#[test]
fn a_mount_whose_store_is_away_is_alive() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    // Files of somebody else, which even their daemon may not read.
    let mount = Mount::of(&bucket)
        .through(&proxy)
        .arg("--file-mode=000")
        .start();
    proxy.down();
    etagfs(&format!("alive '{}'", mount.path().display())).ok();
    proxy.up();
    mount.unmount();
}
