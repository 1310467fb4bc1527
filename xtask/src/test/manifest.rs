//! `client-test.json`: how a client suite is prepared and run. `clients/README.md` describes it for authors of suites.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{tools::Tool, workspace};

/// A client suite. An unknown key is an error, because a misspelt one would silently skip what it asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// The folder of the file, in which the commands run.
    #[serde(skip)]
    pub(super) folder: PathBuf,
    pub(super) name: String,
    #[serde(default)]
    pub(super) needs: Vec<Tool>,
    /// Commands that install what the suite depends on, each a program and its arguments.
    #[serde(default)]
    pub(super) setup: Vec<Vec<String>>,
    pub(super) run: Vec<String>,
}

impl Manifest {
    /// The suites of the workspace by name, which is the name of the folder.
    pub(super) fn all() -> Result<Vec<Self>> {
        let mut suites = Vec::new();
        for entry in fs::read_dir(workspace::root().join("clients"))? {
            let path = entry?.path().join("client-test.json");
            if path.is_file() {
                suites.push(Self::read(&path).with_context(|| path.display().to_string())?);
            }
        }
        suites.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(suites)
    }

    fn read(path: &Path) -> Result<Self> {
        let folder = path.with_file_name("");
        let suite = Self { folder, ..serde_json::from_str(&fs::read_to_string(path)?)? };
        ensure!(suite.folder.ends_with(&suite.name), "`name` must be the name of the folder");
        ensure!(!suite.run.is_empty() && !suite.setup.contains(&Vec::new()), "`run` or `setup` has an empty command");
        Ok(suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_read_or_its_mistake_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("x")).unwrap();
        for (text, mistake) in [
            (r#"{"name": "x", "needs": ["node", "postgresql"], "setup": [["npm", "ci"]], "run": ["x"]}"#, ""),
            (r#"{"name": "x", "run": ["x"]}"#, ""),
            (r#""x""#, "struct Manifest"),
            (r#"{"run": ["x"]}"#, "`name`"),
            (r#"{"name": "y", "run": ["x"]}"#, "`name`"),
            (r#"{"name": "x"}"#, "`run`"),
            (r#"{"name": "x", "run": []}"#, "`run`"),
            (r#"{"name": "x", "run": ["x"], "setup": [[]]}"#, "`setup`"),
            (r#"{"name": "x", "run": ["x"], "setup": ["npm ci"]}"#, "sequence"),
            (r#"{"name": "x", "run": ["x"], "needs": ["perl"]}"#, "`perl`"),
            (r#"{"name": "x", "run": ["x"], "need": ["go"]}"#, "`need`"),
        ] {
            let path = folder.path().join("x/client-test.json");
            fs::write(&path, text).unwrap();
            let reason = Manifest::read(&path).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(reason.contains(mistake) && reason.is_empty() == mistake.is_empty(), "{text}: {reason}");
        }
    }
}
