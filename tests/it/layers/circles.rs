//! No files of the house form a circle: whoever reads one need not have read it already.
//!
//! A module and the files of its folder are read together, so arrows between these do not count: `impl Vfs`
//! is in many files, and each names `Vfs`.

use std::collections::{BTreeMap, BTreeSet};

use super::files;
use super::paths::paths;

/// The files, by the path of their module.
#[derive(Default)]
struct House {
    files: BTreeMap<Vec<String>, String>,
    /// What a module has from one of its children, by name.
    exported: BTreeMap<(Vec<String>, String), Vec<String>>,
}

/// The module that a file is.
fn module(file: &str) -> Vec<String> {
    let (_, path) = file.rsplit_once("src/").unwrap();
    let path = path.trim_end_matches(".rs");
    match path.strip_suffix("/mod").unwrap_or(path) {
        "lib" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

/// The code of a file, without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default()
}

impl House {
    fn of(files: &[(String, String)]) -> Self {
        let mut house = Self::default();
        for (file, _) in files {
            house.files.insert(module(file), file.clone());
        }
        for (file, text) in files {
            let of = module(file);
            for named in paths(code(text)) {
                let child = [&of[..], &named.path[..1]].concat();
                if named.path.len() > 1
                    && house.files.contains_key(&child)
                    && let Some(name) = named.path.last()
                {
                    let whole = [&of[..], &named.path[..]].concat();
                    house.exported.insert((of.clone(), name.clone()), whole);
                }
            }
        }
        house
    }

    /// The module of a file that a path of another file leads to.
    fn leads_to(&self, from: &[String], path: &[String]) -> Option<Vec<String>> {
        let whole = match path.first()?.as_str() {
            "crate" => path[1..].to_vec(),
            "self" => [from, &path[1..]].concat(),
            "super" => {
                let up = path.iter().take_while(|word| *word == "super").count();
                [&from[..from.len().checked_sub(up)?], &path[up..]].concat()
            }
            _ => [from, path].concat(),
        };
        let depth = (0..=whole.len()).rev();
        let module = depth
            .map(|depth| &whole[..depth])
            .find(|module| self.files.contains_key(*module))?;
        let exported = whole
            .get(module.len())
            .and_then(|name| self.exported.get(&(module.to_vec(), name.clone())));
        match exported {
            Some(exported) if *exported != whole && from != module => self.leads_to(&[], exported),
            _ => Some(module.to_vec()),
        }
    }

    /// Which module names which.
    fn arrows(&self, files: &[(String, String)]) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
        let mut arrows = BTreeMap::<_, BTreeSet<_>>::new();
        for (file, text) in files {
            let from = module(file);
            for named in paths(code(text)) {
                if let Some(to) = self.leads_to(&from, &named.path)
                    && !to.starts_with(&from)
                    && !from.starts_with(&to)
                {
                    arrows.entry(from.clone()).or_default().insert(to);
                }
            }
        }
        arrows
    }

    /// The files that are in circles: those that are left when whatever names nobody, or is named by nobody,
    /// is taken away again and again.
    fn circles(&self, files: &[(String, String)]) -> (usize, Vec<String>) {
        let mut arrows = self.arrows(files);
        let count = arrows.values().map(BTreeSet::len).sum();
        loop {
            let from: BTreeSet<_> = arrows.keys().cloned().collect();
            let named: BTreeSet<_> = arrows.values().flatten().cloned().collect();
            let before = arrows.values().map(BTreeSet::len).sum::<usize>();
            arrows.retain(|module, _| named.contains(module));
            for to in arrows.values_mut() {
                to.retain(|module| from.contains(module));
            }
            arrows.retain(|_, to| !to.is_empty());
            if arrows.values().map(BTreeSet::len).sum::<usize>() == before {
                break;
            }
        }
        let told = arrows.iter().flat_map(|(module, to)| {
            let name = |module: &Vec<String>| self.files[module].clone();
            let from = name(module);
            to.iter().map(move |to| format!("{from} -> {}", name(to)))
        });
        (count, told.collect())
    }
}

#[test]
fn no_files_form_a_circle() {
    for (sources, least) in [
        ("src", 500),
        ("crates/model/src", 20),
        ("crates/items/src", 2),
        ("crates/konserve/src", 20),
        ("crates/s3-server/src", 20),
    ] {
        let files = files(sources);
        let (arrows, circles) = House::of(&files).circles(&files);
        assert!(
            arrows >= least,
            "{sources}: only {arrows} arrows were found"
        );
        assert!(circles.is_empty(), "\n{}", circles.join("\n"));
    }
}

#[test]
fn a_circle_is_found_however_its_files_name_each_other() {
    let house = |texts: &[(&str, &str)]| {
        let files: Vec<_> = texts
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect();
        House::of(&files).circles(&files).1
    };
    let straight = [
        ("src/a/mod.rs", "mod b; mod c; pub use c::C; pub struct A;"),
        ("src/a/b.rs", "use super::A; use super::c::C;"),
        ("src/a/c.rs", "use super::A; struct C;"),
        ("src/a/d.rs", "use super::{A, b};"),
    ];
    assert_eq!(house(&straight), [""; 0]);
    for back in [
        "use super::b::B;",
        "use super::{A, b::B};",
        "use crate::a::b::B;",
        "fn f() { super::b::f() }",
        "use super::d;",
        "use crate::a::{A, d::D};",
    ] {
        let mut round = straight;
        round[2].1 = back;
        assert_ne!(house(&round), [""; 0], "{back}");
    }
    // A name that the module hands on, or the crate, is the file's that it is from.
    let crate_wide = |back| {
        house(&[
            (
                "crates/a/src/lib.rs",
                "mod a; mod b; pub use a::A; pub use b::B;",
            ),
            ("crates/a/src/a.rs", "use super::B;"),
            ("crates/a/src/b.rs", back),
        ])
    };
    assert_eq!(crate_wide("struct B;"), [""; 0]);
    assert_ne!(crate_wide("use super::A;"), [""; 0]);
    assert_ne!(crate_wide("use crate::A;"), [""; 0]);
    let mut round = straight;
    round[0].1 = "mod b; mod c; pub use b::B; pub use c::C;";
    round[2].1 = "use super::B;";
    assert_ne!(house(&round), [""; 0]);
}
