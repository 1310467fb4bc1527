//! `tests/security/README.md` names the test of each rule: each that it names exists.

use std::fs;

use super::root;

/// Where the page says that the tests of each prefix are.
const FOLDERS: [(&str, &str); 7] = [
    ("config/", "crates/doorward/src/config"),
    ("core/", "crates/core/src"),
    ("guard/", "crates/guard/tests/guard"),
    ("http/", "crates/server/tests/http"),
    ("listen/", "crates/listen/tests/listen"),
    ("program/", "crates/doorward/tests/program"),
    ("store/", "crates/store/tests/suite"),
];

/// The tests that a text names and that do not exist. `…::name` is in the file that was named last.
fn missing(text: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    let mut file = String::new();
    // Between backticks: each second part.
    for named in text.split('`').skip(1).step_by(2) {
        let (path, test) = match named.split_once("::") {
            Some((path, test)) => (path, Some(test)),
            None if named.ends_with(".rs") && named.contains('/') => (named, None),
            None => continue,
        };
        if path != "…" {
            let in_folder =
                |(prefix, folder): &(&str, &str)| path.strip_prefix(prefix).map(|rest| format!("{folder}/{rest}"));
            match FOLDERS.iter().find_map(in_folder) {
                Some(path) => file = path,
                // A type of the program, such as `Answer::location`.
                None if !path.contains('/') => continue,
                None => file = path.to_owned(),
            }
        }
        let source = read(&file);
        let is_there = |source: &String| test.is_none_or(|test| source.contains(&format!("fn {test}(")));
        if !source.as_ref().is_some_and(is_there) {
            missing.push(format!("{named} in {file}"));
        }
    }
    missing
}

#[test]
fn every_security_rule_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("tests/security/README.md")).unwrap();
    let missing = missing(&page, |file| fs::read_to_string(root().join(file)).ok());
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn a_test_that_is_not_in_its_file_is_found() {
    let read = |file: &str| (file == "crates/core/src/a.rs").then(|| "fn here() {}".to_owned());
    assert_eq!(missing("| x | `core/a.rs::here`, `…::here`, `core/a.rs`, all; `Answer::there` |", read), [""; 0]);
    let named = ["core/a.rs::there", "…::there", "core/b.rs::here", "http/a.rs"];
    for named in named {
        let line = format!("| x | `core/a.rs::here`, `{named}` |");
        assert_eq!(missing(&line, read).len(), 1, "{named}");
    }
}
