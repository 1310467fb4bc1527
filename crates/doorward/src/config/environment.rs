//! The environment variables that concern Doorward: `DOORWARD_` and the path of a key, joined by two underscores.
//!
//! A variable that names no key is a mistake, as an unknown key in the file is: a setting that is silently ignored is
//! the kind that nobody finds. Exempt are those that mean something else, the ones that Kubernetes makes up for a
//! service called `doorward` among them.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use doorward_core::secret::SecretString;

use super::schema::{KEYS, Key};

/// Variables that the command line reads, and one that Kubernetes sets beside a service called `doorward`.
const EXEMPT: [&str; 3] = ["DOORWARD_CONFIG", "DOORWARD_DATA", "DOORWARD_PORT"];
/// How others begin: the test suite's, and those of Kubernetes.
const EXEMPT_PREFIXES: [&str; 3] = ["DOORWARD_TEST_", "DOORWARD_PORT_", "DOORWARD_SERVICE_"];
/// A secret in a file is a line; a file that is larger was named by mistake.
const LARGEST_SECRET: u64 = 65_536;

/// The variables of one process, as a value: tests bring their own.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// The keys that are given here, with the variable and its value or the file that it names.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static Key, String, Given<'_>)> {
        KEYS.iter().flat_map(|key| {
            let plain = self.value(key.variable()).map(|(name, value)| (key, name, Given::Value(value)));
            let file = key.file_variable().and_then(|name| self.value(name));
            [plain, file.map(|(name, value)| (key, name, Given::File(Path::new(value))))].into_iter().flatten()
        })
    }

    /// The variables that name no key, although they look as if they did.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| !is_exempt(name) && !names().any(|known| known == *name))
    }

    fn value(&self, name: String) -> Option<(String, &OsStr)> {
        self.0.get(&name).map(|value| (name, value.as_os_str()))
    }
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let ours = |(name, value): (K, V)| (name.into(), value.into());
        Self(variables.into_iter().map(ours).filter(|(name, _)| name.starts_with("DOORWARD_")).collect())
    }
}

/// Shows the names alone: values can be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a variable holds.
pub(super) enum Given<'a> {
    /// The path of a file that holds the value.
    File(&'a Path),
    /// The value.
    Value(&'a OsStr),
}

/// The names of all variables that give a key.
pub(super) fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| [Some(key.variable()), key.file_variable()]).flatten()
}

/// Reads a secret from its file. The line break at its end is no part of it.
pub(super) fn read_secret(path: &Path) -> io::Result<SecretString> {
    let mut text = String::new();
    File::open(path)?.take(LARGEST_SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_SECRET {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 64 KiB"));
    }
    let line = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(line);
    Ok(text.into())
}

fn is_exempt(name: &str) -> bool {
    // Two underscores precede a key: `DOORWARD_LOG__LEVEL` must be one.
    let begins = |prefix: &&str| name.strip_prefix(*prefix).is_some_and(|rest| !rest.starts_with('_'));
    EXEMPT.contains(&name) || EXEMPT_PREFIXES.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(name: &str) -> bool {
        Environment::from_iter([(name, "x")]).unknown().next().is_some()
    }

    #[test]
    fn variables_of_other_purpose_are_left_alone() {
        for name in [
            "PATH",
            "DOORWARD_CONFIG",
            "DOORWARD_DATA",
            "DOORWARD_TEST_POSTGRES",
            "DOORWARD_PORT",
            "DOORWARD_PORT_8400_TCP_ADDR",
            "DOORWARD_SERVICE_HOST",
            "DOORWARD_SERVICE_PORT_HTTP",
            "DOORWARD_DATA__POSTGRES_FILE",
        ] {
            assert!(!unknown(name), "{name}");
        }
    }

    #[test]
    fn variables_that_look_like_keys_and_are_none_are_unknown() {
        for name in
            ["DOORWARD_LOG", "DOORWARD_LOG__FROMAT", "DOORWARD_DATA__DIR_FILE", "DOORWARD_ISSUERS", "DOORWARD_LISTEN"]
        {
            assert!(unknown(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let environment = Environment::from_iter([("DOORWARD_DATA__POSTGRES", "canary-secret")]);
        assert_eq!(format!("{environment:?}"), r#"{"DOORWARD_DATA__POSTGRES"}"#);
    }
}
