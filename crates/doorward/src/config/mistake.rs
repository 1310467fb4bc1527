//! Mistakes in a configuration: all of them at once, each at its line or with its variable.
//!
//! The lines that are shown come from a copy of the file in which secrets are masked (see [`super::mask`]): a report
//! is pasted into tickets.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.render(false))]
pub(crate) struct Mistakes {
    /// The file's name, as the operator gave it.
    pub(super) file: String,
    /// Its text, with secrets masked.
    pub(super) text: String,
    pub(super) list: Vec<Mistake>,
}

#[derive(Clone, Debug)]
pub(super) struct Mistake {
    /// The key, its parts joined by dots; empty if it is about none.
    pub(super) path: String,
    pub(super) place: Place,
    /// The mistake, in a sentence.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: Option<String>,
}

/// The place of a value or of a mistake.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    /// In the file, from byte to byte.
    File { start: usize, end: usize },
    /// By an environment variable.
    Variable(String),
    /// Nowhere: it is missing.
    Missing,
}

impl Mistakes {
    /// The report for a person: each mistake with its line, and their number at the end. With ANSI colours if
    /// `colour`.
    pub(crate) fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut report: String =
            self.list.iter().map(|mistake| renderer.render(&[self.group(mistake)]) + "\n\n").collect();
        let number = self.list.len();
        report += &format!("{number} {} in the configuration", if number == 1 { "mistake" } else { "mistakes" });
        report
    }

    /// The report for a program: an array of objects with `path` (of the key), `file`, `line` and `column` (from 1, in
    /// characters), `variable`, `message` and `help`; what does not apply is null.
    pub(crate) fn to_json(&self) -> Value {
        self.list.iter().map(|mistake| self.json_of(mistake)).collect()
    }

    fn json_of(&self, mistake: &Mistake) -> Value {
        let (line, column) = match mistake.place {
            Place::File { start, .. } => Some(self.line_and_column(start)),
            _ => None,
        }
        .unzip();
        let variable = match &mistake.place {
            Place::Variable(name) => Some(name),
            _ => None,
        };
        json!({
            "path": mistake.path,
            "file": if variable.is_none() { Some(&self.file) } else { None },
            "line": line,
            "column": column,
            "variable": variable,
            "message": mistake.message,
            "help": mistake.help,
        })
    }

    fn group<'a>(&'a self, mistake: &'a Mistake) -> Group<'a> {
        let title = Level::ERROR.primary_title(&*mistake.message);
        let group = match &mistake.place {
            Place::File { start, end } => {
                let annotation = AnnotationKind::Primary.span(self.within(*start..*end));
                title.element(Snippet::source(&*self.text).path(&*self.file).annotation(annotation))
            }
            Place::Variable(name) => title.element(Origin::path(format!("environment variable {name}"))),
            Place::Missing => title.element(Origin::path(&*self.file)),
        };
        match &mistake.help {
            Some(help) => group.element(Level::HELP.message(&**help)),
            None => group,
        }
    }

    /// A span that can be shown: within the source, on whole characters, and of its first line alone.
    fn within(&self, span: Range<usize>) -> Range<usize> {
        let start = char_boundary(&self.text, span.start);
        let end = char_boundary(&self.text, span.end).max(start);
        let first_line = self.text[start..end].find('\n').map_or(end, |at| start + at);
        start..first_line
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..char_boundary(&self.text, offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl From<Range<usize>> for Place {
    fn from(span: Range<usize>) -> Self {
        Self::File { start: span.start, end: span.end }
    }
}

/// The last place at or before `offset` where `text` can be cut.
pub(super) fn char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Which of `candidates` was probably meant by `written`: at most a third of its letters differ.
pub(super) fn nearest(written: &str, candidates: impl IntoIterator<Item = String>) -> Option<String> {
    let distances = candidates.into_iter().map(|name| (strsim::damerau_levenshtein(written, &name), name));
    let bound = (written.chars().count() / 3).max(1);
    distances.filter(|(distance, _)| *distance <= bound).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}
