//! The page of all commands for the documentation.

use clap::CommandFactory;

use super::Cli;

/// What `--help` says of each command, in Markdown.
pub(super) fn page() -> String {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut page = String::from(
        "# Commands\n\nThe `--help` of each command. `doorward commands` generates this page, `doorward completions SHELL` \
         shell completions.\n",
    );
    describe(&mut command, "doorward", &mut page);
    page
}

fn describe(command: &mut clap::Command, name: &str, page: &mut String) {
    let help = command.render_help().to_string();
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end()));
    for subcommand in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        let name = format!("{name} {}", subcommand.get_name());
        describe(subcommand, &name, page);
    }
}
