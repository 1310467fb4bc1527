//! `doorward config …`

use std::{path::Path, process::ExitCode};

use clap::Subcommand;

use crate::{
    config::{Config, Environment, reference_page},
    data,
    failure::Failure,
    output::{Output, line},
    serve,
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check the configuration and print each mistake with its line
    Check,
    /// Print a reference of all keys in Markdown
    Reference,
}

pub(super) fn run(verb: Verb, path: &Path, output: Output) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Reference => line(&reference_page())?,
        Verb::Check => {
            let environment = Environment::of_process();
            match Config::load_with_files(path, &environment, serve::check_files) {
                Ok(config) => {
                    let warnings = config.warnings(&config.program.addresses);
                    output.print(&serde_json::json!({"mistakes": [], "warnings": warnings}), || {
                        let told = warnings.iter().map(|warning| format!("Warning: {warning}.\n"));
                        told.collect::<String>() + &format!("{}: no mistakes", path.display())
                    })?;
                }
                Err(mistakes) if output.json => {
                    output.print(&serde_json::json!({"mistakes": mistakes.to_json()}), String::new)?;
                    return Ok(ExitCode::from(2));
                }
                Err(mistakes) => return Err(Failure::Configuration(mistakes.render(data::use_colour()))),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
