//! The documents say what is true: snippets are run, generated pages are compared.

mod likeness;
mod links;
mod messages;
mod security;
mod snippets;
mod story;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    snippets::{Kind, snippets},
    story::Story,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// The page that starts the demo, and the heading of its part that ends the demo.
const FIRST: (&str, &str) = ("docs/guide/getting-started.md", "## Stop the demo");

/// The pages that continue where the demo runs, in this order.
const CONTINUED: [&str; 32] = [
    "docs/operators/explain.md",
    "docs/guide/protect-an-api.md",
    "docs/guide/keys.md",
    "docs/guide/keys-in-browsers.md",
    "docs/guide/legacy-credentials.md",
    "docs/guide/oauth.md",
    "docs/guide/keys-of-users.md",
    "docs/guide/leaks.md",
    "docs/concepts.md",
    "docs/reference/http/README.md",
    "docs/reference/http/discovery.md",
    "docs/reference/http/oauth.md",
    "docs/reference/http/openid.md",
    "docs/reference/http/verification.md",
    "docs/reference/http/manage.md",
    "docs/reference/http/apis.md",
    "docs/reference/http/grants.md",
    "docs/reference/http/users.md",
    "docs/reference/http/keys.md",
    "docs/reference/http/webhooks.md",
    "docs/guide/key-rotation.md",
    "docs/reference/http/operations.md",
    "docs/reference/http/pages.md",
    "docs/operators/observability.md",
    "docs/operators/running.md",
    "docs/operators/apply.md",
    "docs/operators/backup.md",
    "docs/operators/troubleshooting.md",
    "docs/operators/upgrade.md",
    "docs/operators/webhooks.md",
    "docs/operators/breach.md",
    "docs/conformance.md",
];

/// How many fences of a shell are not run, by page. The numbers may only shrink.
const IGNORED: [(&str, usize); 6] = [
    ("README.md", 3),
    ("docs/guide/getting-started.md", 1),
    ("docs/operators/backup.md", 4),
    ("docs/operators/deployment.md", 7),
    ("docs/operators/observability.md", 1),
    ("docs/operators/upgrade.md", 2),
];

/// Pages whose snippets a client suite runs.
const OF_SUITES: [(&str, &str); 3] = [
    ("docs/guide/webhooks.md", "clients/webhooks"),
    ("docs/operators/proxies.md", "clients/proxies"),
    ("docs/recipes/", "clients/recipes"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README and every page below `docs`, by path.
fn pages() -> BTreeMap<String, String> {
    let mut folders = vec!["docs".to_owned()];
    let mut pages = BTreeMap::from([("README.md".to_owned(), read("README.md"))]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = format!("{folder}/{}", entry.file_name().into_string().expect("UTF-8"));
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(path),
                false if path.ends_with(".md") => drop(pages.insert(path.clone(), read(&path))),
                false => {}
            }
        }
    }
    pages
}

#[test]
fn every_snippet_of_the_pages_works() {
    let (first, heading) = FIRST;
    let started = read(first);
    let (started, end) = started.split_once(heading).expect("the page ends the demo");
    let mut story = Story::default();
    story.tell(first, started);
    for page in CONTINUED {
        story.tell(page, &read(page));
    }
    story.tell(first, end);
    assert!(story.run().contains("credential_missing"), "explain printed a refusal");
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let pages = pages();
    let mut ignored = BTreeMap::new();
    for (page, text) in &pages {
        let is_run = page == FIRST.0 || CONTINUED.contains(&page.as_str());
        let suite = OF_SUITES.iter().find(|(prefix, _)| page.starts_with(prefix));
        if let Some((_, suite)) = suite {
            assert!(root().join(suite).is_dir(), "{page}: {suite} should run its snippets");
            continue;
        }
        for snippet in snippets(text) {
            let line = snippet.line;
            match snippet.kind {
                Kind::Unmarked { info } => panic!("{page}:{line}: write `sh`, or `sh ignore=\"…\"`, not `{info}`"),
                Kind::Ignored { .. } => *ignored.entry(page.as_str()).or_default() += 1,
                Kind::Answer { .. } | Kind::Commands(_) | Kind::Server(_) => {
                    assert!(is_run, "{page}:{line}: name the page in CONTINUED, so that its commands are run");
                }
                Kind::Cell(_) | Kind::Configuration(_) | Kind::Message(_) => {}
            }
        }
    }
    assert_eq!(ignored, BTreeMap::from(IGNORED), "fences that are not run: on the pages, and as listed");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let broken: Vec<_> = pages().iter().flat_map(|(page, text)| links::broken(&root(), page, text)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The messages on the pages are those that the program prints in the situations that the pages describe.
#[test]
fn every_message_is_printed_as_shown() {
    let mut provoked = messages::provoked().into_iter();
    for page in ["docs/operators/troubleshooting.md", "docs/operators/upgrade.md"] {
        for snippet in snippets(&read(page)) {
            let Kind::Message(shown) = snippet.kind else { continue };
            let printed = provoked.next().expect("a situation for each message");
            let is_shown = printed.lines().any(|line| likeness::is_like(shown.trim_end(), line));
            assert!(is_shown, "{page}:{}: {shown}{printed}", snippet.line);
        }
    }
    assert_eq!(provoked.next(), None, "a message for each situation");
}

#[test]
fn generated_pages_are_what_the_program_prints() {
    for (page, arguments) in [
        ("docs/reference/cli.md", &["commands"][..]),
        ("docs/reference/configuration.md", &["config", "reference"]),
        ("docs/reference/denials.md", &["denials"]),
        ("docs/reference/openapi.json", &["openapi"]),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().expect("the program runs");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        // Whole pages side by side would help nobody.
        assert!(read(page) == printed, "generate it again: doorward {} > {page}", arguments.join(" "));
    }
}

#[test]
fn every_denial_has_its_place_on_the_page() {
    let page = read("docs/reference/denials.md");
    for denial in doorward_core::denial::Denial::ALL {
        assert!(page.contains(&format!("\n## {}\n", denial.code())), "{denial}");
    }
}
