//! What the demo prints for a person: commands that are pasted into another terminal.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{PROGRAM, Running, http, without_configuration};

/// A program that was started under a relative path or by its bare name, and data folders that a shell would split.
#[test]
fn the_printed_commands_work_from_any_folder_as_they_stand() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    let programs = Path::new(PROGRAM).parent().expect("the program's folder");
    let with_path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a path"));
    for (start, data, calls_it) in [
        (r#"cd "$0" && exec ./doorward "$@""#, "it's a demo", format!("{PROGRAM} explain")),
        (r#"PATH="$0:$PATH"; exec doorward "$@""#, "a demo", "doorward explain".to_owned()),
    ] {
        let mut command = without_configuration(Command::new("sh"));
        command.args(["-c", start]).arg(programs);
        let (demo, shown) = Running::demo_that_tells(command, &folder.path().join(data));
        let run = |script: &str| -> Output {
            let mut shell = without_configuration(Command::new("sh"));
            shell.args(["-c", script]).current_dir(&elsewhere).env("PATH", &with_path).output().expect("a shell")
        };

        assert!(
            shown.trim_start().starts_with("In a browser: open http://localhost:"),
            "the link comes first: {shown}"
        );
        assert!(shown.contains("  docs/guide/getting-started.md in the source code\n"), "{shown}");
        assert!(!shown.contains('\x1b'), "colour is for terminals");
        let mut promised = Vec::new();
        for (title, script) in shown.split("\n\n").filter_map(|block| block.strip_prefix("# ")?.split_once('\n')) {
            let output = run(script);
            let printed = String::from_utf8_lossy(&output.stdout);
            match title.rsplit_once(": ") {
                Some((_, status)) => {
                    assert!(printed.starts_with(&format!("HTTP/1.1 {status} ")), "{title}\n{script}\n{printed}");
                    assert!(printed.ends_with('\n'), "the next prompt begins a line: {script}\n{printed}");
                    promised.push(status);
                }
                None => {
                    assert!(script.starts_with(&calls_it), "{script}");
                    assert!(output.status.success() && printed.contains("credential_missing"), "{script}\n{printed}");
                    promised.push("explain");
                }
            }
        }
        assert_eq!(promised, ["200", "401", "401", "403", "200", "200", "explain"], "{shown}");

        let ports: BTreeSet<_> = shown.split("http://localhost:").skip(1).map(digits).collect();
        let picked = ["issuer", "api"].map(|name| digits(demo.get(name).trim_start_matches("http://localhost:")));
        assert_eq!(ports, BTreeSet::from(picked), "{shown}");
        let browser = shown.lines().find(|line| line.starts_with("In a browser")).expect("a line for the browser");
        let url = browser.split(' ').find(|word| word.starts_with("http://")).expect("a URL");
        assert_eq!(http("GET", url, &[], "").expect("an answer").status, 200);
        for name in ["username", "password"] {
            assert!(browser.contains(demo.get(name)), "{name}: {browser}");
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().take_while(char::is_ascii_digit).collect()
}
