//! `etagfs demo`: the first minute of a user, as its text tells it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::ETAGFS;
use crate::world::attempts::attempt;
use crate::world::mounts::{self, is_mount_point};
use crate::world::procs::Script;
use crate::world::tied::{self, OnOurDeath};
use crate::world::wait;

/// What follows `word` in the text, up to a blank.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let (_, rest) = text.split_once(word).unwrap();
    rest.split_whitespace().next().unwrap()
}

#[test]
fn the_demo_keeps_what_its_text_promises_and_leaves_nothing() {
    or_skip!(mounts::possible());
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    let (at, out, scratch) = (base.join("demo"), base.join("out"), base.join("tmp"));
    fs::create_dir(&scratch).unwrap();
    let mut command: Command = tied::command(ETAGFS, OnOurDeath::Terminate);
    command
        .arg("demo")
        .arg(&at)
        .env("TMPDIR", &scratch)
        // Of the user's own bucket; the demo is not there.
        .env("ETAGFS_PROFILE", "mine")
        .env("ETAGFS_READ_ONLY", "true")
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).unwrap());
    let mut demo = tied::spawn(command);
    wait::until("the demo tells how to end it", wait::SOON, || {
        assert!(demo.ended().is_none(), "it ended");
        fs::read_to_string(&out)
            .unwrap()
            .contains("Ctrl-C ends the demo")
    });
    let text = fs::read_to_string(&out).unwrap();
    let store = Path::new(after(&text, "  cd "));
    assert!(store.starts_with(&at));
    let settings = fs::read_to_string(store.join("settings.json")).unwrap();
    assert!(settings.contains("colour"), "{settings}");

    let lost = "f = open('counter', 'r+'); print(f.read())
import subprocess; subprocess.run('echo 100 > counter', shell=True, check=True)
f.seek(0); f.write('1\\n'); f.close()";
    assert!(
        text.contains("f = open(\"counter\", \"r+\"); print(f.read())"),
        "{text}"
    );
    assert!(
        text.contains("f.seek(0); f.write(\"1\\n\"); f.close()"),
        "{text}"
    );
    let said = attempt(store, lost);
    assert!(said.ends_with("EAGAIN"), "{said}");
    assert_eq!(fs::read_to_string(store.join("counter")).unwrap(), "100\n");
    let (_, look) = text.split_once("  ls ").unwrap();
    let (_, look) = look.split_once("  ls ").unwrap();
    let look = format!("ls {}", look.lines().next().unwrap());
    let kept = Script::bash(&look).run().ok().stdout;
    assert!(kept.contains("somebody else saved first"), "{kept}");

    let url = after(&text, "The server is ").to_owned();
    demo.signal(Signal::INT);
    let status = demo.wait(wait::SOON);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(!is_mount_point(&at));
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "it left data");
    let address = url.trim_start_matches("http://");
    assert!(std::net::TcpStream::connect(address).is_err(), "it serves");
}
