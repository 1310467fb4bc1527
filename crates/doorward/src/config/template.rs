//! The commented file that `doorward init` writes: every key with its meaning, its range and its default.
//!
//! A line that begins with `#` and no space is a key that can be uncommented; what follows `# ` is for reading.

use std::path::Path;

use super::{
    issuer::Issuer,
    schema::{DefaultValue, KEYS, Key, SECTIONS},
};

const HEAD: &str = "\
# The configuration of Doorward. A key that is commented out shows its default, or an example where there is none.
# Each can be given by an environment variable instead: DOORWARD_ and the key's path, joined by two underscores.
# `doorward config check` names every mistake in this file.
";

/// What the file gives; all else is at its default.
pub(crate) struct Given<'a> {
    /// The URL at which the server is reached.
    pub(crate) issuer: &'a Issuer,
    /// The data folder, if it is not the default one.
    pub(crate) data: Option<&'a Path>,
}

/// The file for a new server.
pub(crate) fn template(given: &Given<'_>) -> String {
    let mut file = HEAD.to_owned();
    for key in section("") {
        file += &entry(key, given);
    }
    for (name, sentence) in SECTIONS {
        file += &format!("\n# {sentence}\n[{name}]\n");
        for key in section(name) {
            file += &entry(key, given);
        }
    }
    file
}

fn section(name: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section() == name)
}

fn entry(key: &Key, given: &Given<'_>) -> String {
    let takes = key.kind.description();
    let meaning = wrapped(key.doc);
    if !key.is_allowed_in_file() {
        return format!("\n{meaning}# {}\n", key.variable());
    }
    let name = key.name_in_section();
    let data = given.data.filter(|_| key.path == "data.dir");
    let (note, assignment) = match (&key.default, data) {
        (_, Some(folder)) => (takes, format!("{name} = {}", key.kind.toml(&folder.display().to_string()))),
        (DefaultValue::Fixed, None) => {
            let text = key.kind.default_text();
            match given.issuer.loopback_address().filter(|_| key.path == "listen.address") {
                Some(address) if text != address.to_string() => (takes, format!("{name} = \"{address}\"")),
                _ => (takes, format!("#{name} = {}", key.kind.toml(&text))),
            }
        }
        (DefaultValue::Described { text, example }, None) => {
            (format!("{takes}; default: {text}"), format!("#{name} = {}", key.kind.toml(example)))
        }
        (DefaultValue::Required, None) => (takes, format!("{name} = {}", key.kind.toml(given.issuer.as_str()))),
        (DefaultValue::Unset { example }, None) => {
            (format!("{takes}; not set by default"), format!("#{name} = {}", key.kind.toml(example)))
        }
    };
    format!("\n{meaning}# ({note})\n{assignment}\n")
}

/// Comment lines of at most 100 characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            lines += &line;
            lines.push('\n');
            line = "#".to_owned();
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}
