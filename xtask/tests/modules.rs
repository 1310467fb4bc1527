//! The top-level modules of a crate form no circle: each can be read, tested and moved without the others.
//!
//! An arrow leads from a module to each one that its files name after `crate::` or `super::`, in `use` and elsewhere.
//! Comments and tests do not count. What `lib.rs` or `main.rs` re-exports belongs to the module that it comes from.
//! `cargo test --package xtask --test modules -- --nocapture` prints every circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Crates that must hold. Add a crate when its last circle is gone.
const WITHOUT_CIRCLES: &[&str] = &[];

/// Pairs of modules, each with a file that names the second one.
type Arrows = BTreeMap<(String, String), String>;

#[test]
fn top_level_modules_form_no_circle() {
    for folder in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates")).unwrap() {
        let folder = folder.unwrap().path();
        let (name, arrows) = (folder.file_name().unwrap().to_str().unwrap(), arrows(&folder.join("src")));
        let circles = circles(&arrows);
        println!("{name}: {} circles{circles}", circles.matches("circle:").count());
        assert!(circles.is_empty() || !WITHOUT_CIRCLES.contains(&name), "{name}{circles}");
    }
}

#[test]
fn modules_that_name_each_other_are_a_circle() {
    let root = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| fs::write(root.path().join(file), text).unwrap();
    fs::create_dir(root.path().join("c")).unwrap();
    write("lib.rs", "mod a;\nmod b;\npub mod c;\nmod d;\npub use crate::{a::A, c::inner::{Inner, Other}};");
    write(
        "a.rs",
        "use crate::{\n    b::{self, d::X},\n    Inner,\n};\n// crate::d\n#[cfg(test)]\nmod tests { use crate::d; }",
    );
    write("b.rs", "fn b() { super::c::go() }");
    write("c/mod.rs", "mod inner; use super::inner; use my_crate::a; pub(in crate::d) fn go() {}");
    write("c/inner.rs", "use super::super::a;");
    write("d.rs", "use crate::a;");

    let found = circles(&arrows(root.path()));

    let inside = [
        "a -> b (a.rs)",
        "a -> c (a.rs)",
        "b -> c (b.rs)",
        "c -> a (c/inner.rs)",
        "c -> d (c/mod.rs)",
        "d -> a (d.rs)",
    ];
    assert_eq!(found, format!("\n  circle: a b c d\n    {}", inside.join("\n    ")));
}

/// A paragraph for each set of modules that reach each other.
fn circles(arrows: &Arrows) -> String {
    let mut reach: BTreeSet<(&str, &str)> = arrows.keys().map(|(from, to)| (&**from, &**to)).collect();
    let modules: BTreeSet<&str> = reach.iter().flat_map(|(from, to)| [*from, *to]).collect();
    for by in &modules {
        for from in &modules {
            let further = modules.iter().filter(|to| reach.contains(&(from, by)) && reach.contains(&(by, to)));
            reach.extend(further.map(|to| (*from, *to)).collect::<Vec<_>>());
        }
    }
    let reach_each_other = |one, other| reach.contains(&(one, other)) && reach.contains(&(other, one));
    let circle = |one| modules.iter().copied().filter(|other| reach_each_other(one, *other)).collect::<Vec<&str>>();
    let mut circles: BTreeSet<_> = modules.iter().copied().map(circle).collect();
    circles.remove(&Vec::new());
    let mut text = String::new();
    for circle in circles {
        text += &format!("\n  circle: {}", circle.join(" "));
        for ((from, to), file) in
            arrows.iter().filter(|((from, to), _)| [from, to].iter().all(|name| circle.contains(&&***name)))
        {
            text += &format!("\n    {from} -> {to} ({file})");
        }
    }
    text
}

fn arrows(src: &Path) -> Arrows {
    let root = ["lib.rs", "main.rs"].iter().find_map(|file| fs::read_to_string(src.join(file)).ok()).unwrap();
    let modules: BTreeSet<&str> =
        root.lines().filter_map(|line| line.strip_suffix(';')?.split("mod ").nth(1)).collect();
    let mut exports = BTreeMap::new();
    for export in root.split("pub use ").skip(1) {
        let mut module = None;
        for word in words(export.split(';').next().unwrap()) {
            module = modules.get(word).or(module);
            exports.extend(module.map(|module| (word, *module)));
        }
    }
    let mut arrows = Arrows::new();
    let mut paths = vec![src.to_owned()];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let file = path.strip_prefix(src).unwrap().to_str().unwrap();
        let segments: Vec<&str> = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
        let from = segments[0];
        if !file.ends_with(".rs") || segments.contains(&"tests") || !modules.contains(from) {
            continue;
        }
        let text = code(&fs::read_to_string(&path).unwrap());
        for root in ["crate::", &"super::".repeat(segments.len())] {
            for name in named(&text, root) {
                let to = *exports.get(name).unwrap_or(&name);
                if modules.contains(to) && to != from {
                    arrows.entry((from.to_owned(), to.to_owned())).or_insert_with(|| file.to_owned());
                }
            }
        }
    }
    arrows
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first name after each `root`, or those of a list in braces.
fn named<'a>(text: &'a str, root: &str) -> Vec<&'a str> {
    let is_whole = |at: &usize| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
    let behind = text.match_indices(root).map(|(at, _)| at).filter(is_whole).map(|at| &text[at + root.len()..]);
    behind
        .flat_map(|text| {
            let Some(list) = text.strip_prefix('{') else { return words(text)[..1].to_vec() };
            // 0 in the list, -1 behind it. The second pass begins there.
            let mut depth = 0;
            let mut depth = |c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth
            };
            let list = &list[..list.find(|c| depth(c) < 0).unwrap()];
            list.split(|c| depth(c) == -1 && c == ',').filter_map(|item| words(item).first().copied()).collect()
        })
        .collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect()
}
