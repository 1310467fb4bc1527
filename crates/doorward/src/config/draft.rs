//! A configuration that is being loaded: the values so far, where each was given, and every mistake so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use doorward_core::secret::ExposeSecret;

use crate::data::MASTER_KEY;

use super::{
    environment::{self, Environment, Given},
    file::Syntax,
    mask::mask,
    mistake::{Mistake, Mistakes, Place, nearest},
    schema::{DefaultValue, KEYS, Key},
    settings::Config,
    value::Input,
};

/// Values, places and mistakes.
pub(super) struct Draft {
    pub(super) config: Config,
    /// Where each key was given; the last one counts.
    given: BTreeMap<&'static str, Place>,
    /// Keys that were given and can't be used.
    broken: BTreeSet<&'static str>,
    /// Parts of the file that must not be shown.
    hidden: Vec<Range<usize>>,
    mistakes: Vec<Mistake>,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self {
            config: Config::new(),
            given: BTreeMap::new(),
            broken: BTreeSet::new(),
            hidden: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// Sets the value of a key, also if it was given before.
    pub(super) fn set(&mut self, key: &'static Key, input: Input<'_>, folder: &Path, place: Place) {
        if let Err(faults) = key.apply(input, folder, &mut self.config) {
            self.broken.insert(key.path);
            for fault in faults {
                let place = fault.span.map_or_else(|| place.clone(), Place::from);
                let message = format!("`{}` {}", key.path, fault.message);
                self.mistakes.push(Mistake { path: key.path.into(), place, message, help: fault.help });
            }
        }
        self.given.insert(key.path, place);
    }

    /// Reads the environment, which overrides the file. Relative paths start at the working directory.
    pub(super) fn read_environment(&mut self, environment: &Environment) {
        let mut by_variable: BTreeMap<&'static str, String> = BTreeMap::new();
        for (key, variable, given) in environment.given() {
            if let Some(other) = by_variable.insert(key.path, variable.clone()) {
                let message = format!("`{}` is set twice, by {other} and by {variable}", key.path);
                self.reject(key, Place::Variable(variable), message, None);
                continue;
            }
            self.set_from_variable(key, variable, given);
        }
        for variable in environment.unknown() {
            let help = nearest(variable, environment::names()).map(|name| format!("did you mean {name}?"));
            let message = format!("{variable} does not match a key");
            self.note(Mistake { path: String::new(), place: Place::Variable(variable.into()), message, help });
        }
    }

    /// Applies the defaults that depend on the file's folder or on another key, and notes what is missing.
    pub(super) fn apply_defaults(&mut self, folder: &Path) {
        let is_missing = |key: &&Key| matches!(key.default, DefaultValue::Required) && !self.is_given(key.path);
        for key in KEYS.iter().filter(is_missing).collect::<Vec<_>>() {
            let message = format!("`{}` is missing", key.path);
            let help = Some(format!("write it into the file, or set {}", key.variable()));
            self.note(Mistake { path: key.path.into(), place: Place::Missing, message, help });
        }
        let [has_folder, has_key_file] = ["data.dir", "keys.master_key_file"].map(|path| self.is_given(path));
        let program = &mut self.config.program;
        if !has_folder {
            program.data_dir = folder.join(&program.data_dir);
        }
        if !has_key_file {
            program.master_key_file = program.data_dir.join(MASTER_KEY);
        }
    }

    pub(super) fn note(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Adds a mistake about a key that is given and can't be used.
    pub(super) fn reject(&mut self, key: &'static Key, place: Place, message: String, help: Option<String>) {
        self.broken.insert(key.path);
        self.given.insert(key.path, place.clone());
        self.note(Mistake { path: key.path.into(), place, message, help });
    }

    /// Adds a mistake about several keys, at the first of them that was given. Does nothing if one of them already has
    /// a mistake of its own.
    pub(super) fn note_about(&mut self, paths: &[&'static str], message: String, help: Option<String>) {
        if paths.iter().any(|path| self.broken.contains(path)) {
            return;
        }
        let key = paths.iter().copied().find(|path| self.is_given(path)).unwrap_or(paths[0]);
        let place = self.given.get(key).cloned().unwrap_or(Place::Missing);
        self.note(Mistake { path: key.into(), place, message, help });
    }

    /// Keeps a part of the file from being shown.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.hidden.push(span);
    }

    /// Whether somebody gave this key.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// The configuration, or all that is wrong with it, in the order of the file.
    pub(super) fn finish(mut self, file: &Path, source: &str, syntax: Syntax) -> Result<Config, Mistakes> {
        if self.mistakes.is_empty() {
            return Ok(self.config);
        }
        self.mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Mistakes {
            file: file.display().to_string(),
            text: mask(source, &self.hidden, syntax),
            list: self.mistakes,
        })
    }

    fn set_from_variable(&mut self, key: &'static Key, variable: String, given: Given<'_>) {
        let place = Place::Variable(variable.clone());
        match given {
            Given::Value(value) => match value.to_str() {
                Some("") if !key.takes_list() => {
                    let help = Some("to use the default, unset the variable".to_owned());
                    self.reject(key, place, format!("`{}` is empty", key.path), help);
                }
                Some(text) => self.set(key, Input::Text(text), Path::new(""), place),
                None => self.reject(key, place, format!("`{}` is not UTF-8", key.path), None),
            },
            Given::File(path) => match environment::read_secret(path) {
                Ok(secret) => self.set(key, Input::Text(secret.expose_secret()), Path::new(""), place),
                Err(error) => {
                    let message = format!("`{}` can't be read from `{}`: {error}", key.path, path.display());
                    self.reject(key, place, message, None);
                }
            },
        }
    }
}
