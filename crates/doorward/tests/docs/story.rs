//! The pages as one story: a shell script that runs their snippets one after another, in one folder, with one demo.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    PROGRAM, likeness,
    snippets::{Kind, Snippet, snippets},
};

/// What the script has besides the pages' commands.
const PRELUDE: &str = include_str!("prelude.sh");

/// The script, and the answers that the pages show.
#[derive(Default)]
pub(crate) struct Story {
    script: String,
    answers: Vec<Shown>,
}

/// An answer on a page.
struct Shown {
    place: String,
    json: String,
}

impl Story {
    /// Goes on with a page, or with a part of one.
    pub(crate) fn tell(&mut self, page: &str, text: &str) {
        for Snippet { line, kind } in snippets(text) {
            let place = format!("{page}:{line}");
            self.script.push_str(&format!("PLACE={place}\n"));
            match kind {
                Kind::Answer { commands, json } => {
                    let number = self.answers.len();
                    self.script.push_str(&format!("{{\n{commands}}} > answer-{number}.json\n"));
                    self.answers.push(Shown { place, json });
                }
                Kind::Cell(command) if command.starts_with("doorward client create") => {
                    self.script.push_str(&format!("client_works '{}'\n", command.replace('\'', "'\\''")));
                }
                Kind::Cell(command) => self.script.push_str(&format!("{command}\n")),
                Kind::Commands(commands) => self.script.push_str(&with_promises(&commands)),
                Kind::Configuration(toml) => self.script.push_str(&configuration_is_valid(&toml)),
                Kind::Server(command) => self.script.push_str(&format!("serves '{}'\n", command.trim_end())),
                Kind::Ignored { .. } | Kind::Message(_) | Kind::Unmarked { .. } => {}
            }
        }
    }

    /// Runs the script; gives what it printed.
    pub(crate) fn run(self) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let printed = run(&folder, &format!("{PRELUDE}\n{}", self.script));
        for (number, Shown { place, json }) in self.answers.iter().enumerate() {
            let parse = |text: &str| -> Value {
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}: {text}"))
            };
            let answer = fs::read_to_string(folder.path().join(format!("answer-{number}.json"))).expect("an answer");
            let difference = likeness::difference(&parse(json), &parse(&answer));
            assert!(difference.is_none(), "{place}: {}\n{answer}", difference.unwrap_or_default());
        }
        printed
    }
}

/// The commands, each checked to print what is promised beside it.
fn with_promises(commands: &str) -> String {
    let mut script = String::new();
    let mut command = String::new();
    for line in commands.lines() {
        command.push_str(line);
        command.push('\n');
        // A command of several lines is one command.
        if line.ends_with('\\') {
            continue;
        }
        match command.split_once("# → ") {
            Some((command, promised)) => {
                script.push_str(&format!("expect '{}' \"$({command})\"\n", promised.trim_end()))
            }
            None => script.push_str(&command),
        }
        command.clear();
    }
    script + &command
}

/// A part of `doorward.toml` is valid together with an issuer and a folder, unless it names its own.
fn configuration_is_valid(toml: &str) -> String {
    let issuer = if toml.starts_with("issuer") { "" } else { "issuer = \"http://localhost:8400\"\n" };
    format!(
        "[ -d fragment ] || doorward init --dir fragment --issuer http://localhost:8400\n\
         cat > fragment/part.toml <<'END'\n{issuer}{toml}END\n\
         doorward config check --config fragment/part.toml > /dev/null\n"
    )
}

fn run(folder: &TempDir, script: &str) -> String {
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(PROGRAM, bin.join("doorward")).expect("a link");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    // Files and not pipes: a demo that a broken script leaves behind would hold a pipe open forever.
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let file = |path: &Path| File::create(path).expect("a file");
    let status = Command::new("bash")
        .args(["-m", "-e", "-c", script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("DOORWARD_DATA")
        .env_remove("DOORWARD_CONFIG")
        .stdout(file(&out))
        .stderr(file(&err))
        .status()
        .expect("bash runs");
    if let Ok(pid) = fs::read_to_string(folder.path().join("demo-data/doorward.lock")) {
        // After a script that succeeded, no process has this number any more.
        let _ = Command::new("kill").arg(pid.trim()).output();
    }
    let printed = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    assert!(status.success(), "{}\n{}", printed(&err), printed(&out));
    printed(&out)
}
