//! `make install`, `make deb`: what is installed, and where.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::ETAGFS;
use crate::world::installed;
use crate::world::procs::{Output, Script};

/// They share target/staged.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// `make ARGUMENTS`, with the program of this build.
fn make(arguments: &str) -> Output {
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    Script::bash(&format!(
        "exec make --no-print-directory BINARY='{ETAGFS}' {arguments}"
    ))
    .within(Path::new(env!("CARGO_MANIFEST_DIR")))
    .deadline(Duration::from_secs(600))
    .run()
}

/// The Debian package of this build, made at the first call.
///
/// # Errors
/// Why it cannot be made here.
pub(super) fn built() -> Result<PathBuf, String> {
    static PACKAGE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let package = PACKAGE.get_or_init(|| {
        let cargo_deb = installed::built("cargo-deb")?;
        if !Path::new(ETAGFS).ends_with("target/debug/etagfs") {
            return Err(format!("{ETAGFS} is not where the package takes it from"));
        }
        // To press a build for debugging as small as it gets takes a slow machine minutes.
        let out = make(&format!(
            "deb PROFILE=dev CARGO_DEB='{} --fast'",
            cargo_deb.display()
        ))
        .ok();
        // The last line is the path of what it wrote.
        let path = out.stdout.lines().last().unwrap_or_default();
        Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
    });
    package.clone()
}

fn files(below: &Path) -> BTreeSet<String> {
    let out = Script::bash("find . ! -type d | sed 's,^\\./,,'")
        .within(below)
        .run()
        .ok();
    out.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_installed_is_found_and_uninstalled() {
    let staging = tempfile::tempdir().unwrap();
    let dest = staging.path().display();
    make(&format!("install PREFIX=/opt/etagfs DESTDIR='{dest}'")).ok();
    let installed = files(staging.path());
    println!("{installed:#?}");
    for file in [
        "opt/etagfs/bin/etagfs",
        "opt/etagfs/lib/systemd/system/etagfs@.service",
        "opt/etagfs/share/man/man1/etagfs-mount.1.gz",
        "opt/etagfs/share/man/man8/mount.etagfs.8.gz",
        "opt/etagfs/share/bash-completion/completions/etagfs",
        "opt/etagfs/share/doc/etagfs/examples/example.env",
    ] {
        assert!(installed.contains(file), "{file}");
    }
    assert!(
        installed
            .iter()
            .any(|file| file.ends_with("sbin/mount.etagfs")),
        "not for mount(8)"
    );
    let unit = staging
        .path()
        .join("opt/etagfs/lib/systemd/system/etagfs@.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(
        unit.contains("ExecStart=/opt/etagfs/bin/etagfs mount"),
        "{unit}"
    );
    assert!(!unit.contains("/usr/bin/etagfs"), "{unit}");
    let program = staging.path().join("opt/etagfs/bin/etagfs");
    Script::bash(&format!("'{}' --version", program.display()))
        .run()
        .ok();
    make(&format!("uninstall PREFIX=/opt/etagfs DESTDIR='{dest}'")).ok();
    assert_eq!(files(staging.path()), BTreeSet::new());
}

#[test]
fn the_debian_package_holds_what_is_installed_below_usr() {
    let package = or_skip!(built());
    let staging = tempfile::tempdir().unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    make(&format!(
        "install PREFIX=/usr sbindir=/usr/sbin DESTDIR='{}'",
        staging.path().display()
    ))
    .ok();
    let unpack = format!(
        "dpkg-deb -x '{}' '{}'",
        package.display(),
        unpacked.path().display()
    );
    Script::bash(&unpack).run().ok();
    let mut installed = files(staging.path());
    let mut packed = files(unpacked.path());
    // Debian wants to know the licence.
    assert!(
        packed.remove("usr/share/doc/etagfs/copyright"),
        "{packed:?}"
    );
    // Compressed by the one and not by the other.
    for set in [&mut installed, &mut packed] {
        set.retain(|file| !file.starts_with("usr/share/doc/etagfs/C"));
    }
    assert_eq!(packed, installed);
    let control = format!("dpkg-deb -f '{}'", package.display());
    let control = Script::bash(&control).run().ok().stdout;
    println!("{control}");
    assert!(
        control.contains("Package: etagfs") && control.contains("libc6"),
        "{control}"
    );
}
