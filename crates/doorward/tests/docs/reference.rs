//! The reference pages, each made by the program itself.
//!
//! `DOORWARD_WRITE_REFERENCE=1 cargo test -p doorward --test docs` writes them anew.

use std::{fs, path::Path};

use super::{repository, terminal};

/// Compares a page with what the program says; writes it instead if that was asked for.
#[track_caller]
pub(crate) fn compare(page: &str, said: &str) {
    let path = repository("docs/reference").join(page);
    let said = format!("{}\n", said.trim_end());
    if std::env::var_os("DOORWARD_WRITE_REFERENCE").is_some() {
        fs::write(&path, said).expect("the page is written");
        return;
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    let first = stands.lines().zip(said.lines()).position(|(stands, said)| stands != said);
    assert!(
        stands == said,
        "docs/reference/{page} is behind the program from line {} on: run\n  \
         DOORWARD_WRITE_REFERENCE=1 cargo test -p doorward --test docs",
        first.unwrap_or(stands.lines().count().min(said.lines().count())) + 1,
    );
}

/// What the program prints for these arguments.
pub(crate) fn output(arguments: &[&str]) -> String {
    let output = terminal::program(Path::new(".")).args(arguments).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("help is text")
}

/// The page of the command line: the help of every command, in the order in which it lists them.
pub(crate) fn command_line() -> String {
    let mut page = "# Command line\n\nThis page is made from the program's own help: `doorward COMMAND --help` \
                    says the same.\n"
        .to_owned();
    add_command(&mut page, &[]);
    page
}

fn add_command(page: &mut String, path: &[&str]) {
    let help = output(&[path, &["--help"]].concat());
    let name = ["doorward"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    page.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end()));
    for command in commands(&help) {
        add_command(page, &[path, &[command]].concat());
    }
}

/// The commands that a help lists: the lines below `Commands:` that are indented by two spaces.
fn commands(help: &str) -> Vec<&str> {
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let named = below.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    named.filter_map(|line| line.split(' ').next()).filter(|command| *command != "help").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_a_help() {
        let help = "About\n\nCommands:\n  one  First,\n       on two lines\n  two  Second\n  help  Help\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["one", "two"]);
    }
}
