//! The documentation does what it says: its commands run, in order, and its reference pages are the program's own.
//!
//! A fenced block that begins with ```` ```sh ```` is run; one that can't be names its reason:
//! ```` ```sh ignore="…" ````. A command that ends with `# → 200` must answer with that status on the first line of its
//! output, and with `within a second` it is asked again until it does. Every other command must exit with 0.
//!
//! Easy to get wrong: a page whose commands are no longer found tests nothing, so each page names what it must hold.
#![forbid(unsafe_code)]

#[path = "docs/page.rs"]
mod page;
#[path = "docs/reference.rs"]
mod reference;
#[path = "docs/terminal.rs"]
mod terminal;

use std::{fs, path::PathBuf};

use page::Page;
use terminal::Terminal;

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

#[test]
fn the_commands_of_the_readme_and_the_guide_run_as_written() {
    // The later pages go on in the terminal of the first.
    let paths = ["README.md", "docs/guide/getting-started.md", "docs/guide/protect-an-api.md", "docs/guide/oauth.md"];
    let pages = paths.map(|path| Page::read(&repository(path)));
    let terminal = Terminal::with_demo();

    let failures = terminal.run(&pages);

    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_commands_of_the_operators_pages_run_as_written() {
    let pages = ["docs/operators/running.md", "docs/operators/explain.md"].map(|path| Page::read(&repository(path)));
    let terminal = Terminal::with_demo();

    let failures = terminal.run(&pages);

    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_page_of_the_guide_is_run() {
    let folder = fs::read_dir(repository("docs/guide")).expect("the guide is there");
    let mut names: Vec<_> = folder.map(|entry| entry.expect("a readable folder").file_name()).collect();
    names.sort();

    assert_eq!(names, ["getting-started.md", "oauth.md", "protect-an-api.md"], "a new page joins the test above");
}

#[test]
fn every_link_between_the_pages_leads_to_a_file() {
    let mut broken = Vec::new();
    for path in page::all(&repository("")) {
        let folder = path.parent().expect("a file is in a folder");
        for target in page::links(&fs::read_to_string(&path).expect("a page is text")) {
            // The picture is made from a running server, by the tests of the pages.
            if !target.ends_with(".png") && !folder.join(&target).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }

    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_page_of_denials_is_the_programs_own() {
    reference::compare("denials.md", &reference::output(&["denials"]));
}

#[test]
fn the_page_of_the_configuration_is_the_programs_own() {
    reference::compare("configuration.md", &reference::output(&["config", "reference"]));
}

#[test]
fn the_page_of_the_command_line_is_the_programs_own() {
    reference::compare("cli.md", &reference::command_line());
}
