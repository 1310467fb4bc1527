//! A page of the documentation, and the commands in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page with at least one command to run, or a reason for each that is not.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) commands: Vec<Command>,
}

/// One command, as a reader would paste it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Command {
    /// Where it begins in the page, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) promise: Promise,
}

/// What stands beside a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Promise {
    /// Nothing: it exits with 0.
    Done,
    /// An HTTP status on the first line of the output.
    Status(u16),
    /// The same, not at once.
    StatusSoon(u16),
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().expect("a page is a file").to_string_lossy().into_owned();
        Self::parse(name, &text).unwrap_or_else(|mistake| panic!("{mistake}"))
    }

    fn parse(name: String, text: &str) -> Result<Self, String> {
        let (mut commands, mut blocks) = (Vec::new(), 0);
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let block: Vec<_> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
            let Some(attributes) = info.strip_prefix("sh") else { continue };
            blocks += 1;
            match attributes.trim().strip_prefix("ignore=\"").and_then(|rest| rest.strip_suffix('"')) {
                Some(reason) if !reason.is_empty() => {}
                None if attributes.is_empty() => collect(&block, &mut commands)?,
                _ => return Err(format!("{name}:{number}: a block is run, or says why not: ```sh ignore=\"…\"")),
            }
        }
        if blocks == 0 {
            return Err(format!("{name}: no ```sh block was found"));
        }
        Ok(Self { name, commands })
    }
}

/// Joins lines that end with a backslash, and takes the promise from the end.
fn collect(block: &[(usize, &str)], commands: &mut Vec<Command>) -> Result<(), String> {
    let mut pending: Option<(usize, String)> = None;
    for (number, line) in block.iter().filter(|(_, line)| !line.trim().is_empty()) {
        let (begun, mut text) = pending.take().unwrap_or((*number, String::new()));
        text += line;
        if line.ends_with('\\') {
            pending = Some((begun, text + "\n"));
            continue;
        }
        let (text, promise) = match text.split_once("  # → ") {
            None if text.contains('→') => return Err(format!("line {number}: two spaces stand before `# →`")),
            None => (text.as_str(), Promise::Done),
            Some((command, promise)) => (command, parse_promise(promise).ok_or(format!("line {number}: {promise}"))?),
        };
        commands.push(Command { line: begun, text: text.to_owned(), promise });
    }
    match pending {
        Some((begun, _)) => Err(format!("line {begun}: the command does not end")),
        None => Ok(()),
    }
}

fn parse_promise(text: &str) -> Option<Promise> {
    match text.strip_suffix(" within a second") {
        Some(status) => status.parse().ok().map(Promise::StatusSoon),
        None => text.parse().ok().map(Promise::Status),
    }
}

/// Every page of the repository that people read.
pub(crate) fn all(root: &Path) -> Vec<PathBuf> {
    let folders = ["", "docs/guide", "docs/operators", "docs/reference", "docs/decisions"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).into_iter().flatten());
    let paths = files.map(|entry| entry.expect("a readable folder").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The links to files: of `[text](target#part)`, each target that is no URL and no part of the same page.
pub(crate) fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Command>, String> {
        Page::parse("page.md".to_owned(), text).map(|page| page.commands)
    }

    #[test]
    fn a_command_takes_its_promise_along() {
        let page = "```sh\none\ntwo \\\n  more  # → 401 within a second\nthree  # → 200\n```\n```rust\nnone\n```\n";
        let command = |line, text: &str, promise| Command { line, text: text.to_owned(), promise };

        let expected = vec![
            command(2, "one", Promise::Done),
            command(3, "two \\\n  more", Promise::StatusSoon(401)),
            command(5, "three", Promise::Status(200)),
        ];
        assert_eq!(parse(page), Ok(expected));
    }

    #[test]
    fn a_block_that_is_not_run_says_why() {
        assert_eq!(parse("```sh ignore=\"needs a browser\"\none\n```\n"), Ok(vec![]));
        for bad in ["```sh ignore\none\n```\n", "```sh ignore=\"\"\none\n```\n", "```shell\none\n```\n"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_promise_that_can_not_be_read_is_a_mistake() {
        for bad in ["one  # → yes", "one # → 200", "one \\"] {
            assert!(parse(&format!("```sh\n{bad}\n```\n")).is_err(), "{bad}");
        }
        assert!(parse("no block").is_err());
    }

    #[test]
    fn links_to_files_are_found() {
        let text = "[a](docs/a.md#part), ![b](b.png), [c](https://example.com), [d](#here)";
        assert_eq!(links(text), ["docs/a.md", "b.png"]);
    }
}
