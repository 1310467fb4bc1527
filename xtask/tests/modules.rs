//! The top-level modules of a crate form no circle: each can be read, tested and moved without the others.
//!
//! An arrow leads from a module to each one that its files name after `crate::` or `super::`, in `use` and elsewhere.
//! Comments and tests do not count. What `lib.rs` or `main.rs` re-exports belongs to the module that it comes from.
//! `cargo test --package xtask --test modules -- --nocapture` prints every circle.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Crates that still have circles. Remove a crate when its last one is gone.
const WITH_CIRCLES: &[&str] = &["core", "doorward", "guard", "store"];

/// Pairs of modules, each with a file that names the second one.
type Arrows = BTreeMap<(String, String), String>;

#[test]
fn top_level_modules_form_no_circle() {
    for folder in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates")).unwrap() {
        let folder = folder.unwrap().path();
        let (name, circles) = (folder.file_name().unwrap().to_str().unwrap(), circles(&arrows(&folder.join("src"))));
        println!("{name}: {} circles{circles}", circles.matches("circle:").count());
        assert!(circles.is_empty() || WITH_CIRCLES.contains(&name), "{name}{circles}");
    }
}

#[test]
fn modules_that_name_each_other_are_a_circle() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("c")).unwrap();
    for (file, text) in [
        ("lib.rs", "mod a;\nmod b;\npub mod c;\nmod d;\npub use crate::{a::A, c::inner::{Inner, Other}};"),
        ("a.rs", "use crate::{\nb::{self, d::X},\nInner,\n};\n// crate::d\n#[cfg(test)]\nmod tests { use crate::d; }"),
        ("b.rs", "fn b() { super::c::go() }"),
        ("c/mod.rs", "mod inner; use super::inner; use my_crate::a; pub(in crate::d) fn go() {}"),
        ("c/inner.rs", "use super::super::a;"),
        ("d.rs", "use other::a;"),
    ] {
        fs::write(root.path().join(file), text).unwrap();
    }

    let inside = ["a -> b (a.rs)", "a -> c (a.rs)", "b -> c (b.rs)", "c -> a (c/inner.rs)"].join("\n    ");
    assert_eq!(circles(&arrows(root.path())), format!("\n  circle: a b c\n    {inside}"));
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
    let is_circle = |one, other| reach.contains(&(one, other)) && reach.contains(&(other, one));
    let circle = |one| modules.iter().copied().filter(|other| is_circle(one, *other)).collect::<Vec<_>>();
    let circles: BTreeSet<_> = modules.iter().copied().map(circle).filter(|circle| !circle.is_empty()).collect();
    let describe = |circle: &Vec<&str>| {
        let inside = arrows.iter().filter(|((from, to), _)| circle.contains(&&**from) && circle.contains(&&**to));
        let inside: String = inside.map(|((from, to), file)| format!("\n    {from} -> {to} ({file})")).collect();
        format!("\n  circle: {}{inside}", circle.join(" "))
    };
    circles.iter().map(describe).collect()
}

fn arrows(src: &Path) -> Arrows {
    let root = ["lib.rs", "main.rs"].iter().find_map(|file| fs::read_to_string(src.join(file)).ok()).unwrap();
    let modules = root.lines().filter_map(|line| line.strip_suffix(';')?.split("mod ").nth(1));
    let modules: BTreeSet<&str> = modules.collect();
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
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let text: String = text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
        for name in ["crate::", &"super::".repeat(segments.len())].iter().flat_map(|root| named(&text, root)) {
            let to = *exports.get(name).unwrap_or(&name);
            if modules.contains(to) && to != from {
                arrows.entry((from.to_owned(), to.to_owned())).or_insert_with(|| file.to_owned());
            }
        }
    }
    arrows
}

/// The first name after each `root`, or those of a list in braces.
fn named<'a>(text: &'a str, root: &str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices(root) {
        let is_whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
        let (mut depth, mut is_first) = (0, is_whole);
        for word in text[at + root.len()..].split_inclusive(is_no_name) {
            let name = word.trim_end_matches(is_no_name);
            let end = &word[name.len()..];
            if is_first && !name.is_empty() {
                names.push(name);
                is_first = false;
            }
            depth += i32::from(end == "{") - i32::from(end == "}");
            is_first |= is_whole && depth == 1 && end == ",";
            if depth <= 0 && !is_first {
                break;
            }
        }
    }
    names
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_no_name).filter(|word| !word.is_empty())
}

fn is_no_name(c: char) -> bool {
    !c.is_alphanumeric() && c != '_'
}
