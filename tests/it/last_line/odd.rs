//! Things in the state directory that nobody expects: each is named, and hides nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{Ground, lose, shown, status};
use crate::world::procs::{Output, Script};
use crate::world::rescues;

/// Exit code 1, and a message with these words.
#[track_caller]
fn complains(out: &Output, words: &[&str]) {
    assert_eq!(out.code, Some(1), "{out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
    }
}

/// Everything odd that a directory of pairs can hold; the ids.
fn litter(dir: &Path) -> Vec<&'static str> {
    let pair = |id: &str, json: &str| {
        fs::write(dir.join(format!("{id}.value")), format!("bytes of {id}")).unwrap();
        fs::write(dir.join(format!("{id}.json")), json).unwrap();
    };
    pair("a-torn", "{\"id\": \"a-torn\", \"ti");
    pair("b-newer", "{\"format\": 7, \"name\": \"b-newer\"}");
    pair("c-empty", "");
    let script = "mkfifo d-pipe.json d-pipe.value e-bytes.value
echo '{}' > e-bytes.json
mkdir -p f-dir.json/full
test \"$(id -u)\" != 0 || mknod g-device.json c 1 5";
    Script::dash(script).within(dir).run().ok();
    symlink("/dev/zero", dir.join("h-link.json")).unwrap();
    let mut ids = vec![
        "a-torn", "b-newer", "c-empty", "d-pipe", "e-bytes", "f-dir", "h-link",
    ];
    if dir.join("g-device.json").exists() {
        ids.insert(6, "g-device");
    }
    ids
}

#[test]
fn what_cannot_be_read_is_listed_as_what_it_is() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    ground.other.put("key", "old");
    for text in ["one", "two"] {
        lose(&mount, "key", text);
    }
    let good: Vec<_> = rescues::of(state.path())
        .into_iter()
        .map(|one| one.id)
        .collect();
    let odd = litter(&state.path().join("rescue"));

    // In the mount the good ones are shown, and the others counted.
    assert_eq!(shown(&mount), ["one", "two"]);
    assert_eq!(status(&mount)["rescues_unreadable"], odd.len());
    mount.unmount();

    let run = |arguments: &str| ground.etagfs(state.path(), &format!("rescue {arguments}"));
    let list = run("ls");
    complains(
        &list,
        &[
            &format!("{} of them cannot be read", odd.len()),
            "rescue show ID",
        ],
    );
    let ids: Vec<_> = list
        .stdout
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        ids,
        good.iter()
            .map(|id| &**id)
            .chain(odd.clone())
            .collect::<Vec<_>>()
    );
    let line = |id: &str| {
        list.stdout
            .lines()
            .find(|line| line.starts_with(id))
            .unwrap()
    };
    for (id, why) in [
        ("a-torn", "damaged"),
        ("b-newer", "of a newer etagfs (format 7; this one reads 1)"),
        ("c-empty", "damaged"),
        ("d-pipe", "no regular file"),
        ("e-bytes", "damaged"),
        ("f-dir", "no regular file"),
        ("h-link", "no regular file"),
    ] {
        assert!(line(id).contains(why), "{why:?} is not in {}", line(id));
    }
    let json = run("ls --json");
    assert_eq!(json.code, Some(1));
    let kinds = json.stdout.lines().map(|line| {
        let one: serde_json::Value = serde_json::from_str(line).unwrap();
        one["kind"].as_str().unwrap().to_owned()
    });
    assert_eq!(kinds.filter(|kind| kind == "unreadable").count(), odd.len());

    // What there is of their bytes can be had.
    assert_eq!(run("show b-newer").ok().stdout, "bytes of b-newer");
    complains(&run("show d-pipe"), &["d-pipe", "no regular file"]);
    complains(
        &run("apply b-newer"),
        &["of a newer etagfs", "rescue show b-newer"],
    );

    // They go when they are named, and never along with others.
    let some = run(&format!("drop nothing a-torn f-dir {} d-pipe", good[0]));
    complains(
        &some,
        &["there is no rescue nothing", "f-dir", "f-dir.json"],
    );
    assert!(
        !some.stderr.contains("a-torn") && !some.stderr.contains("d-pipe"),
        "{some:#?}"
    );
    let all = run("drop --all");
    complains(&all, &["b-newer stays", "cannot be read, and stay"]);
    let left = run("ls").stdout;
    let left: Vec<_> = left
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let expected = odd.iter().filter(|id| !["a-torn", "d-pipe"].contains(id));
    assert_eq!(left, expected.copied().collect::<Vec<_>>());
}

#[test]
fn one_damaged_label_hides_no_other_scratch_file() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let point = tempfile::tempdir().unwrap();
    let point = point.path().canonicalize().unwrap();
    let mount = ground.mount(state.path()).at(&point).start();
    for name in ["a~", "b~", "c~"] {
        fs::write(mount.file(name), format!("text of {name}")).unwrap();
    }
    mount.unmount();
    let dir = state.path().join("scratch");
    let label_of_b = fs::read_dir(&dir)
        .unwrap()
        .map(|one| one.unwrap().path())
        .find(|path| {
            path.extension().is_some_and(|ending| ending == "json")
                && fs::read_to_string(path).unwrap().contains("\"b~\"")
        });
    let label_of_b = label_of_b.unwrap();
    fs::write(&label_of_b, "{\"id").unwrap();
    litter(&dir);
    let mount = ground.mount(state.path()).at(&point).start();
    for name in ["a~", "c~"] {
        assert_eq!(
            fs::read_to_string(mount.file(name)).unwrap(),
            format!("text of {name}")
        );
    }
    assert!(fs::metadata(mount.file("b~")).is_err());
    let log = mount.unmount();
    let id = label_of_b.file_stem().unwrap().to_str().unwrap();
    assert!(
        log.lines()
            .any(|line| line.contains("WARN") && line.contains(id)),
        "{log}"
    );
    let list = ground.etagfs(state.path(), "rescue ls");
    assert!(
        list.code == Some(1) && list.stdout.contains("a~"),
        "{list:#?}"
    );
    assert!(
        list.stdout
            .lines()
            .any(|line| line.starts_with(id) && line.contains("damaged")),
        "{list:#?}"
    );
    let shown = ground
        .etagfs(state.path(), &format!("rescue show {id}"))
        .ok();
    assert_eq!(shown.stdout, "text of b~");
    // It has no name in any mount: it goes when that is said, and the others do not.
    ground
        .etagfs(state.path(), &format!("rescue drop {id}"))
        .ok();
    let list = ground.etagfs(state.path(), "rescue ls").stdout;
    assert!(
        !list.contains(id) && list.contains("a~") && list.contains("c~"),
        "{list}"
    );
}

#[test]
fn a_scratch_file_that_a_mount_has_is_not_dropped_however_damaged_its_label() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let mount = ground.mount(state.path()).start();
    fs::write(mount.file("a~"), "text").unwrap();
    let dir = state.path().join("scratch");
    let label = fs::read_dir(&dir)
        .unwrap()
        .map(|one| one.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "json"))
        .unwrap();
    let id = label.file_stem().unwrap().to_str().unwrap();
    let drop = || ground.etagfs(state.path(), &format!("rescue drop {id}"));
    for text in ["{\"id", ""] {
        match text {
            "" => fs::remove_file(&label).unwrap(),
            text => fs::write(&label, text).unwrap(),
        }
        let out = drop();
        assert_eq!(out.code, Some(1), "{out:#?}");
        assert_eq!(fs::read_to_string(mount.file("a~")).unwrap(), "text");
    }
    // Without its label it is nobody's when the mount is gone.
    mount.unmount();
    let list = ground.etagfs(state.path(), "rescue ls");
    complains(&list, &["1 of them"]);
    assert!(list.stdout.contains("its record is missing"), "{list:#?}");
    drop().ok();
    assert_eq!(ground.etagfs(state.path(), "rescue ls").ok().stdout, "");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn whatever_is_listed_can_be_dropped() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join("rescue");
    fs::create_dir_all(&dir).unwrap();
    let script =
        "set -e; touch 'a copy.json' _u.json $'n\\nl.json' .json .hidden.json .value; mkdir d.json
        printf bytes > killed.value; mkfifo pipe.value; printf 1 > 'x y.value'";
    let out = Script::bash(script).within(&dir).run();
    out.ok();
    let run = |arguments: &str| ground.etagfs(state.path(), &format!("rescue {arguments}"));
    let list = run("ls --json");
    complains(&list, &["7 of them cannot be read"]);
    let told: Vec<serde_json::Value> = list
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let missing = |id: &str| {
        let one = told.iter().find(|one| one["id"] == id).unwrap();
        (one["why"].as_str().unwrap(), one["size"].as_u64())
    };
    assert_eq!(missing("killed"), ("its record is missing", Some(5)));
    assert_eq!(missing("x y"), ("its record is missing", Some(1)));
    assert_eq!(missing("pipe"), ("its record is missing", None));
    assert_eq!(run("show killed").ok().stdout, "bytes");
    complains(&run("apply killed"), &["its record is missing", "show"]);
    let ids: Vec<_> = told
        .iter()
        .map(|one| format!("$'{}'", one["id"].as_str().unwrap().escape_default()))
        .collect();
    run(&format!("drop {}", ids.join(" "))).ok();
    assert_eq!(run("ls").ok().stdout, "");
    complains(&run("drop ../rescue/x"), &["there is no rescue"]);
}

/// Bytes come before their record: what is being written is no litter.
#[test]
fn what_is_being_written_is_not_listed() {
    let ground = or_skip!(Ground::new());
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join("rescue");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("busy.value"), "bytes").unwrap();
    let writer = fs::File::open(dir.join("busy.value")).unwrap();
    flock(&writer, FlockOperation::NonBlockingLockExclusive).unwrap();
    let run = |arguments: &str| ground.etagfs(state.path(), &format!("rescue {arguments}"));
    assert_eq!(run("ls").ok().stdout, "");
    complains(&run("drop busy"), &["is being written"]);
    drop(writer);
    complains(&run("ls"), &["1 of them cannot be read"]);
    // In the mount it counts.
    let mount = ground.mount(state.path()).start();
    assert_eq!(status(&mount)["rescues_unreadable"], 1);
    run("drop busy").ok();
    assert_eq!(status(&mount)["rescues_unreadable"], 0);
}
