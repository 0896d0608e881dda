//! What the program says of itself: `--help` of every command, the manual pages, the completions. All are
//! made of one definition; here it is seen that nothing of it changes by accident.
//!
//! After a change that is meant, `ETAGFS_BLESS=1 cargo test --test it help` writes the snapshots and
//! docs/cli.md anew; read the difference before you commit it.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::procs::{Output, Script};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// `etagfs ARGUMENTS`, with nothing of the person who runs the tests.
fn etagfs(arguments: &str) -> Output {
    Script::bash(&format!(
        "exec env -i PATH=\"$PATH\" '{ETAGFS}' {arguments}"
    ))
    .run()
}

fn blessing() -> bool {
    std::env::var_os("ETAGFS_BLESS").is_some()
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All commands, by their full names, as the manual pages name them.
fn commands() -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    etagfs(&format!("man '{}'", directory.path().display())).ok();
    let files = fs::read_dir(directory.path()).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = files.filter_map(|file| file.strip_suffix(".1").map(|name| name.replace('-', " ")));
    names.collect()
}

/// The help of every command, by its full name.
fn helps() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in commands() {
        let arguments = name.trim_start_matches("etagfs");
        let text = etagfs(&format!("{arguments} --help")).ok().stdout;
        // Wrapped text may end with blanks.
        let lines = text.lines().map(str::trim_end).collect::<Vec<_>>();
        found.insert(name, format!("{}\n", lines.join("\n").trim_end()));
    }
    found
}

#[test]
fn the_help_of_every_command_is_as_it_was() {
    let helps = helps();
    let top = &helps["etagfs"];
    for name in helps.keys().filter_map(|name| name.split(' ').nth(1)) {
        let is_listed = top.lines().any(|line| line.trim_start().starts_with(name));
        assert!(is_listed, "etagfs --help does not name {name}");
    }
    let directory = at("tests/snapshots/help");
    let file = |name: &str| format!("{}.txt", name.replace(' ', "-"));
    if blessing() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        for (name, help) in &helps {
            fs::write(directory.join(file(name)), help).unwrap();
        }
        return;
    }
    let kept = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<_> = kept.collect();
    kept.sort();
    let mut now: Vec<_> = helps.keys().map(|name| file(name)).collect();
    now.sort();
    assert_eq!(
        now, kept,
        "the commands changed; if that is meant: ETAGFS_BLESS=1"
    );
    for (name, help) in &helps {
        let before = fs::read_to_string(directory.join(file(name))).unwrap();
        assert!(
            *help == before,
            "the help of {name} changed; if that is meant: ETAGFS_BLESS=1\n--- before\n{before}\n--- now\n{help}"
        );
    }
}

#[test]
fn docs_cli_is_made_of_the_help() {
    let page = page::of(&helps());
    if blessing() {
        fs::write(at("docs/cli.md"), page).unwrap();
        return;
    }
    let before = fs::read_to_string(at("docs/cli.md")).unwrap();
    assert!(
        page == before,
        "docs/cli.md is not what the program says; ETAGFS_BLESS=1 writes it"
    );
}

#[test]
fn every_command_has_a_manual_page_that_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    etagfs(&format!("man '{}'", directory.path().display())).ok();
    let of_one = etagfs("man").ok().stdout;
    assert_eq!(
        of_one,
        fs::read_to_string(directory.path().join("etagfs.1")).unwrap()
    );
    for name in helps().keys() {
        let page = directory
            .path()
            .join(format!("{}.1", name.replace(' ', "-")));
        assert!(page.exists(), "{} is missing", page.display());
    }
    if Script::bash("command -v man").run().code != Some(0) {
        skip!("man is not installed");
    }
    let read = |page: &str| {
        let script = format!(
            "LC_ALL=C MANWIDTH=200 man --warnings -l '{}' | col -bx",
            directory.path().join(page).display()
        );
        let out = Script::bash(&script).run().ok();
        assert_eq!(out.stderr, "", "{page}");
        out.stdout
    };
    let mount = read("etagfs-mount.1");
    assert!(
        mount.contains("--allow-other") && mount.contains("ETAGFS_ALLOW_OTHER"),
        "{mount}"
    );
    let helper = read("mount.etagfs.8");
    assert!(
        helper.contains("_netdev") && helper.contains("etagfs-mount(1)"),
        "{helper}"
    );
}

#[test]
fn shells_can_complete_commands_and_options() {
    let script = format!(
        "source <('{ETAGFS}' completions bash)
complete -p etagfs
ask() {{ COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _etagfs etagfs \"${{!#}}\" \"${{@: -2:1}}\"; echo \"${{COMPREPLY[@]}}\"; }}
ask etagfs umo
ask etagfs mount --allow-o
ask etagfs mount --after-conflict ''"
    );
    let out = Script::bash(&script).run().ok().stdout;
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].ends_with(" etagfs"), "{out}");
    assert_eq!(lines[1..], ["umount", "--allow-other", "told reread"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let text = etagfs(&format!("completions {shell}")).ok().stdout;
        assert!(
            text.contains("umount") && text.contains("allow-other"),
            "{shell}"
        );
    }
    assert_eq!(etagfs("completions nonsense").code, Some(2));
    // Whoever has read enough leaves.
    let script = format!("set -o pipefail; '{ETAGFS}' completions bash | head -n 1");
    assert_eq!(Script::bash(&script).run().ok().stderr, "");
}
