//! What travels with a value besides its bytes (W14): headers, tags, user metadata. Whatever program saves
//! it, and however: they are those of the value that was replaced, and a coding travels only with bytes that
//! have it.

mod codings;

use std::collections::BTreeMap;
use std::fs;

use rustix::fs::XattrFlags;

use crate::world::cli;
use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Log, Op, When};
use crate::world::report;

const EXPIRES: &str = "Wed, 21 Oct 2065 07:28:00 GMT";
const TAGS: &str = "size=a%20%26%20b&team=blue";

/// Everything that can travel with a value, but a coding.
fn put_with_everything(other: &Client, key: &str, body: &[u8]) {
    let request = other.sdk().put_object();
    let request = request
        .bucket(other.bucket())
        .key(key)
        .body(body.to_vec().into())
        .content_type("text/x-own")
        .cache_control("max-age=7")
        .content_disposition("inline")
        .content_language("de")
        .website_redirect_location("/elsewhere")
        .tagging(TAGS)
        .metadata("colour", "red")
        .customize()
        .mutate_request(|request| {
            request.headers_mut().insert("expires", EXPIRES);
        });
    other.block_on(request.send()).unwrap();
}

/// What travels with a value, as the store tells it; what a mount adds for itself left out.
fn travels(other: &Client, key: &str) -> BTreeMap<String, String> {
    let head = other.sdk().head_object().bucket(other.bucket()).key(key);
    let head = other
        .block_on(head.send())
        .unwrap_or_else(|error| panic!("{key}: {error:?}"));
    let tags = other.sdk().get_object_tagging();
    let tags = tags.bucket(other.bucket()).key(key);
    let tags = other.block_on(tags.send()).unwrap();
    let headers = [
        ("type", head.content_type()),
        ("cache", head.cache_control()),
        ("disposition", head.content_disposition()),
        ("coding", head.content_encoding()),
        ("language", head.content_language()),
        ("expires", head.expires_string()),
        ("redirect", head.website_redirect_location()),
    ];
    let mut all: BTreeMap<_, _> = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    for tag in tags.tag_set() {
        all.insert(format!("tag {}", tag.key()), tag.value().to_owned());
    }
    for (name, value) in head.metadata().into_iter().flatten() {
        if !name.starts_with("etagfs-") {
            all.insert(format!("meta {name}"), value.clone());
        }
    }
    all
}

fn everything() -> BTreeMap<String, String> {
    let all = [
        ("type", "text/x-own"),
        ("cache", "max-age=7"),
        ("disposition", "inline"),
        ("language", "de"),
        ("expires", EXPIRES),
        ("redirect", "/elsewhere"),
        ("tag size", "a & b"),
        ("tag team", "blue"),
        ("meta colour", "red"),
    ];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    all.into_iter().map(owned).collect()
}

/// How often the tags of an object were asked for.
fn asked_for_tags(log: &Log) -> usize {
    let is_asked = |request: &&crate::world::proxy::Record| request.parameter("tagging").is_some();
    log.0.iter().filter(is_asked).count()
}

/// The same dance with the file `f`, in a program each; what is at `f` then replaces what was there.
const EDITS: [(&str, &str); 10] = [
    ("a redirection", "echo new > f"),
    ("an append", "echo new >> f"),
    (
        "cp over it",
        "echo new > /tmp/new.$$; cp /tmp/new.$$ f; rm /tmp/new.$$",
    ),
    (
        "python, in place",
        "python3 -c 'f = open(\"f\", \"r+\"); f.write(\"new\")'",
    ),
    (
        "python, with fsync",
        "python3 -c 'import os; f = open(\"f\", \"w\"); f.write(\"new\"); f.flush(); os.fsync(f)'",
    ),
    ("truncate", "truncate -s 2 f"),
    ("a temporary that is renamed", "echo new > t; mv t f"),
    ("sed -i", "sed -i s/old/new/ f"),
    ("moved to f~ and made anew", "mv f f~; echo new > f; rm f~"),
    (
        "vim",
        "vim -es -u NONE -c 'set writebackup' -c '%s/old/new/' -c 'wq' f < /dev/null > /dev/null 2>&1 || true; grep -q new f",
    ),
];

#[test]
fn what_travels_with_a_value_survives_every_edit() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    let mut table = String::new();
    for (name, script) in EDITS {
        put_with_everything(&ground.other, "f", b"old text\n");
        let mark = ground.proxy.mark();
        ground.run(Script::bash(script)).ok();
        let log = ground.proxy.since(mark);
        assert_ne!(ground.other.text("f"), "old text\n", "{name}");
        assert_eq!(travels(&ground.other, "f"), everything(), "{name}");
        let puts = log.key("f").of(Op::Put).len();
        let asked = asked_for_tags(&log);
        assert!(
            puts >= 1 && asked <= puts,
            "{name}: {puts} saves, {asked} questions"
        );
        table.push_str(&format!(
            "{name:30} {puts} saves, asked {asked} times for the tags\n"
        ));
        ground.other.delete("f");
        // Another file of that name is a new one.
        ground.run(Script::bash("rm -f f t; cat f; true")).ok();
    }
    println!("{table}");
    report::write("what-travels", &table);
}

/// A backup under whatever name, and the name made anew: both have all that travelled.
const DANCES: [(&str, &str, &str); 8] = [
    ("sed -i.bak", "sed -i.bak s/old/new/ f", "f.bak"),
    ("perl -i.bak", "perl -i.bak -pe s/old/new/ f", "f.bak"),
    (
        "patch -b",
        "printf '%s\\n' '--- f' '+++ f' '@@ -1 +1 @@' '-old text' '+new text' | patch -b f",
        "f.orig",
    ),
    ("mv and a redirection", "mv f f.old; echo new > f", "f.old"),
    (
        "mv and cp",
        "echo new > /tmp/new.$$; mv f kept; cp /tmp/new.$$ f; rm /tmp/new.$$",
        "kept",
    ),
    (
        "cp -b",
        "echo new > /tmp/new.$$; cp -b -S .1 /tmp/new.$$ f; rm /tmp/new.$$",
        "f.1",
    ),
    (
        "a temporary that is renamed",
        "echo new > t; mv f saved; mv t f",
        "saved",
    ),
    (
        "JetBrains",
        "echo new > f___jb_tmp___; mv f f___jb_old___; mv f___jb_tmp___ f; rm f___jb_old___",
        "",
    ),
];

#[test]
fn a_name_that_is_made_anew_after_a_move_to_any_name_keeps_what_travelled() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    for (name, script, backup) in DANCES {
        put_with_everything(&ground.other, "f", b"old text\n");
        let mark = ground.proxy.mark();
        ground.run(Script::bash(script)).ok();
        assert!(ground.other.text("f").starts_with("new"), "{name}");
        assert_eq!(travels(&ground.other, "f"), everything(), "{name}");
        if !backup.is_empty() {
            assert_eq!(ground.other.text(backup), "old text\n", "{name}");
            assert_eq!(
                travels(&ground.other, backup),
                everything(),
                "{name}: {backup}"
            );
        }
        println!(
            "{name}: {}; asked {} times for tags",
            ground.proxy.since(mark).counts().line(),
            asked_for_tags(&ground.proxy.since(mark))
        );
        ground.run(Script::bash(&format!("rm -f f {backup}"))).ok();
    }
}

#[test]
fn a_name_that_was_deleted_and_is_made_anew_is_a_new_one() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    for script in [
        "rm f; echo new > f",
        "mv f g; echo other > f; rm f; echo new > f",
        "mv f g; rm g; echo other > f; rm f; cp -r /etc/hostname f",
    ] {
        put_with_everything(&ground.other, "f", b"old text\n");
        ground.run(Script::bash(script)).ok();
        let new = travels(&ground.other, "f");
        assert_eq!(
            new.keys().collect::<Vec<_>>(),
            ["type"],
            "{script}: {new:?}"
        );
        assert_eq!(new["type"], "application/octet-stream", "{script}");
        ground.run(Script::bash("rm -f f g")).ok();
    }
}

#[test]
fn what_travels_with_a_value_survives_renames_and_copies_by_every_command() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    let state = tempfile::tempdir().unwrap();
    let url = format!("s3://{}", ground.bucket.name);
    let (one, two) = (
        "0c4d4a2c-3f5b-4d7c-9a56-2f3a5a2f6d10",
        "0c4d4a2c-3f5b-4d7c-9a56-2f3a5a2f6d11",
    );
    let source = format!("{one}/f");
    let cases = [
        ("mv", format!("mv {one}/f {one}/g"), format!("{one}/g")),
        (
            "mv, through f~",
            format!("mv {one}/f {one}/f~; mv {one}/f~ {one}/g"),
            format!("{one}/g"),
        ),
        (
            "etagfs cp",
            "etagfs cp $U/f $U/g".to_owned(),
            format!("{one}/g"),
        ),
        (
            "etagfs mv",
            "etagfs mv $U/f $U/g".to_owned(),
            format!("{one}/g"),
        ),
        (
            "etagfs put",
            "echo new | etagfs put $U/f".to_owned(),
            source.clone(),
        ),
        (
            "etagfs append",
            "echo new | etagfs append $U/f".to_owned(),
            source.clone(),
        ),
        (
            "etagfs update",
            "etagfs update $U/f -- tr a-z A-Z".to_owned(),
            source.clone(),
        ),
        (
            "etagfs mput",
            "echo '{\"key\":\"f\",\"value\":\"new\"}' | etagfs mput --in $U/".to_owned(),
            source.clone(),
        ),
        (
            "etagfs stores copy",
            format!("etagfs stores copy $U {url}/{two}"),
            format!("{two}/f"),
        ),
    ];
    for (name, script, key) in cases {
        put_with_everything(&ground.other, &source, b"old text\n");
        let run = cli::script(&ground.bucket, state.path(), &format!("set -e; {script}"));
        ground.run(run.env("U", format!("{url}/{one}"))).ok();
        assert_eq!(travels(&ground.other, &key), everything(), "{name}");
        ground.other.delete(&key);
        ground
            .run(Script::bash(&format!("rm -f {one}/f {one}/g")))
            .ok();
    }
}

#[test]
fn tags_cost_a_request_only_where_there_are_some_and_none_to_readers() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    ground.other.put("plain", "old text\n");
    put_with_everything(&ground.other, "tagged", b"old text\n");
    ground
        .run(Script::bash(
            "cat plain tagged; ls -l; stat tagged; getfattr -d tagged || true",
        ))
        .ok();
    assert_eq!(asked_for_tags(&ground.log()), 0);
    let script = "echo a > plain; echo b >> plain; sed -i s/a/c/ plain; mv plain moved; echo new > new; rm moved";
    ground.run(Script::bash(script)).ok();
    assert_eq!(asked_for_tags(&ground.log()), 0);
    for n in 1..=3 {
        fs::write(ground.mount.file("tagged"), format!("{n}")).unwrap();
        assert_eq!(asked_for_tags(&ground.log()), n);
        assert_eq!(ground.log().key("tagged").of(Op::Put).len(), n);
    }
}

/// Whose tags may not be read, they are not lost: the save fails, and says why.
#[test]
fn a_save_that_would_lose_tags_is_denied() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    put_with_everything(&ground.other, "f", b"old text\n");
    let asks = |request: &crate::world::proxy::Record| request.parameter("tagging").is_some();
    ground
        .proxy
        .inject(When::any().and(asks), Fault::access_denied());
    assert_eq!(
        fs::read_to_string(ground.mount.file("f")).unwrap(),
        "old text\n"
    );
    let said = ground.run(Script::python(
        "import os\nf = os.open('f', os.O_WRONLY | os.O_TRUNC)\nos.write(f, b'new')\nos.close(f)",
    ));
    assert!(said.stderr.contains("PermissionError"), "{said:#?}");
    assert_eq!(ground.other.text("f"), "old text\n");
    assert_eq!(travels(&ground.other, "f"), everything());
    let log = ground.mount.log();
    assert!(log.contains("the tags of"), "{log}");
    ground.proxy.heal();
    fs::write(ground.mount.file("f"), "new").unwrap();
    assert_eq!(travels(&ground.other, "f"), everything());
}

/// The header that each attribute is, and a value.
const ATTRIBUTES: [(&str, &str, &str); 7] = [
    ("user.content_type", "type", "text/x-new"),
    ("user.content_encoding", "coding", "br"),
    ("user.cache_control", "cache", "no-store"),
    ("user.content_disposition", "disposition", "attachment"),
    ("user.content_language", "language", "fr"),
    ("user.expires", "expires", "Wed, 01 Jan 2070 00:00:00 GMT"),
    ("user.website_redirect", "redirect", "https://example.org/"),
];

#[test]
fn headers_are_attributes_that_can_be_read_set_and_removed() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    put_with_everything(&ground.other, "f", b"text");
    let path = ground.mount.file("f");
    let read = |name: &str| {
        let mut value = Vec::with_capacity(4096);
        rustix::fs::getxattr(&path, name, rustix::buffer::spare_capacity(&mut value))?;
        Ok::<_, rustix::io::Errno>(String::from_utf8(value).unwrap())
    };
    let names = || {
        let mut list = Vec::with_capacity(4096);
        rustix::fs::listxattr(&path, rustix::buffer::spare_capacity(&mut list)).unwrap();
        String::from_utf8(list).unwrap()
    };
    for (name, header, value) in ATTRIBUTES {
        let before = everything().get(header).cloned();
        assert_eq!(read(name).ok(), before, "{name}");
        assert_eq!(
            names().contains(&format!("{name}\0")),
            before.is_some(),
            "{name}"
        );
        let mark = ground.proxy.mark();
        let set =
            |value: &str| rustix::fs::setxattr(&path, name, value.as_bytes(), XattrFlags::empty());
        set(value).unwrap();
        let puts = ground.proxy.since(mark).of(Op::Put);
        assert!(puts.len() == 1 && puts[0].if_match().is_some(), "{name}");
        let mut expected = everything();
        expected.insert(header.to_owned(), value.to_owned());
        assert_eq!(travels(&ground.other, "f"), expected, "{name}");
        assert_eq!(read(name).as_deref(), Ok(value));
        for bad in ["", "b\u{e4}d", "two\nlines"] {
            assert_eq!(set(bad), Err(rustix::io::Errno::INVAL), "{name}: {bad:?}");
        }
        rustix::fs::removexattr(&path, name).unwrap();
        expected.remove(header);
        // A type of some kind has every object.
        if header != "type" {
            assert_eq!(travels(&ground.other, "f"), expected, "{name}");
            let gone = rustix::fs::removexattr(&path, name);
            assert_eq!(gone, Err(rustix::io::Errno::NODATA), "{name}");
        }
        put_with_everything(&ground.other, "f", name.as_bytes());
    }
    let set = rustix::fs::setxattr(
        &path,
        "user.website_redirect",
        b"nowhere",
        XattrFlags::empty(),
    );
    assert_eq!(set, Err(rustix::io::Errno::INVAL));
    assert_eq!(ground.other.text("f"), "user.website_redirect");
}

/// S3 keeps whatever text `Expires` has.
#[test]
fn an_expires_that_is_no_date_is_sent_as_it_was() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    put_with_everything(&ground.other, "f", b"text");
    let reads = When::any().and(|request| matches!(request.op, Op::Get | Op::Head));
    let undated = Fault::edit(|head, _| {
        head.headers.insert("expires", "0".parse().unwrap());
    });
    ground.proxy.inject(reads, undated);
    // This server takes dates only.
    let _ = fs::write(ground.mount.file("f"), "new");
    let puts = ground.log().key("f").of(Op::Put);
    assert!(!puts.is_empty());
    assert!(
        puts.iter().all(|put| put.header("expires") == Some("0")),
        "{puts:?}"
    );
}
