//! The configuration of `doorward serve`: a TOML file, each value also by environment variable.
//!
//! [`schema`] is the table of keys, from which all else follows; [`settings`] is the result. Loading
//! collects every mistake, and returns a [`Config`] only if there is none.

mod changes;
mod draft;
mod environment;
mod file;
mod issuer;
mod mask;
mod mistake;
mod reference;
mod rules;
mod schema;
pub(crate) mod settings;
mod template;
#[cfg(test)]
mod tests;
mod units;
mod value;
mod warnings;

use std::{fs, path::Path};

pub(crate) use self::{
    changes::changed,
    environment::Environment,
    issuer::Issuer,
    mistake::Mistakes,
    reference::reference_page,
    settings::Config,
    template::{Given, template},
};
use self::{
    draft::Draft,
    file::Syntax,
    mistake::{Mistake, Place},
};

/// Opens the files that a configuration names, and returns those that can't be used.
pub(crate) type FilesCheck = fn(&Config) -> Vec<UnusableFile>;

/// A file that is named and can't be used.
#[derive(Debug)]
pub(crate) struct UnusableFile {
    /// The keys that name it, the one to look at first before the others.
    pub(crate) keys: Vec<&'static str>,
    /// The mistake, in a sentence.
    pub(crate) message: String,
}

impl Config {
    /// Loads the file at `path`, with the environment above it and the defaults below.
    ///
    /// Relative paths in the file start at the file's folder, those in the environment at the working directory. Files
    /// that the configuration names are not opened, except for the secrets that a variable ending in `_FILE` points to.
    /// Fails with every mistake there is.
    pub(crate) fn load(path: &Path, environment: &Environment) -> Result<Self, Mistakes> {
        Self::load_with_files(path, environment, |_| Vec::new())
    }

    /// As [`Self::load`], and also opens the files that the configuration names: for a check before the server needs
    /// them.
    pub(crate) fn load_with_files(path: &Path, environment: &Environment, files: FilesCheck) -> Result<Self, Mistakes> {
        match fs::read_to_string(path) {
            Ok(source) => Self::parse(&source, path, environment, files),
            Err(error) => {
                let message = format!("the configuration can't be read: {error}");
                let help = Some("`doorward init` writes one".to_owned());
                let mistake = Mistake { path: String::new(), place: Place::Missing, message, help };
                Err(Mistakes { file: path.display().to_string(), text: String::new(), list: vec![mistake] })
            }
        }
    }

    /// From a text that is, or will be, the file at `path`.
    fn parse(source: &str, path: &Path, environment: &Environment, files: FilesCheck) -> Result<Self, Mistakes> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut draft = Draft::new();
        let syntax = file::read(source, folder, &mut draft);
        draft.read_environment(environment);
        if syntax == Syntax::Valid {
            draft.apply_defaults(folder);
            rules::check(&mut draft);
            for unusable in files(&draft.config) {
                draft.note_about(&unusable.keys, unusable.message, None);
            }
        }
        draft.finish(path, source, syntax)
    }
}
