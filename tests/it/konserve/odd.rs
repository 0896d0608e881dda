//! Objects out of the ordinary: values that cannot be decoded, names that say an object only, large
//! values, names in other spellings, and an editor.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use konserve_codec::metadata::{Kind, Metadata};
use konserve_codec::{Value, edn};

use super::writer::{Writer, value};
use crate::world::attempts::attempt;
use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::servers::{self, Kind as Server};

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

fn ground() -> Result<(Counted, Writer), String> {
    ground_with(|mount| mount)
}

fn ground_with(options: impl Fn(Mount) -> Mount) -> Result<(Counted, Writer), String> {
    mounts::possible()?;
    let bucket = servers::shared(Server::Embedded)?.bucket();
    let writer = Writer::create(&bucket.client(), STORE);
    let mount = Counted::of(&bucket, |mount| options(mount.store(STORE)));
    Ok((mount, writer))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Puts an object whose value is these stored bytes.
fn put_stored(writer: &Writer, bucket: &Client, object: &str, metadata: &Metadata, stored: &[u8]) {
    bucket.put(object, writer.blob(writer.codec, metadata, stored));
}

#[test]
fn a_key_that_is_written_while_a_listing_looks_at_it_is_listed() {
    let (ground, writer) = or_skip!(ground());
    // What its metadata say takes two requests.
    let key = format!("\"{}\"", "k".repeat(20_000));
    writer.assoc(&key, ":old");
    let object = writer.object(&value(&key));
    let gate = Gate::new();
    let second = When::op(Op::Get).key(&object).nth(2);
    ground
        .proxy
        .inject(second, Fault::HoldRequest(gate.clone()));
    let listed = std::thread::scope(|scope| {
        let listing = scope.spawn(|| names(ground.mount.path()));
        gate.wait_for(1);
        writer.assoc(&key, ":newer");
        gate.open();
        listing.join().unwrap()
    });
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[test]
fn the_access_log_calls_a_key_as_its_owner_does() {
    let (ground, writer) = or_skip!(ground());
    writer.assoc(":a/b", "1");
    let file = ground.mount.file(":a%2Fb");
    assert_eq!(fs::read_to_string(&file).unwrap(), "1\n");
    fs::write(&file, "2\n").unwrap();
    let log = fs::read_to_string(ground.mount.file(".etagfs/access")).unwrap();
    for op in ["open", "read", "write", "flush"] {
        let mut lines = log
            .lines()
            .filter(|line| line.split(' ').nth(1) == Some(op));
        let all = lines.all(|line| line.ends_with(&format!(" {STORE}/:a/b")));
        assert!(all && log.contains(&format!(" {op} ")), "{op}: {log}");
    }
}

#[test]
fn a_value_that_cannot_be_decoded_is_read_as_stored_and_can_be_repaired() {
    let (ground, writer) = or_skip!(ground());
    let key = value(":broken");
    let metadata = Metadata::new(key.clone(), &Kind::Edn, 1);
    put_stored(
        &writer,
        &ground.other,
        &writer.object(&key),
        &metadata,
        b"\xffraw bytes",
    );
    assert_eq!(names(ground.mount.path()), [":broken%.raw"]);
    let raw = ground.mount.file(":broken%.raw");
    assert_eq!(fs::read(&raw).unwrap(), b"\xffraw bytes");
    assert_eq!(fs::metadata(&raw).unwrap().len(), 10);
    let open = |name: &str, flags: &str| {
        attempt(ground.mount.path(), &format!("os.open('{name}', {flags})"))
    };
    assert_eq!(open(":broken%.raw", "os.O_RDWR"), "EROFS");
    assert_eq!(open(":broken", "os.O_RDONLY"), "EIO");
    assert_eq!(open(":broken", "os.O_RDWR"), "EIO");
    assert!(
        ground.mount.log().contains("cannot be read"),
        "{}",
        ground.mount.log()
    );
    assert_eq!(ground.counts().of(Op::Put), 0);

    fs::write(ground.mount.file(":broken"), "{:mended true}").unwrap();
    assert_eq!(writer.get(":broken"), value("{:mended true}"));
    assert_eq!(
        fs::read_to_string(ground.mount.file(":broken")).unwrap(),
        "{:mended true}\n"
    );
}

#[test]
fn an_object_that_its_key_does_not_lead_to_is_named_by_both() {
    let (ground, writer) = or_skip!(ground());
    let object = "00000000-0000-5000-8000-000000000007";
    let name = format!("{STORE}_{object}.ksv");
    let metadata = Metadata::new(Value::Double(0.0), &Kind::Edn, 1);
    let stored = writer.codec.encode(&value("[1]"), None).unwrap();
    put_stored(&writer, &ground.other, &name, &metadata, &stored);
    let unreadable = "00000000-0000-5000-8000-000000000008";
    ground
        .other
        .put(&format!("{STORE}_{unreadable}.ksv"), "no blob at all");
    let shown = [format!("%~{unreadable}%.raw"), format!("0.0%~{object}")];
    assert_eq!(names(ground.mount.path()), shown);
    assert_eq!(
        fs::read(ground.mount.file(&shown[0])).unwrap(),
        b"no blob at all"
    );
    let file = ground.mount.file(&shown[1]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "[1]\n");
    fs::write(&file, "[1 2]").unwrap();
    assert_eq!(writer.decode(&writer.read_object(&name)), value("[1 2]"));
    fs::remove_file(&file).unwrap();
    assert!(ground.other.get(&name).is_none());
    let created = format!("os.open('%~{object}', os.O_WRONLY | os.O_CREAT)");
    let came_to = attempt(
        ground.mount.path(),
        &format!("f = {created}\nos.write(f, b'1')\nos.close(f)"),
    );
    assert_eq!(came_to, "EINVAL");
}

#[test]
fn a_large_text_has_its_true_size_and_is_saved_whole() {
    // Each look at it asks the store, which tells the size of what is stored.
    let strict = ground_with(|mount| mount.arg("--ttl").arg("0"));
    let (ground, writer) = or_skip!(strict);
    let lines: Vec<_> = (0..60_000)
        .map(|n| format!("\"line number {n} of a long value\""))
        .collect();
    writer.assoc(":large", &format!("[{}]", lines.join(" ")));
    let file = ground.mount.file(":large");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() > 2_000_000);
    assert_eq!(fs::metadata(&file).unwrap().size(), text.len() as u64);
    fs::write(&file, text.replace("number 7 ", "number seven ")).unwrap();
    let Value::Vector(items) = writer.get(":large") else {
        panic!()
    };
    assert_eq!(
        (items.len(), &items[7]),
        (60_000, &Value::string("line number seven of a long value"))
    );
}

#[test]
fn a_key_in_another_spelling_is_the_same_file() {
    let (ground, writer) = or_skip!(ground());
    writer.assoc("{:a 1, :b #{2 3}}", "0");
    assert_eq!(
        fs::read_to_string(ground.mount.file("{:b #{3 2} :a 1N}")).unwrap(),
        "0\n"
    );
    let exclusive = "os.open('{:b #{3 2} :a 1}', os.O_CREAT | os.O_EXCL | os.O_WRONLY)";
    assert_eq!(attempt(ground.mount.path(), exclusive), "EEXIST");
    fs::write(ground.mount.file("{:b #{3 2} :a 1}"), "5").unwrap();
    assert_eq!(writer.get("{:a 1, :b #{2 3}}"), Value::Int(5));
    assert_eq!(names(ground.mount.path()), ["{:a 1, :b #{2 3}}"]);
    // The key stays as its owner wrote it.
    let read = writer.read(&value("{:a 1, :b #{2 3}}"));
    assert_eq!(edn::print_line(read.metadata.key()), "{:a 1, :b #{2 3}}");
}

#[test]
fn two_spellings_of_one_key_at_once_are_two_writers_of_one_file() {
    let (ground, writer) = or_skip!(ground());
    writer.assoc("#{1 2}", "0");
    let directory = ground.mount.path();
    // Both have read the value; the second save is told that the first one won.
    let both = "a = os.open('#{1 2}', os.O_RDWR)\nb = os.open('#{2 1}', os.O_RDWR)\n\
                os.read(a, 9)\nos.read(b, 9)\nos.pwrite(a, b'5', 0)\nos.pwrite(b, b'6', 0)\nos.close(a)\n";
    assert_eq!(attempt(directory, &format!("{both}os.close(b)")), "EAGAIN");
    assert_eq!(writer.get("#{1 2}"), Value::Int(5));
    for name in ["#{1 2}", "#{2 1}"] {
        assert_eq!(fs::read_to_string(ground.mount.file(name)).unwrap(), "5\n");
    }
    // Each sees what was done under the other name.
    fs::write(ground.mount.file("#{2 1}"), "7").unwrap();
    assert_eq!(
        fs::read_to_string(ground.mount.file("#{1 2}")).unwrap(),
        "7\n"
    );
    fs::remove_file(ground.mount.file("#{1 2}")).unwrap();
    assert_eq!(attempt(directory, "os.stat('#{2 1}')"), "ENOENT");
    assert_eq!(names(directory), [""; 0]);
    // Moving a file to another spelling of its name is moving it to itself.
    fs::write(ground.mount.file("#{1 2}"), "8").unwrap();
    let renamed = attempt(directory, "os.rename('#{1 2}', '#{2 1}')");
    assert_eq!(renamed, "ok");
    assert_eq!(writer.get("#{1 2}"), Value::Int(8));
    assert_eq!(names(directory), ["#{1 2}"]);
}

#[test]
fn a_mount_without_caches_loses_nothing_that_a_program_wrote_between() {
    let (ground, writer) = or_skip!(ground());
    writer.assoc(":config", "{:n 1}");
    let file = ground.mount.file(":config");
    let script = "f = os.open(':config', os.O_RDWR)\nos.read(f, 99)\n\
                  open('/proc/self/comm').read()\nos.truncate(f, 0)\nos.pwrite(f, b'{:n 2}', 0)\n";
    assert_eq!(
        attempt(ground.mount.path(), &format!("{script}os.close(f)")),
        "ok"
    );
    assert_eq!(writer.get(":config"), value("{:n 2}"));
    // A reader that kept an old value, and writes over it blindly by name, is told.
    let text = fs::read_to_string(&file).unwrap();
    writer.assoc(":config", "{:n 3}");
    let error = fs::write(&file, text.replace('2', "4")).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::AGAIN.raw_os_error())
    );
    assert_eq!(writer.get(":config"), value("{:n 3}"));
}

#[test]
fn an_editor_saves_a_value_with_one_put() {
    let (ground, writer) = or_skip!(ground());
    if Command::new("vim").arg("--version").output().is_err() {
        skip!("vim is not installed");
    }
    writer.assoc(":config", "{:n 1}");
    let out = Command::new("timeout")
        .args([
            "60", "vim", "-es", "-u", "NONE", "-c", "%s/1/2/", "-c", "wq", ":config",
        ])
        .current_dir(ground.mount.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(writer.get(":config"), value("{:n 2}"));
    assert_eq!(names(ground.mount.path()), [":config"]);
    assert_eq!(ground.counts().of(Op::Put), 1);
    let mounted = Mount::of(&ground.bucket).store(STORE).start();
    assert_eq!(
        fs::read_to_string(mounted.file(":config")).unwrap(),
        "{:n 2}\n"
    );
}
