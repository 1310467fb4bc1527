//! Walks a TOML file along the table of keys.
//!
//! The parser recovers from broken syntax and continues, which is what lets one run name every mistake; but what it
//! makes of a broken line is a guess, so nothing else is said about such a line, nor about what seems to be missing.

use std::{borrow::Cow, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    draft::Draft,
    mistake::{Mistake, char_boundary, nearest},
    schema::{self, KEYS, Key},
    value::Input,
};

/// Whether the syntax is valid. If not, what was found may be incomplete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Syntax {
    Invalid,
    Valid,
}

/// Reads `source` into `draft`; relative paths start at `folder`.
pub(super) fn read(source: &str, folder: &Path, draft: &mut Draft) -> Syntax {
    let mut walk = Walk { source, folder, draft, broken_lines: Vec::new() };
    let mut text = Cow::Borrowed(source);
    loop {
        let (document, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            walk.syntax_error(error);
        }
        match resume_after(&text, document.get_ref(), &errors) {
            Some(line) => text = without_line(&text, line).into(),
            None => {
                walk.table("", document.get_ref());
                return if walk.broken_lines.is_empty() { Syntax::Valid } else { Syntax::Invalid };
            }
        }
    }
}

struct Walk<'a> {
    source: &'a str,
    folder: &'a Path,
    draft: &'a mut Draft,
    /// Lines that the parser could not make sense of, as the byte at which each begins.
    broken_lines: Vec<usize>,
}

impl Walk<'_> {
    fn syntax_error(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let line = line_start(self.source, span.start);
        if self.broken_lines.contains(&line) {
            return;
        }
        self.broken_lines.push(line);
        let message = format!("invalid TOML: {}", error.message());
        self.draft.note(Mistake { path: String::new(), place: span.into(), message, help: None });
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = path_of(section, name.get_ref());
            // A quoted key with a dot in it is one part, and no path.
            let is_one_part = !name.get_ref().contains('.');
            let key = schema::find(&path).filter(|_| is_one_part);
            if self.is_broken(name.span(), value.span()) {
                if key.is_none_or(Key::is_secret) {
                    self.draft.hide(value.span());
                }
                continue;
            }
            match key {
                Some(key) => self.value(key, name.span(), value),
                None if is_one_part && schema::is_section(&path) => self.section(&path, name.span(), value),
                None => self.unknown(section, name, value),
            }
        }
    }

    /// Whether a line that is no TOML is that of the key, or in the midst of its value.
    fn is_broken(&self, name: Range<usize>, value: Range<usize>) -> bool {
        let line = line_start(self.source, name.start);
        self.broken_lines.iter().any(|broken| *broken == line || (value.start..=value.end).contains(broken))
    }

    fn value(&mut self, key: &'static Key, name: Range<usize>, value: &Spanned<DeValue<'_>>) {
        if key.is_secret() {
            self.draft.hide(value.span());
        }
        if key.is_allowed_in_file() {
            self.draft.set(key, Input::Toml(value), self.folder, value.span().into());
            return;
        }
        let message = format!(
            "`{}` does not belong in a configuration file, which is copied and kept in version control",
            key.path
        );
        let help = format!(
            "remove it, treat it as compromised, and set {} or point {}_file to a file of mode 0600",
            key.variable(),
            key.path
        );
        self.draft.reject(key, name.into(), message, Some(help));
    }

    fn section(&mut self, path: &str, name: Range<usize>, value: &Spanned<DeValue<'_>>) {
        if let DeValue::Table(table) = value.get_ref() {
            return self.table(path, table);
        }
        self.draft.hide(value.span());
        let message = format!("`{path}` is a section, not a value");
        let help = Some(format!("write [{path}] on a line of its own, once, and its keys below"));
        self.draft.note(Mistake { path: path.into(), place: name.into(), message, help });
    }

    fn unknown(&mut self, section: &str, name: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        // Perhaps a secret under a name with a slip in it.
        self.draft.hide(value.span());
        let written = name.get_ref();
        let path = path_of(section, written);
        let kind = if value.get_ref().is_table() { "section" } else { "key" };
        let help = suggestion(section, written).map(|meant| format!("did you mean `{meant}`?"));
        let message = format!("`{path}` is not a {kind}");
        self.draft.note(Mistake { path, place: name.span().into(), message, help });
    }
}

fn path_of(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// What was probably meant: a neighbour in the same section, or else the same name in another one.
fn suggestion(section: &str, written: &str) -> Option<String> {
    let prefix = if section.is_empty() { String::new() } else { format!("{section}.") };
    let below = |key: &Key| key.path.strip_prefix(&*prefix)?.split('.').next().map(str::to_owned);
    let elsewhere = || KEYS.iter().find(|key| key.leaf() == written).map(|key| key.path.to_owned());
    nearest(written, KEYS.iter().filter_map(below)).or_else(elsewhere)
}

/// At some errors (a key without `=`) the parser stops although more lines follow. Returns where that line begins.
fn resume_after(text: &str, document: &DeTable<'_>, errors: &[toml::de::Error]) -> Option<usize> {
    let last_error = errors.iter().filter_map(|error| Some(error.span()?.start)).max()?;
    let line = line_start(text, last_error);
    let has_content = |line: &str| !matches!(line.trim_start().chars().next(), None | Some('#'));
    let mut lines = text[line..].lines();
    // A line that is blank by now would be taken out again and again.
    let is_left = lines.next().is_some_and(|line| !line.trim().is_empty());
    (is_left && lines.any(has_content) && last_key(document) <= last_error).then_some(line)
}

/// Where the last key begins that the parser found.
fn last_key(table: &DeTable<'_>) -> usize {
    let below = |value: &DeValue<'_>| value.as_table().map_or(0, last_key);
    table.iter().map(|(name, value)| name.span().start.max(below(value.get_ref()))).max().unwrap_or(0)
}

/// `text` with spaces in the place of one line, so that every span still fits.
fn without_line(text: &str, line: usize) -> String {
    let end = text[line..].find('\n').map_or(text.len(), |at| line + at);
    format!("{}{}{}", &text[..line], " ".repeat(end - line), &text[end..])
}

/// Where the line of `offset` begins.
fn line_start(text: &str, offset: usize) -> usize {
    text[..char_boundary(text, offset)].rfind('\n').map_or(0, |at| at + 1)
}
