//! The snippets of a page that a test can run.
//!
//! - A fence `sh` is run. `# → VALUE` behind a command promises what the command prints.
//! - A fence `sh run` starts a server, which is ended as soon as it is ready.
//! - A fence `json` right behind it promises the answer that the fence before it prints.
//! - A fence `text` with an error or a warning shows what the program prints.
//! - A fence `toml` is a part of `doorward.toml`.
//! - A cell of a table that is one whole command, `doorward …`, is run.
//! - A fence `sh ignore="…"` is not run, and says why.

/// A snippet, and the line where it begins.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Snippet {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Commands, and the JSON that they print.
    Answer {
        commands: String,
        json: String,
    },
    Cell(String),
    Commands(String),
    Configuration(String),
    Ignored {
        reason: String,
    },
    /// What the program prints when something is wrong.
    Message(String),
    /// A command that starts a server, which runs until it is ended.
    Server(String),
    /// A fence of a shell that is neither run nor says why.
    Unmarked {
        info: String,
    },
}

const SHELLS: [&str; 5] = ["bash", "console", "sh", "shell", "zsh"];

/// All snippets of a page, in order.
pub(crate) fn snippets(page: &str) -> Vec<Snippet> {
    let mut found: Vec<Snippet> = Vec::new();
    let mut lines = page.lines().enumerate();
    // Whether only blank lines came since the last fence.
    let mut is_right_behind = false;
    while let Some((at, line)) = lines.next() {
        let line_number = at + 1;
        let Some(info) = line.trim_start().strip_prefix("```") else {
            found.extend(cells(line).map(|command| Snippet { line: line_number, kind: Kind::Cell(command) }));
            is_right_behind &= line.trim().is_empty();
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let text: String = lines
            .by_ref()
            .map(|(_, line)| line.get(indent..).unwrap_or_default())
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        if info == "json"
            && is_right_behind
            && let Some(Snippet { kind, .. }) = found.last_mut()
            && let Kind::Commands(commands) = kind
        {
            *kind = Kind::Answer { commands: std::mem::take(commands), json: text };
            continue;
        }
        is_right_behind = info == "sh";
        found.extend(fence(info, text).map(|kind| Snippet { line: line_number, kind }));
    }
    found
}

fn fence(info: &str, text: String) -> Option<Kind> {
    let language = info.split([' ', ',']).next().unwrap_or_default();
    match info {
        "sh" => Some(Kind::Commands(text)),
        "sh run" => Some(Kind::Server(text)),
        "toml" => Some(Kind::Configuration(text)),
        "text" if text.starts_with("error: ") || text.contains(" WARN ") => Some(Kind::Message(text)),
        _ if !SHELLS.contains(&language) => None,
        _ => Some(match info.strip_prefix("sh ignore=\"").and_then(|rest| rest.strip_suffix('"')) {
            Some(reason) if !reason.trim().is_empty() => Kind::Ignored { reason: reason.to_owned() },
            _ => Kind::Unmarked { info: info.to_owned() },
        }),
    }
}

fn cells(line: &str) -> impl Iterator<Item = String> {
    let cells = line.strip_prefix('|').unwrap_or_default().split('|');
    let spans = cells.filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix('`'));
    spans.filter(|span| is_command(span)).map(str::to_owned)
}

fn is_command(text: &str) -> bool {
    text.starts_with("doorward ") && !text.contains('`')
}

#[test]
fn each_kind_of_snippet_is_found_with_its_line() {
    let page = "a\n\n```sh\necho 1\n```\n\n```json\n{}\n```\n\n| x | `doorward key list` |\n| `FILE` | `doorward` `x` |\n\n\
        1. b\n\n   ```sh ignore=\"takes long\"\n   sleep 9\n   ```\n\n```sh,ignore\n```\n```console\n```\n```toml\nx = 1\n```\n\
        ```text\n```\n```text\nerror: no\n```\n\n```json\n[]\n```\n```sh run\nserve\n```\n";
    let expected = [
        (3, Kind::Answer { commands: "echo 1\n".into(), json: "{}\n".into() }),
        (11, Kind::Cell("doorward key list".into())),
        (16, Kind::Ignored { reason: "takes long".into() }),
        (20, Kind::Unmarked { info: "sh,ignore".into() }),
        (22, Kind::Unmarked { info: "console".into() }),
        (24, Kind::Configuration("x = 1\n".into())),
        (29, Kind::Message("error: no\n".into())),
        (36, Kind::Server("serve\n".into())),
    ];
    assert_eq!(snippets(page), expected.map(|(line, kind)| Snippet { line, kind }));
}

#[test]
fn a_json_fence_behind_other_text_promises_nothing() {
    let found = snippets("```sh\necho 1\n```\nThe body:\n```json\n{}\n```\n");
    assert_eq!(found, [Snippet { line: 1, kind: Kind::Commands("echo 1\n".into()) }]);
}
