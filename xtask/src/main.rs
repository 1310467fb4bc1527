//! The developer's commands: `cargo xtask test`, `cargo xtask ci`.
//!
//! What a fresh clone needs is Rust alone; these commands find, install or name the rest. Easy to get wrong: this
//! program is built before anything else, so each dependency that it takes delays the first test.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what a developer's command has to say goes to standard output")]

mod bench;
mod ci;
mod clients;
mod counts;
mod demo;
mod failure;
mod leash;
mod manifest;
mod postgres;
mod selection;
mod summary;
mod test;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use failure::Failure;

/// One command of `cargo xtask`; `run` gets the arguments after its name and says whether everything passed.
struct Verb {
    name: &'static str,
    about: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<bool, Failure>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "bench",
        about: "how fast Doorward is beside its limits and a peer",
        help: bench::HELP,
        run: bench::run,
    },
    Verb { name: "ci", about: "formatting, clippy with warnings as errors, then test", help: ci::HELP, run: ci::run },
    Verb {
        name: "test",
        about: "every test there is, PostgreSQL and real clients included",
        help: test::HELP,
        run: test::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<bool, Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::Usage(help()));
    };
    if matches!(name.as_str(), "--help" | "-h" | "help") {
        println!("{}", help());
        return Ok(true);
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return Err(Failure::Usage(format!("there is no command `{name}`\n\n{}", help())));
    };
    let own = rest.iter().take_while(|argument| *argument != "--");
    if own.into_iter().any(|argument| matches!(argument.as_str(), "--help" | "-h")) {
        println!("{}", verb.help);
        return Ok(true);
    }
    (verb.run)(rest)
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask COMMAND [OPTIONS]\n\ncommands:\n");
    for verb in VERBS {
        text += &format!("  {:<8}{}\n", verb.name, verb.about);
    }
    text + "\n`cargo xtask COMMAND --help` says more.\nexit codes: 0 all passed, 1 something failed, 2 wrong usage or something is not installed"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_unknown_command_is_named_and_the_known_ones_are_listed() {
        let failure = dispatch(&arguments("tset")).expect_err("no such command");

        assert_eq!(failure.exit_code(), 2);
        let text = failure.to_string();
        assert!(text.contains("`tset`"), "{text}");
        for verb in VERBS {
            assert!(text.contains(verb.name), "{text}");
        }
    }

    #[test]
    fn no_command_at_all_is_wrong_usage() {
        assert_eq!(dispatch(&[]).expect_err("nothing to do").exit_code(), 2);
    }

    #[test]
    fn help_is_asked_for_before_a_double_dash_only() {
        assert!(dispatch(&arguments("test --help")).expect("help is shown"));
        let failure = dispatch(&arguments("test --only nothing -- --help")).expect_err("no part of that name");
        assert!(failure.to_string().contains("`nothing`"), "{failure}");
    }
}
