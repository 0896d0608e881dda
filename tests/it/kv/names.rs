//! Names that differ between a bucket, a mount and a local disk: a key has one name everywhere, and what no key can be
//! called is refused.

use super::files::Ground;
use super::{Desk, fails};

#[test]
fn what_would_be_a_scratch_file_of_a_mount_is_refused_and_nothing_is_lost() {
    let ground = or_skip!(Ground::new());
    let key = |name: &str| ground.desk.object(name);
    ground.desk.other.put(&key("full"), "full");
    ground.desk.other.put(&key("old~"), "1");
    ground.says("printf 'a\nb\n' > $M/notes~");
    for script in [
        "etagfs mv $S/full $M/moved~",
        "etagfs cp $S/full $M/moved~",
        "echo | etagfs put $M/x~",
        "echo | etagfs append $M/x~",
        "echo | etagfs create $M/.p.swp",
        "etagfs update $M/x~ -- echo",
        "etagfs update --timeout 9 $M/notes~ -- sort -r",
    ] {
        let out = ground.run(script);
        fails(&out, 1, &["would be a scratch file", "another name"]);
    }
    let out = ground.run("echo '{\"key\":\"x~\",\"value\":\"1\"}' | etagfs mput --in $M");
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(out.stdout.contains("would be a scratch file"), "{out:#?}");
    assert_eq!(
        ground.says("cd $M; cat notes~; ls"),
        "a\nb\nfull\nnotes~\nold~\n"
    );
    assert_eq!(ground.desk.other.text(&key("full")), "full");
    // It can be read, and saved under the name of a key; a key that is in the bucket is one, whatever its name.
    ground.says("etagfs mv $M/notes~ $S/notes");
    ground.says("echo 2 | etagfs put $M/old~ > /dev/null");
    let found = ["full", "notes", "old~"].map(|name| ground.desk.other.text(&key(name)));
    assert_eq!(found, ["full", "a\nb\n", "2\n"]);
    ground.mount.unmount();
}

#[test]
fn the_name_of_a_key_is_the_same_in_a_bucket_and_in_a_mount() {
    let ground = or_skip!(Ground::new());
    let key = |name: &str| ground.desk.object(name);
    let names = ["%", "%25", "%2E", ".", "100%", "x%+"];
    for name in names {
        ground.desk.other.put(&key(name), name.to_owned());
    }
    let keys = "'%' '%25' '%2E' . '100%' 'x%+'";
    ground.says(&format!(
        "mkdir $M/copied $M/put
        for key in {keys}; do etagfs cp \"$S/$key\" $M/copied/; done
        etagfs mget --in $S {keys} | etagfs mput --in $M/put > /dev/null
        for file in %25 %2525 %252E %2E 100% x%25+; do etagfs cp \"$M/$file\" $S/back/; done
        etagfs mget --in $M {keys} | etagfs mput --in $S/all > /dev/null"
    ));
    for name in names {
        for place in ["copied", "put", "back", "all"] {
            let found = ground.desk.other.text(&key(&format!("{place}/{name}")));
            assert_eq!(found, name, "{place}");
        }
    }
    // Every one of them four times, and two marks of directories at most.
    let copies = ground.desk.other.keys();
    let copies = copies.iter().filter(|key| !key.ends_with('/'));
    assert_eq!(copies.count(), 5 * names.len());
    ground.mount.unmount();
}

#[test]
fn a_file_whose_name_no_key_can_have_is_neither_copied_nor_moved_under_another_name() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    run("mkdir to; for n in $'a\\xff' $'a\\xfe'; do echo $n > $n; done").ok();
    for command in ["cp", "mv"] {
        for name in ["$'a\\xff'", "$'a\\xfe'"] {
            let out = run(&format!("etagfs {command} {name} $S/"));
            fails(&out, 2, &["UTF-8"]);
        }
    }
    assert_eq!(run("ls -b").ok().stdout, "a\\376\na\\377\nto\n");
    assert_eq!(desk.other.keys(), [desk.object("")]);
    // On a local disk they are files like all others.
    run("etagfs cp $'a\\xff' to/; etagfs mv $'a\\xfe' to/").ok();
    assert_eq!(run("ls -b to").ok().stdout, "a\\376\na\\377\n");
}
