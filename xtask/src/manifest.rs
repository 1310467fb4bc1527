//! `client-test.json`: how a client suite is prepared and run. `clients/README.md` describes it for their authors.
//!
//! Easy to get wrong: a misspelt key would silently skip what it asked for, so an unknown one is an error.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::toolchain::Tool;

/// A client suite.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// The folder that holds it, in which its commands run.
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) needs: Vec<Tool>,
    /// Commands that install what the suite depends on.
    pub(crate) setup: Vec<Argv>,
    /// The command that runs the tests.
    pub(crate) run: Argv,
}

/// A program and its arguments; no shell reads it.
pub(crate) type Argv = Vec<String>;

impl Manifest {
    /// The suites in `clients`, by name; none if the folder is not there.
    pub(crate) fn all(clients: &Path) -> Result<Vec<Self>, Failure> {
        let mut manifests = Vec::new();
        let entries = match fs::read_dir(clients) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(manifests),
            entries => entries.map_err(unreadable(clients))?,
        };
        for entry in entries {
            let folder = entry.map_err(unreadable(clients))?.path();
            let path = folder.join(FILE);
            if !path.is_file() {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            manifests.push(Self::parse(folder, &text).map_err(|reason| Failure::Manifest { path, reason })?);
        }
        manifests.sort_by(|left, right| left.name.cmp(&right.name));
        if let Some(pair) = manifests.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let reason = format!("the name `{}` is taken by {}", pair[1].name, pair[0].folder.display());
            return Err(Failure::Manifest { path: pair[1].folder.join(FILE), reason });
        }
        Ok(manifests)
    }

    fn parse(folder: PathBuf, text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let object = value.as_object().ok_or("not a JSON object")?;
        if let Some(key) = object.keys().find(|key| !["name", "needs", "run", "setup"].contains(&key.as_str())) {
            return Err(format!("`{key}` is not known"));
        }
        let name = value["name"].as_str().ok_or("`name` is missing")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(plain) || ["clients", "unit"].contains(&name) {
            return Err(format!("`name` may hold letters, digits, - and _, and not be `clients` or `unit`: {name:?}"));
        }
        let mut needs = Vec::new();
        for need in strings(value.get("needs"), "needs")? {
            needs.push(Tool::needed_as(&need).ok_or_else(|| unknown_need(&need))?);
        }
        let setup = match value.get("setup") {
            None => Vec::new(),
            Some(Value::Array(commands)) => {
                commands.iter().map(|command| argv(Some(command), "setup")).collect::<Result<_, _>>()?
            }
            Some(_) => return Err("`setup` is a list of commands".to_owned()),
        };
        let run = argv(value.get("run"), "run")?;
        Ok(Self { folder, name: name.to_owned(), needs, setup, run })
    }
}

const FILE: &str = "client-test.json";

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    Failure::io(format!("{} could not be read", path.display()))
}

fn unknown_need(need: &str) -> String {
    format!("`needs` knows {}, not `{need}`", Tool::ALL.map(Tool::need).join(", "))
}

fn argv(value: Option<&Value>, key: &str) -> Result<Argv, String> {
    let argv = strings(value, key)?;
    if argv.is_empty() { Err(format!("`{key}` lacks a command")) } else { Ok(argv) }
}

fn strings(value: Option<&Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("`{key}` holds lists of strings");
    let items = match value {
        None => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(PathBuf::from("clients/x"), text)
    }

    #[test]
    fn a_full_manifest_is_read() {
        let manifest = parse(
            r#"{"name": "openid-client", "needs": ["node", "chromium"], "setup": [["npm", "ci"]], "run": ["node", "main.mjs"]}"#,
        );

        assert_eq!(
            manifest,
            Ok(Manifest {
                folder: PathBuf::from("clients/x"),
                name: "openid-client".to_owned(),
                needs: vec![Tool::Node, Tool::Chromium],
                setup: vec![vec!["npm".to_owned(), "ci".to_owned()]],
                run: vec!["node".to_owned(), "main.mjs".to_owned()],
            })
        );
    }

    #[test]
    fn name_and_run_are_enough() {
        assert!(parse(r#"{"name": "x", "run": ["./x"]}"#).is_ok());
    }

    #[test]
    fn each_mistake_is_named() {
        let cases = [
            ("[]", "not a JSON object"),
            (r#"{"run": ["x"]}"#, "`name`"),
            (r#"{"name": "../x", "run": ["x"]}"#, "`name`"),
            (r#"{"name": "unit", "run": ["x"]}"#, "`name`"),
            (r#"{"name": "x"}"#, "`run`"),
            (r#"{"name": "x", "run": "x"}"#, "`run`"),
            (r#"{"name": "x", "run": ["x"], "setup": ["npm ci"]}"#, "`setup`"),
            (r#"{"name": "x", "run": ["x"], "needs": ["perl"]}"#, "`perl`"),
            (r#"{"name": "x", "run": ["x"], "need": ["go"]}"#, "`need`"),
        ];
        for (text, named) in cases {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(named), "{text}: {reason}");
        }
    }

    #[test]
    fn folders_without_a_manifest_are_passed_over_and_a_name_is_taken_once() {
        let clients = tempfile::tempdir().unwrap();
        for (folder, name) in [("b", Some("two")), ("a", Some("one")), ("notes", None)] {
            let folder = clients.path().join(folder);
            fs::create_dir(&folder).unwrap();
            if let Some(name) = name {
                fs::write(folder.join(FILE), format!(r#"{{"name": "{name}", "run": ["x"]}}"#)).unwrap();
            }
        }
        let names: Vec<_> = Manifest::all(clients.path()).unwrap().into_iter().map(|manifest| manifest.name).collect();
        assert_eq!(names, ["one", "two"]);

        fs::write(clients.path().join("a").join(FILE), r#"{"name": "two", "run": ["x"]}"#).unwrap();
        assert!(Manifest::all(clients.path()).expect_err("twice").to_string().contains("`two`"));
    }

    #[test]
    fn no_folder_of_clients_means_no_suites() {
        assert_eq!(Manifest::all(Path::new("/nonexistent/clients")).unwrap(), []);
    }
}
