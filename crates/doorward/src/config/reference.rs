//! The page `docs/reference/configuration.md`, generated from the table of keys so that it can't fall behind.

use super::schema::{DefaultValue, KEYS, Key, SECTIONS};

const HEAD: &str = "\
# Configuration

`doorward serve --config doorward.toml` reads this file. `doorward init` writes one that contains every key.
`doorward config check` prints each mistake with its line. Unknown keys are mistakes.

Each key can also be set with an environment variable, which overrides the file. Separate the items of a list with
commas. A variable that ends in `_FILE` names a file that contains the secret. Relative paths in the file start at its
folder, those in the environment at the working directory.

Write durations as `90s`, `5m`, `1h30m` or `30d`, and sizes as `64KiB`, `1MiB` or a number of bytes.
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
        DefaultValue::Required => "none, required".to_owned(),
        DefaultValue::Unset { .. } => "not set".to_owned(),
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
