//! Servers that are not as S3 is (`docs/servers.md`): each as a mode of the proxy, with the probe, a mount, its
//! edits, listings and removals, and the commands. `etags.rs`: how versions are told; `verdicts.rs`: what is said
//! of a server that cannot be written to, and of answers that are none; `checksums.rs`: Object Lock.

mod checksums;
mod etags;
mod verdicts;

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::world::attempts::{attempt, create, save};
use crate::world::cli;
use crate::world::client::Client;
use crate::world::dialogue::Dialogue;
use crate::world::mounts::{Mount, Mounted};
use crate::world::procs::{Output, Script};
use crate::world::proxy::Proxy;
use crate::world::proxy::habit::Odd;
use crate::world::servers::{self, Bucket, Kind};

/// A bucket behind a proxy, and another machine that goes past it.
struct Ground {
    other: Client,
    bucket: Bucket,
    proxy: Proxy,
    state: TempDir,
    store: String,
}

impl Ground {
    fn new() -> Result<Self, String> {
        let direct = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&direct.endpoint);
        let ground = Self {
            other: direct.client(),
            bucket: Bucket {
                endpoint: proxy.endpoint(),
                ..direct
            },
            proxy,
            state: tempfile::tempdir().unwrap(),
            store: uuid::Uuid::new_v4().to_string(),
        };
        ground.other.put(&ground.object(""), "");
        Ok(ground)
    }

    fn with(habits: &[Odd]) -> Result<Self, String> {
        let ground = Self::new()?;
        for odd in habits {
            ground.proxy.behave_as(*odd);
        }
        Ok(ground)
    }

    fn object(&self, key: &str) -> String {
        format!("{}/{key}", self.store)
    }

    fn script(&self, text: &str) -> Script {
        let bucket = format!("s3://{}", self.bucket.name);
        cli::script(&self.bucket, self.state.path(), text)
            .env("S", format!("{bucket}/{}", self.store))
            .env("B", bucket)
    }

    fn run(&self, text: &str) -> Output {
        self.script(text).run()
    }

    /// What a script that must succeed prints.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let out = self.run(text).ok();
        assert_eq!(out.stderr, "", "{out:#?}");
        out.stdout
    }

    /// The verdict of the probe, as JSON.
    fn probe(&self) -> serde_json::Value {
        let out = self.run("etagfs probe --json $B");
        serde_json::from_str(&out.stdout).unwrap_or_else(|_| panic!("{out:#?}"))
    }

    fn mount(&self) -> Mount {
        Mount::of(&self.bucket)
            .store(&self.store)
            .arg("--ttl=0")
            .state_dir(self.state.path())
    }
}

/// Everything that is done with a mount and by commands works, and refuses who has to be refused.
#[track_caller]
fn is_lived_with(ground: &Ground) {
    a_mount_works(ground);
    the_commands_work(ground);
    for asked in ground.proxy.log().0 {
        let sent = asked.if_match().unwrap_or("-");
        assert!(
            !sent.is_empty() && sent != "*",
            "If-Match: {sent:?} was sent"
        );
    }
}

/// The time of a file, in nanoseconds.
fn mtime(mount: &Mounted, key: &str) -> String {
    let script = format!(
        "import os\nprint(os.stat({:?}).st_mtime_ns)",
        mount.file(key)
    );
    Script::python(&script).run().ok().stdout
}

/// A process that reads `lost`, says so, and when it is told to does this, and says what came of it.
fn reader_of(directory: &Path, end: &str) -> Dialogue {
    let script = format!(
        "import os, sys\nopen('lost').read()\nprint('read', flush=True)\nsys.stdin.readline()\n\
         try:\n    {end}\n    print('ok')\nexcept OSError as error:\n    print(type(error).__name__)\n"
    );
    let mut command = Command::new("python3");
    command.args(["-c", &script]).current_dir(directory);
    Dialogue::with(command)
}

fn a_mount_works(ground: &Ground) {
    for key in ["read", "removed", "lost", "moved", "saved"] {
        ground.other.put(&ground.object(key), format!("{key}\n"));
    }
    let mount = ground.mount().start();
    let at = mount.path();
    // A listing, and what is read.
    let mut names: Vec<_> = fs::read_dir(at)
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["lost", "moved", "read", "removed", "saved"]);
    assert_eq!(fs::read_to_string(mount.file("read")).unwrap(), "read\n");
    // One version has one time, whoever tells it.
    let before = mtime(&mount, "read");
    let names = || {
        Script::dash("ls -l >/dev/null; stat read >/dev/null")
            .within(at)
            .run()
            .ok()
    };
    names();
    assert_eq!(mtime(&mount, "read"), before, "the time flips");
    fs::read(mount.file("read")).unwrap();
    names();
    assert_eq!(mtime(&mount, "read"), before, "the time flips");
    // Edits: of what was read, of a new key, of whatever is there, and behind it.
    assert_eq!(attempt(at, &save("saved", "again")), "ok");
    let reread = "x = open('saved').read()\nwith open('saved', 'w') as f: f.write(x + '!')";
    assert_eq!(attempt(at, reread), "ok");
    assert_eq!(attempt(at, &create("new", "one")), "ok");
    for blind in [
        "with open('new', 'a') as f: f.write(' two')",
        "with open('read', 'w') as f: f.write('over')",
    ] {
        assert_eq!(attempt(at, blind), "ok", "{blind}");
    }
    // Removals: of what was read and listed, and of what is only listed.
    let shown = "open('removed').read()\nos.listdir('.')\nos.stat('removed')\nos.unlink('removed')";
    assert_eq!(attempt(at, shown), "ok", "false EAGAIN from rm");
    for away in [
        "open('moved').read()\nos.listdir('.')\nos.rename('moved', 'there')",
        "os.listdir('.')\nos.unlink('there')",
    ] {
        assert_eq!(attempt(at, away), "ok", "{away}");
    }
    // Who was shown another version is refused still.
    for end in [
        "with open('lost', 'w') as f: f.write('ours')",
        "os.unlink('lost')",
    ] {
        let mut reader = reader_of(at, end);
        assert_eq!(reader.hear(), "read");
        ground.other.put(&ground.object("lost"), "theirs");
        reader.say("go on");
        assert_eq!(reader.hear(), "BlockingIOError", "{end}");
        reader.finish();
        assert_eq!(ground.other.text(&ground.object("lost")), "theirs", "{end}");
        ground.other.put(&ground.object("lost"), "once more");
    }
    mount.unmount();
    let text = |key: &str| ground.other.text(&ground.object(key));
    assert_eq!(
        (text("saved"), text("new")),
        ("again!".to_owned(), "one two".to_owned())
    );
    assert_eq!(text("read"), "over");
    let mut keys = ground.other.keys();
    keys.retain(|key| !key.ends_with('/'));
    let names = ["lost", "new", "read", "saved"].map(|key| ground.object(key));
    assert_eq!(keys, names);
}

fn the_commands_work(ground: &Ground) {
    let store = &ground.store;
    ground.other.put(&ground.object("c/one"), "1");
    ground.other.put(&ground.object("c/two"), "2");
    let listed = ground.says("etagfs ls $S/c/");
    assert!(listed.contains("one") && listed.contains("two"), "{listed}");
    assert_eq!(ground.says("etagfs get $S/c/one"), "1");
    // The versions of listings and of the objects can be compared as text.
    let etags = |script: &str| {
        let said = ground.says(script);
        let lines = said.lines().map(|line| {
            let known: serde_json::Value = serde_json::from_str(line).unwrap();
            known["etag"].as_str().unwrap().to_owned()
        });
        lines.collect::<Vec<_>>()
    };
    let told = etags("for k in one two; do etagfs stat --json $S/c/$k; done");
    let listed = etags("etagfs ls --json $S/c/");
    assert_eq!(listed, told);
    for script in [
        &format!(
            "printf 3 | etagfs put --if-match '{}' $S/c/one > /dev/null",
            told[0]
        ),
        "printf 4 | etagfs put $S/c/one > /dev/null",
        "printf x | etagfs create $S/c/three > /dev/null",
        "etagfs update $S/c/two -- sed s/2/22/",
        "printf ' y' | etagfs append $S/c/three",
        "etagfs cp $S/c/three $S/c/four",
        "etagfs mv $S/c/four $S/c/five",
        "etagfs rm --if-match \"$(etagfs get --etag $S/c/five 2>&1 >/dev/null)\" $S/c/five",
        "etagfs rm $S/c/one",
    ] {
        let out = ground.run(script);
        assert_eq!(out.code, Some(0), "{script}: {out:#?}");
    }
    let refused =
        "printf 0 | etagfs put --if-match '\"0123456789abcdef0123456789abcdef\"' $S/c/two";
    assert_eq!(ground.run(refused).code, Some(75), "{refused}");
    let refused = "printf 0 | etagfs create $S/c/two";
    assert_eq!(ground.run(refused).code, Some(75), "{refused}");
    let keys = ground.other.list(&format!("{store}/c/"));
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_eq!(ground.other.text(&ground.object("c/two")), "22");
    assert_eq!(ground.other.text(&ground.object("c/three")), "x y\n");
    ground.says("etagfs rm $S/c/two $S/c/three");
}
