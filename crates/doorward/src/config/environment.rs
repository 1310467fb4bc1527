//! The environment variables that concern Doorward: `DOORWARD_` and the path of a key, joined by two underscores.
//!
//! A variable that matches no key is a mistake, as an unknown key in the file is: a setting that is silently ignored is
//! the kind that nobody finds. Exempt are those that mean something else: those that Kubernetes makes up for each service
//! whose name begins with `doorward`, and Docker for each linked container.

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

/// Variables that the command line reads.
const EXEMPT: [&str; 2] = ["DOORWARD_CONFIG", "DOORWARD_DATA"];
/// How those of the test suite begin.
const TEST_PREFIX: &str = "DOORWARD_TEST_";
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
        let is_known = |name: &str| names().any(|known| known == name);
        let unknown = self.0.iter().filter(move |(name, value)| {
            !is_exempt(name) && !is_known(name) && !is_injected(name, value.to_str().unwrap_or_default())
        });
        unknown.map(|(name, _)| name.as_str())
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
    Value(&'a OsStr),
}

/// The names of all variables that give a key.
pub(super) fn names() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| [Some(key.variable()), key.file_variable()]).flatten()
}

/// Reads a secret from its file, without the trailing line break.
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
    EXEMPT.contains(&name) || name.starts_with(TEST_PREFIX)
}

/// Whether Kubernetes or Docker made the variable up for a service or a container: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`
/// and with a port's name, `NAME_PORT` with a URL, `NAME_PORT_5432_TCP` and what follows it (Kubernetes, "Discovering
/// services"), `NAME_NAME` with a path, `NAME_ENV_…` (Docker, "Legacy container links").
fn is_injected(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let words: Vec<&str> = name.split('_').collect();
    let is_url = PROTOCOLS.iter().any(|protocol| value.starts_with(&format!("{}://", protocol.to_lowercase())));
    let numbered = words.windows(3).any(|w| w[0] == "PORT" && w[1].parse::<u16>().is_ok() && PROTOCOLS.contains(&w[2]));
    let service = words.windows(2).position(|w| w[0] == "SERVICE" && matches!(w[1], "HOST" | "PORT"));
    let is_service = service.is_some_and(|at| words[at + 1] == "PORT" || at + 2 == words.len());
    match words.last() {
        _ if numbered || is_service => true,
        Some(&"PORT") => is_url,
        Some(&"NAME") => value.starts_with('/'),
        _ => words.len() > 3 && words[2..].contains(&"ENV") && !name.contains("__"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_unknown(name: &str, value: &str) -> bool {
        Environment::from_iter([(name, value)]).unknown().next().is_some()
    }

    fn unknown(name: &str) -> bool {
        is_unknown(name, "x")
    }

    #[test]
    fn unrelated_variables_are_ignored() {
        for name in
            ["PATH", "DOORWARD_CONFIG", "DOORWARD_DATA", "DOORWARD_TEST_POSTGRES", "DOORWARD_DATA__POSTGRES_FILE"]
        {
            assert!(!unknown(name), "{name}");
        }
    }

    #[test]
    fn variables_of_kubernetes_and_docker_are_ignored() {
        for service in ["DOORWARD", "DOORWARD_POSTGRESQL", "DOORWARD_POSTGRESQL_HL"] {
            for (end, value) in [
                ("SERVICE_HOST", "10.0.0.1"),
                ("SERVICE_PORT", "5432"),
                ("SERVICE_PORT_TCP_POSTGRESQL", "5432"),
                ("PORT", "tcp://10.0.0.1:5432"),
                ("PORT_5432_TCP", "tcp://10.0.0.1:5432"),
                ("PORT_5432_TCP_PROTO", "tcp"),
                ("PORT_5432_TCP_PORT", "5432"),
                ("PORT_5432_TCP_ADDR", "10.0.0.1"),
                ("PORT_53_UDP_ADDR", "10.0.0.1"),
                ("NAME", "/app/db"),
            ] {
                assert!(!is_unknown(&format!("{service}_{end}"), value), "{service}_{end}");
            }
        }
        assert!(!is_unknown("DOORWARD_DB_ENV_POSTGRES_USER", "x"));
    }

    #[test]
    fn variables_that_only_look_like_keys_are_unknown() {
        for name in [
            "DOORWARD_LOG",
            "DOORWARD_LOG__FROMAT",
            "DOORWARD_DATA__DIR_FILE",
            "DOORWARD_ISSUERS",
            "DOORWARD_LISTEN",
            "DOORWARD_LISTEN_PORT",
            "DOORWARD_PAGES_NAME",
            "DOORWARD_LOG__ENV_X",
        ] {
            assert!(unknown(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let environment = Environment::from_iter([("DOORWARD_DATA__POSTGRES", "canary-secret")]);
        assert_eq!(format!("{environment:?}"), r#"{"DOORWARD_DATA__POSTGRES"}"#);
    }
}
