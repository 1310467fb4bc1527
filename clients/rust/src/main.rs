//! The suite of `openidconnect` against a live demo: what it does for a confidential client (a web application) and for
//! a public one (a native application on a loopback port of its own).

#![forbid(unsafe_code)]

mod application;
mod browser;
mod checks;
mod confidential;
mod demo;
mod loopback;
mod native;
mod person;

use std::error::Error;
use std::process::ExitCode;

use checks::Checks;
use demo::Demo;
use person::Person;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all passed.
fn run() -> Result<bool, Box<dyn Error>> {
    let demo = Demo::read()?;
    let mut person = Person::start(&demo)?;
    let redirect_uri = loopback::listen(&demo)?;
    let mut checks = Checks::default();

    confidential::run(checks.of("openidconnect, confidential"), &demo, &mut person);
    person.forget()?;
    native::run(checks.of("openidconnect, public"), &demo, &mut person, &redirect_uri);
    Ok(checks.finish())
}
