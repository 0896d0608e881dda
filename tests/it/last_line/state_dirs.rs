//! State directories that are none: one message that says what is wrong, one line that says what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use super::{Ground, is_root};
use crate::world::disk::SmallDisk;
use crate::world::mounts::is_mount_point;
use crate::world::procs::Script;

/// `etagfs mount` with this state directory, which is refused in these words; and what only reads goes
/// without one.
#[track_caller]
fn refused(ground: &Ground, state: &Path, words: &[&str]) {
    let point = tempfile::tempdir().unwrap();
    let at = point.path().display();
    for daemon in ["", "--daemon"] {
        let arguments = format!("mount {daemon} s3://{} '{at}'", ground.bucket.name);
        let out = ground.etagfs(state, &arguments);
        assert_eq!(out.code, Some(1), "{out:#?}");
        assert!(!is_mount_point(point.path()));
        let lines: Vec<_> = out.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{out:#?}");
        let first = format!("etagfs: {} cannot keep rescued bytes: ", state.display());
        assert!(lines[0].starts_with(&first), "{first} is not {out:#?}");
        for word in words.iter().chain(&["--state-dir", "--read-only"]) {
            assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
        }
    }
    ground.other.put("key", "value");
    let reader = ground.mount(state).read_only().start();
    assert_eq!(fs::read_to_string(reader.file("key")).unwrap(), "value");
    assert!(
        fs::read_to_string(reader.file(".etagfs/status"))
            .unwrap()
            .contains("\"rescues\": 0")
    );
    reader.unmount();
}

#[test]
fn a_directory_that_cannot_hold_a_rescue_is_no_state_directory() {
    let ground = or_skip!(Ground::new());
    let base = tempfile::tempdir().unwrap();
    // The harness makes what is not there, so that each of these is there, and is wrong.
    let newer = base.path().join("newer");
    fs::create_dir(&newer).unwrap();
    fs::write(newer.join("format"), "etagfs state, format 2\n").unwrap();
    refused(
        &ground,
        &newer,
        &["of a newer etagfs (its format is 2; this one knows 1)"],
    );
    let damaged = base.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("format"), "").unwrap();
    refused(&ground, &damaged, &["names no format"]);
    // What others use is not closed to them.
    let shared = base.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("notes"), "").unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let arguments = format!(
        "mount s3://{} '{}'",
        ground.bucket.name,
        base.path().display()
    );
    let out = ground.etagfs(&shared, &arguments.replace("mount", "mount --flat"));
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert_eq!(
        fs::metadata(&shared).unwrap().permissions().mode() & 0o7777,
        0o1777
    );
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let point = base.path().join("mnt");
    fs::create_dir(&point).unwrap();
    let arguments = format!("mount s3://{} '{}'", ground.bucket.name, point.display());
    for (state, why) in [
        (file.clone(), "File exists"),
        (file.join("below"), "Not a directory"),
        (shared, "holds other things (notes)"),
    ] {
        let out = ground.etagfs(&state, &arguments);
        assert_eq!(out.code, Some(1), "{out:#?}");
        assert!(out.stderr.contains(why), "{why:?} is not in {out:#?}");
    }
}

#[test]
fn a_full_or_write_protected_directory_is_no_state_directory() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("64k");
    disk.fill();
    refused(&ground, disk.path(), &["No space left on device"]);
    disk.make_room();
    Script::dash("mount -o remount,ro .")
        .within(disk.path())
        .run()
        .ok();
    refused(&ground, disk.path(), &["Read-only file system"]);
}

#[test]
fn what_belongs_to_somebody_else_is_no_state_directory() {
    let ground = or_skip!(Ground::new());
    if !is_root() {
        skip!("only root can give files away");
    }
    let base = tempfile::tempdir().unwrap();
    let theirs = base.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(65534), None).unwrap();
    refused(&ground, &theirs, &["belongs to somebody else (user 65534)"]);
    let ours = base.path().join("ours");
    fs::create_dir(&ours).unwrap();
    let link = |name: &str, target: &Path| -> PathBuf {
        let link = base.path().join(name);
        symlink(target, &link).unwrap();
        lchown(&link, Some(65534), None).unwrap();
        link
    };
    let direct = link("direct", &ours);
    refused(&ground, &direct, &["a link of somebody else (user 65534)"]);
    refused(
        &ground,
        &link("over", base.path()).join("ours"),
        &["a link of somebody else"],
    );
    // So is what somebody else has put into it.
    symlink("/tmp", ours.join("rescue")).unwrap();
    refused(&ground, &ours, &["rescue is no directory"]);
    fs::remove_file(ours.join("rescue")).unwrap();
    // Whoever only looks is not led there either.
    for state in [&theirs, &direct] {
        let out = ground.etagfs(state, "rescue ls");
        assert_eq!(out.code, Some(1), "{out:#?}");
        assert!(
            out.stderr.contains("somebody else (user 65534)"),
            "{out:#?}"
        );
    }
    // A user without rights finds their own directory, and no other.
    let out = Script::dash(&format!(
        "cp '{}' ./etagfs; chmod 755 . ./etagfs; mkdir -m 700 nobodys; chown 65534 nobodys
exec setpriv --reuid 65534 --regid 65534 --clear-groups ./etagfs rescue ls --state-dir ours",
        env!("CARGO_BIN_EXE_etagfs")
    ))
    .within(base.path())
    .run();
    assert!(
        out.code == Some(1) && out.stderr.contains("somebody else (user 0)"),
        "{out:#?}"
    );
    let out = Script::dash(
        "exec setpriv --reuid 65534 --regid 65534 --clear-groups ./etagfs rescue ls --state-dir nobodys",
    );
    out.within(base.path()).run().ok();
}

#[test]
fn a_state_directory_is_closed_to_others_and_a_log_is_no_link() {
    let ground = or_skip!(Ground::new());
    let base = tempfile::tempdir().unwrap();
    let state = base.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    let mount = ground.mount(&state).start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&state), mode(&state.join("rescue"))), (0o700, 0o700));
    mount.unmount();
    let format = fs::read_to_string(state.join("format")).unwrap();
    assert_eq!(format, "etagfs state, format 1\n");

    // Where a daemon logs, somebody has put a link, a pipe, a directory.
    let point = base.path().canonicalize().unwrap().join("mnt");
    fs::create_dir(&point).unwrap();
    let log = format!(
        "{}.log",
        point
            .display()
            .to_string()
            .trim_start_matches('/')
            .replace('/', "-")
    );
    let log = state.join(log);
    let target = base.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let arguments = format!(
        "mount --daemon s3://{} '{}'",
        ground.bucket.name,
        point.display()
    );
    for trap in ["ln -s ../precious", "mkfifo", "mkdir"] {
        Script::dash(&format!("{trap} '{}'", log.display()))
            .within(&state)
            .run()
            .ok();
        let out = ground.etagfs(&state, &arguments);
        assert_eq!(out.code, Some(1), "{out:#?}");
        assert!(
            out.stderr.contains("the log") && out.stderr.contains("no regular file"),
            "{out:#?}"
        );
        assert!(!is_mount_point(&point));
        Script::dash(&format!("rm -r '{}'", log.display()))
            .run()
            .ok();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_state_directory_that_a_mount_hides_or_that_is_in_another_mount_is_refused() {
    let ground = or_skip!(Ground::new());
    let base = tempfile::tempdir().unwrap();
    let (point, over) = (base.path().join("point"), base.path().join("over"));
    fs::create_dir(&point).unwrap();
    symlink(&point, &over).unwrap();
    let other = ground.mount(&base.path().join("state")).start();
    let at = point.display();
    for (state, why) in [
        (point.clone(), "would hide it"),
        (point.join("below/it"), "would hide it"),
        (over.join("state"), "would hide it"),
        (other.file("state"), "it is in the mount at"),
    ] {
        for how in ["", "--daemon", "--read-only"] {
            let arguments = format!("mount {how} s3://{} '{at}'", ground.bucket.name);
            let out = ground.etagfs(&state, &arguments);
            assert_eq!(out.code, Some(1), "{out:#?}");
            assert_eq!(out.stderr.lines().count(), 2, "{out:#?}");
            assert!(out.stderr.contains(why), "{out:#?}");
            assert!(out.stderr.contains("--state-dir"), "{out:#?}");
            assert!(!is_mount_point(&point));
            assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
        }
    }
    other.unmount();
    assert!(ground.other.keys().is_empty());
}

#[test]
fn a_directory_that_is_no_state_directory_has_no_rescues_to_list() {
    let ground = or_skip!(Ground::new());
    let base = tempfile::tempdir().unwrap();
    let other = base.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), "").unwrap();
    for (state, why) in [
        (base.path().join("nope"), "it does not exist"),
        (other, "it holds other things (notes)"),
    ] {
        for command in ["ls", "ls --json", "drop --all", "show x"] {
            let out = ground.etagfs(&state, &format!("rescue {command}"));
            assert_eq!((out.code, &*out.stdout), (Some(1), ""), "{out:#?}");
            assert!(out.stderr.contains("is no state directory"), "{out:#?}");
            assert!(out.stderr.contains(why), "{out:#?}");
        }
    }
    // A mount says where it keeps them, and whoever names no directory is told of other ones.
    let state = base.path().join("state");
    let mount = ground.mount(&state).start();
    let real = state.canonicalize().unwrap();
    assert_eq!(
        super::status(&mount)["state_directory"].as_str(),
        real.to_str()
    );
    assert_eq!(
        super::status(&mount)["endpoint"].as_str(),
        Some(&*ground.bucket.endpoint)
    );
    ground.other.put("key", "value");
    super::lose(&mount, "key", "lost");
    let usual = base.path().join("usual");
    let text = format!(
        "unset ETAGFS_STATE_DIR; XDG_STATE_HOME='{}' exec etagfs rescue ls",
        usual.display()
    );
    let out = crate::world::cli::script(&ground.bucket, &state, &text)
        .run()
        .ok();
    let told = format!("etagfs rescue ls --state-dir {}", real.display());
    assert!(out.stderr.contains(&told), "{out:#?}");
    mount.unmount();
}
