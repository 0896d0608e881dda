//! fsync(2) of a scratch file reaches the disk.

use std::fs::{self, File};
use std::io::Write as _;

use super::{Ground, wait};
use crate::world::procs::Script;

#[test]
fn an_fsync_makes_the_bytes_the_label_and_the_directory_of_a_scratch_file_durable() {
    let ground = or_skip!(Ground::new());
    if Script::dash("strace -V").run().code != Some(0) {
        skip!("strace is not installed");
    }
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    let trace = state.path().with_extension("trace");
    let script = format!(
        "exec strace -f -y -e trace=fsync,fdatasync -o '{}' -p {}",
        trace.display(),
        mount.pid()
    );
    let tracing = Script::dash(&script).start();
    let synced = || fs::read_to_string(&trace).unwrap_or_default();
    let probe = || {
        let mut file = File::create(mount.file("probe~")).unwrap();
        file.write_all(b"x").unwrap();
        file.sync_all().unwrap();
    };
    wait::until("it is traced", wait::SOON, || {
        probe();
        synced().contains("sync(")
    });
    let before = synced().len();
    let mut file = File::create(mount.file("notes~")).unwrap();
    file.write_all(b"text").unwrap();
    file.sync_all().unwrap();
    // It writes its lines when it likes.
    let scratch = state.path().canonicalize().unwrap().join("scratch");
    let scratch = scratch.display();
    let wanted = [
        ("fdatasync(", format!("<{scratch}/"), ".value>"),
        ("fsync(", format!("<{scratch}/"), ".json>"),
        ("fsync(", format!("<{scratch}>"), ""),
    ];
    let has_all = |text: &str| {
        wanted.iter().all(|(call, at, end)| {
            text.lines().any(|line| {
                line.contains(call)
                    && line.contains(&**at)
                    && line.contains(end)
                    && line.ends_with("= 0")
            })
        })
    };
    wait::until("all three are synced", wait::SOON, || {
        has_all(&synced()[before..])
    });

    // And of the directory, those of all in it.
    drop(file);
    File::create(mount.file("other~")).unwrap();
    let before = synced().len();
    File::open(mount.path()).unwrap().sync_all().unwrap();
    wait::until("their labels are synced", wait::SOON, || {
        has_all(&synced()[before..])
    });
    // A label that takes another's place is on the disk before that goes.
    let before = synced().len();
    fs::rename(mount.file("other~"), mount.file("notes~")).unwrap();
    wait::until("the new label is synced", wait::SOON, || {
        synced()[before..]
            .lines()
            .any(|line| line.contains(&format!("<{scratch}")))
    });
    tracing.kill();
    tracing.finish();
    fs::remove_file(&trace).unwrap();
    mount.unmount();
}
