//! Konserve stores come and go as konserve-s3 expects, and listing them costs what it may.

use std::fs;
use std::process::Command;

use konserve_codec::{Value, hasch};

use super::fixtures::Store;
use super::writer::Writer;
use crate::world::attempts::attempt;
use crate::world::client::{Client, REGION};
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind as Server};
use crate::world::wait;

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
const OTHER: &str = "7d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
const REGISTRY: &str = "_konserve-stores-registry";

fn marker(store: &str) -> String {
    format!("{store}_.konserve-metadata")
}

fn bucket() -> Result<Bucket, String> {
    mounts::possible()?;
    Ok(servers::shared(Server::Embedded)?.bucket())
}

/// `etagfs stores ARGUMENTS`: whether it succeeded, and what it printed.
fn stores(bucket: &Bucket, command: &str, arguments: &[&str]) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_etagfs"))
        .args(["stores", command])
        .arg(format!("s3://{}", bucket.name))
        .args(arguments)
        .args(["--endpoint-url", &bucket.endpoint, "--path-style"])
        .env("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret)
        .env("AWS_REGION", REGION)
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn a_store_is_made_and_removed_with_the_marker_of_the_library() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    let mount = Mount::of(&bucket)
        .arg("--layout=konserve")
        .arg("--ttl=0")
        .start();
    fs::create_dir(mount.file(STORE)).unwrap();
    assert_eq!(other.text(&marker(STORE)), "konserve");
    assert_eq!(other.keys(), [marker(STORE)]);
    assert_eq!(stores(&bucket, "ls", &[]).1, format!("{STORE}  konserve\n"));
    assert_eq!(
        attempt(mount.path(), &format!("os.mkdir('{STORE}')")),
        "EEXIST"
    );
    assert_eq!(attempt(&mount.file(STORE), "os.mkdir('below')"), "EPERM");

    fs::write(mount.file(STORE).join(":a"), "1").unwrap();
    assert_eq!(Writer::of(&other, STORE).get(":a"), Value::Int(1));
    assert_eq!(
        attempt(mount.path(), &format!("os.rmdir('{STORE}')")),
        "ENOTEMPTY"
    );
    fs::remove_file(mount.file(STORE).join(":a")).unwrap();
    other.put(
        &format!("{STORE}_06cee0d3-72f7-5bfd-ae3b-af7c2f0fef8f.ksv.new"),
        "left by a crash",
    );
    fs::remove_dir(mount.file(STORE)).unwrap();
    assert!(other.keys().is_empty(), "{:?}", other.keys());
}

#[test]
fn a_store_is_one_with_a_marker_or_with_a_value_and_nothing_else() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    other.put(&marker(STORE), "konserve");
    Writer::of(&other, OTHER).assoc(":a", "1");
    other.put("8d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e_notes.txt", "no store");
    Store::load("fressian-custom-tag").fill(&other);
    let mount = Mount::of(&bucket).start();
    let mut names: Vec<_> = fs::read_dir(mount.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = vec![
        STORE.to_owned(),
        OTHER.to_owned(),
        Store::load("fressian-custom-tag").id,
    ];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(fs::read_dir(mount.file(STORE)).unwrap().count(), 0);
    assert_eq!(
        fs::read_to_string(mount.file(OTHER).join(":a")).unwrap(),
        "1\n"
    );
}

#[test]
fn the_registry_of_older_libraries_is_kept_in_step_where_there_is_one() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    let (made, printed) = stores(&bucket, "create", &[OTHER, "--layout=konserve"]);
    assert!(made, "{printed}");
    assert!(other.get(REGISTRY).is_none(), "no registry is made");
    let old = "0c000000-0000-4000-8000-000000000002";
    other.put(REGISTRY, format!("[#uuid \"{old}\"]"));
    let (made, printed) = stores(&bucket, "create", &[STORE, "--layout=konserve"]);
    assert!(made, "{printed}");
    assert_eq!(
        other.text(REGISTRY),
        format!("[#uuid \"{old}\" #uuid \"{STORE}\"]")
    );
    assert!(
        !stores(&bucket, "create", &[STORE, "--layout=konserve"]).0,
        "it exists"
    );
    let (removed, printed) = stores(&bucket, "rm", &[STORE]);
    assert!(removed, "{printed}");
    assert_eq!(other.text(REGISTRY), format!("[#uuid \"{old}\"]"));
    assert_eq!(other.keys(), [marker(OTHER), REGISTRY.to_owned()]);
}

#[test]
fn a_store_is_removed_with_its_values_only_when_that_is_asked_for() {
    let bucket = or_skip!(bucket());
    let other = bucket.client();
    let writer = Writer::create(&other, STORE);
    writer.assoc(":a", "1");
    writer.assoc(":b", "2");
    other.put(&format!("{OTHER}/key"), "plain");
    other.put("README", "stays");
    assert!(!stores(&bucket, "rm", &[STORE]).0);
    assert_eq!(other.keys().len(), 5);
    for store in [STORE, OTHER] {
        let (removed, printed) = stores(&bucket, "rm", &[store, "--recursive"]);
        assert!(removed, "{printed}");
    }
    assert_eq!(other.keys(), ["README"]);
}

#[test]
fn names_can_be_plain_edn() {
    let bucket = or_skip!(bucket());
    Writer::create(&bucket.client(), STORE).assoc("\"config.edn\"", "1");
    let mount = Mount::of(&bucket)
        .store(STORE)
        .arg("--konserve-names=edn")
        .start();
    assert_eq!(
        fs::read_to_string(mount.file("\"config.edn\"")).unwrap(),
        "1\n"
    );
    assert_eq!(attempt(mount.path(), "os.stat('config.edn')"), "ENOENT");
    let bare = Mount::of(&bucket).store(STORE).start();
    assert_eq!(fs::read_to_string(bare.file("config.edn")).unwrap(), "1\n");
}

/// A store with so many keys, written by a program.
fn many(bucket: &Client, count: usize) -> Writer {
    let writer = Writer::create(bucket, STORE);
    for n in 0..count {
        writer.assoc(&format!(":key-{n}"), &format!("{{:n {n}}}"));
    }
    writer
}

#[test]
fn names_are_asked_for_once_with_one_ranged_get_each_and_never_again() {
    let bucket = or_skip!(bucket());
    // `ETAGFS_TEST_KEYS=10000` for the numbers in docs/konserve.md.
    let count = std::env::var("ETAGFS_TEST_KEYS").map_or(1200, |count| count.parse().unwrap());
    let writer = many(&bucket.client(), count);
    let state = tempfile::tempdir().unwrap();
    let start = |mount: Mount| mount.store(STORE).arg("--ttl=0").state_dir(state.path());
    let mut lines = Vec::new();
    let mut list = |ground: &Counted, what: &str, lists: usize, gets: usize| {
        let before = ground.counts();
        let begun = std::time::Instant::now();
        let names = fs::read_dir(ground.mount.path()).unwrap().count();
        let took = begun.elapsed();
        let counts = ground.counts();
        let of = |op| counts.of(op) - before.of(op);
        lines.push(format!(
            "{what}: {names} names, LIST {}, GET {}, {took:.1?}",
            of(Op::List),
            of(Op::Get)
        ));
        assert_eq!(names, count, "{what}");
        assert_eq!(
            (of(Op::List), of(Op::Get), of(Op::Head)),
            (lists, gets, 0),
            "{what}"
        );
    };
    let cold = Counted::of(&bucket, start);
    // The marker is listed too.
    let lists = (count + 1).div_ceil(1000);
    list(&cold, "cold", lists, count);
    list(&cold, "again", lists, 0);
    // Its key cannot change, whatever becomes of its value.
    writer.assoc(":key-7", "[:another :and :longer :value]");
    list(&cold, "after a change", lists, 0);
    let size = fs::metadata(cold.mount.file(":key-7")).unwrap().len();
    assert_eq!(
        size,
        fs::read(cold.mount.file(":key-7")).unwrap().len() as u64
    );
    cold.unmount();
    let warm = Counted::of(&bucket, start);
    list(&warm, "another mount", lists, 0);
    let before = warm.counts().total();
    for entry in fs::read_dir(warm.mount.path()).unwrap().take(50) {
        assert!(entry.unwrap().metadata().unwrap().len() > 0);
    }
    // One LIST for the directory, and what the kernel asks of each file with no time to live.
    lines.push(format!(
        "ls -l of 50 of them: {} requests",
        warm.counts().total() - before
    ));
    report::write("konserve listing", &lines.join("\n"));
}

#[test]
fn sizes_cost_one_get_for_each_value_that_changed_since_it_was_seen() {
    let bucket = or_skip!(bucket());
    let writer = many(&bucket.client(), 50);
    let state = tempfile::tempdir().unwrap();
    let start = |mount: Mount| mount.store(STORE).arg("--ttl=600").state_dir(state.path());
    let mut lines = Vec::new();
    let mut list = |ground: &Counted, what: &str, lists: usize, gets: usize| {
        let before = ground.counts();
        let out = ground.run(Script::dash("ls -l")).ok().stdout;
        let counts = ground.counts();
        let of = |op| counts.of(op) - before.of(op);
        lines.push(format!(
            "ls -l of 50, {what}: LIST {}, GET {}",
            of(Op::List),
            of(Op::Get)
        ));
        assert_eq!(out.lines().count(), 51, "{what}: {out}");
        let size = |line: &str| line.split_whitespace().nth(4).map(str::to_owned);
        let empty = out
            .lines()
            .skip(1)
            .find(|line| size(line) == Some("0".to_owned()));
        assert_eq!(empty, None, "{what}");
        assert_eq!((of(Op::List), of(Op::Get)), (lists, gets), "{what}");
    };
    let cold = Counted::of(&bucket, start);
    list(&cold, "cold", 1, 50);
    list(&cold, "again", 0, 0);
    cold.unmount();
    for n in 0..50 {
        writer.assoc(&format!(":key-{n}"), &format!("{{:n {n} :more true}}"));
    }
    let warm = Counted::of(&bucket, start);
    list(&warm, "by another mount, all changed", 1, 50);
    list(&warm, "again", 0, 0);
    warm.unmount();
    let third = Counted::of(&bucket, start);
    list(&third, "by a third mount, nothing changed", 1, 0);
    report::write("konserve sizes", &lines.join("\n"));
}

#[test]
fn a_look_up_asks_for_one_object_and_an_open_for_no_other() {
    let bucket = or_skip!(bucket());
    Writer::create(&bucket.client(), STORE).assoc("#{1 2}", "{:a 1}");
    let ground = Counted::of(&bucket, |mount| mount.store(STORE).arg("--ttl=600"));
    for name in ["#{1 2}", "#{2 1}"] {
        let before = ground.counts().total();
        assert_eq!(
            fs::read_to_string(ground.mount.file(name)).unwrap(),
            "{:a 1}\n"
        );
        let cost = ground.counts().total() - before;
        assert!(cost <= 2, "{name}: {}", ground.counts().line());
    }
    let before = ground.counts().total();
    assert_eq!(
        attempt(ground.mount.path(), "os.stat(':missing')"),
        "ENOENT"
    );
    assert_eq!(ground.counts().total() - before, 1);
}

#[test]
fn a_listing_that_fails_half_way_shows_nothing_and_the_next_one_goes_on() {
    let bucket = or_skip!(bucket());
    many(&bucket.client(), 60);
    let ground = Counted::of(&bucket, |mount| mount.store(STORE).arg("--ttl=0"));
    let name = hasch::uuid(&Value::keyword("key-3")).unwrap().to_string();
    let denied = When::op(Op::Get).key(&format!("{STORE}_{name}.ksv"));
    ground
        .proxy
        .inject(denied, Fault::Answer(403, "AccessDenied"));
    assert!(fs::read_dir(ground.mount.path()).is_err());
    ground.proxy.heal();
    let before = ground.counts().of(Op::Get);
    assert_eq!(fs::read_dir(ground.mount.path()).unwrap().count(), 60);
    let gets = ground.counts().of(Op::Get) - before;
    assert!((1..60).contains(&gets), "{gets}");
}

#[test]
fn the_progress_of_a_listing_is_told() {
    let bucket = or_skip!(bucket());
    many(&bucket.client(), 40);
    told_of_listing(&Counted::of(&bucket, |mount| mount), STORE);
    told_of_listing(&Counted::of(&bucket, |mount| mount.store(STORE)), "");
}

/// Lists a directory that has 40 keys never seen before.
fn told_of_listing(ground: &Counted, directory: &str) {
    let gate = Gate::new();
    ground
        .proxy
        .inject(When::op(Op::Get), Fault::HoldRequest(gate.clone()));
    std::thread::scope(|scope| {
        let directory = ground.mount.file(directory);
        let listing = scope.spawn(move || fs::read_dir(directory).unwrap().count());
        let status = || fs::read_to_string(ground.mount.file(".etagfs/status")).unwrap();
        wait::until("the listing is told of", wait::SOON, || {
            let text = status();
            text.contains("\"looked_at\": 0") && text.contains("\"of\": 40") && text.contains(STORE)
        });
        gate.open();
        assert_eq!(listing.join().unwrap(), 40);
        assert!(status().contains("\"listings\": []"), "{}", status());
    });
}
