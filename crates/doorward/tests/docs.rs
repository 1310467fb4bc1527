//! The documents say what is true: commands are run, generated pages are compared.

use std::{path::Path, process::Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The shell blocks of a page that are to be run, in their order.
fn commands(page: &str) -> String {
    let mut script = String::new();
    let mut is_inside = false;
    for line in page.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            // A status that is promised beside a command is demanded of it.
            line if is_inside => match line.split_once("# → ") {
                Some((command, promised)) => script.push_str(&format!(
                    "GOT=$({command})\n[ \"$GOT\" = {promised} ] || {{ echo {promised} expected, got $GOT >&2; exit 1; }}\n"
                )),
                None => script.push_str(&format!("{line}\n")),
            },
            _ => {}
        }
    }
    script
}

#[test]
fn the_guide_works_as_it_stands() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(PROGRAM, bin.join("doorward")).expect("a link");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("a path"));
    let started = read("docs/guide/getting-started.md");
    // The other pages go on where the demo still runs.
    let (started, end) = started.split_once("## End it").expect("the demo is ended by the page");
    let mut script = String::new();
    for page in [
        started,
        &read("docs/guide/protect-an-api.md"),
        &read("docs/guide/oauth.md"),
        &read("docs/operators/running.md"),
        &read("docs/operators/backup.md"),
    ] {
        let commands = commands(page);
        assert!(commands.contains("doorward "), "every page has commands");
        script.push_str(&commands);
    }
    assert!(script.contains("doorward demo") && script.contains("exit 1"), "the pages have commands and promises");
    script.push_str(&commands(end));
    // Files and not pipes: a demo that a broken script leaves behind would hold a pipe open for ever.
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let file = |path: &Path| std::fs::File::create(path).expect("a file");
    let status = Command::new("bash")
        .args(["-m", "-e", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("DOORWARD_DATA")
        .env_remove("DOORWARD_CONFIG")
        .stdout(file(&out))
        .stderr(file(&err))
        .status()
        .expect("bash runs");
    if let Ok(pid) = std::fs::read_to_string(folder.path().join("demo-data/doorward.lock")) {
        // After a script that went through, nobody has this number any more.
        let _ = Command::new("kill").arg(pid.trim()).output();
    }
    let told = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    assert!(status.success(), "{}\n{}", told(&err), told(&out));
    assert!(told(&out).contains("credential_missing"), "explain told the story");
}

#[test]
fn generated_pages_are_what_the_program_prints() {
    for (page, arguments) in [
        ("docs/reference/cli.md", &["commands"][..]),
        ("docs/reference/configuration.md", &["config", "reference"]),
        ("docs/reference/denials.md", &["denials"]),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().expect("the program runs");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        // Whole pages side by side would help nobody.
        assert!(read(page) == printed, "generate it again: doorward {} > {page}", arguments.join(" "));
    }
}

#[test]
fn every_denial_has_its_place_on_the_page() {
    let page = read("docs/reference/denials.md");
    for denial in doorward_core::denial::Denial::ALL {
        assert!(page.contains(&format!("\n## {}\n", denial.code())), "{denial}");
    }
}
