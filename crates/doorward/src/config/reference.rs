//! The page `docs/reference/configuration.md`, made from the table of keys so that it can't fall behind.

use super::schema::{DefaultValue, KEYS, Key, SECTIONS};

const HEAD: &str = "\
# Configuration

`doorward serve --config doorward.toml` reads this file; `doorward init` writes one with every key in it, and
`doorward config check` names every mistake with its line. Unknown keys are mistakes.

Each key can be given by an environment variable instead, which stands above the file: lists are separated by commas,
and a secret can be read from a file that a variable ending in `_FILE` names. Relative paths in the file start at its
folder, those in the environment at the working directory.

Durations are written `90s`, `5m`, `1h30m`, `30d`; sizes `64KiB`, `1MiB` or a number of bytes.
";

/// The page, as Markdown.
pub(crate) fn reference_page() -> String {
    let mut page = HEAD.to_owned();
    for key in KEYS.iter().filter(|key| key.section().is_empty()) {
        page += &entry(key);
    }
    for (name, sentence) in SECTIONS {
        page += &format!("\n## `[{name}]`\n\n{sentence}\n");
        for key in KEYS.iter().filter(|key| key.section() == *name) {
            page += &entry(key);
        }
    }
    page
}

fn entry(key: &Key) -> String {
    let default = match key.default {
        DefaultValue::Fixed => format!("`{}`", key.kind.toml(&key.kind.default_text())),
        DefaultValue::Described { text, .. } => text.to_owned(),
        DefaultValue::Required => "none, it must be given".to_owned(),
        DefaultValue::Unset { .. } => "not given".to_owned(),
    };
    let variables: Vec<String> =
        [Some(key.variable()), key.file_variable()].into_iter().flatten().map(|name| format!("`{name}`")).collect();
    let secret = if key.is_secret() { "- Secret: never shown, never logged\n" } else { "" };
    format!(
        "\n### `{}`\n\n{}\n\n- Takes: {}\n- Default: {default}\n- Environment: {}\n{secret}",
        key.path,
        key.doc,
        key.kind.description(),
        variables.join(", "),
    )
}
