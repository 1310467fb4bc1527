//! `doorward token …`

use std::io::Read;

use clap::{Args, Subcommand};
use doorward_core::{
    json::{self, Value, json},
    jws,
};
use doorward_server::{App, manage::ManageError};

use crate::{failure::Failure, output::Output};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the contents of a JWT without verifying it
    Decode(TokenArgs),
    /// Verify an access token of this server: signature, type, times, revocation
    Verify(TokenArgs),
}

#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    /// The token; `-` reads standard input, which keeps the token out of the shell's history
    #[arg(default_value = "-")]
    token: String,
}

impl TokenArgs {
    fn read(self) -> Result<String, Failure> {
        if self.token != "-" {
            return Ok(self.token);
        }
        let mut text = String::new();
        let read = std::io::stdin().take(64 * 1024).read_to_string(&mut text);
        read.map_err(|error| Failure::system("reading the token", error))?;
        Ok(text.trim().to_owned())
    }
}

/// `token decode` needs no store.
pub(super) fn decode(args: TokenArgs, output: Output) -> Result<(), Failure> {
    let token = args.read()?;
    let (header, claims) =
        jws::decode_unverified(&token).ok_or_else(|| Failure::NotDone("this is not a compact JWT".to_owned()))?;
    let value = json!({"header": header, "claims": claims, "verified": false});
    output.print(&value, || {
        let pretty = |value: &json::Map<String, Value>| serde_json::to_string_pretty(value).unwrap_or_default();
        format!(
            "header {}\nclaims {}\nNothing was verified: see `doorward token verify`.",
            pretty(&header),
            pretty(&claims)
        )
    })?;
    Ok(())
}

pub(super) async fn run(verb: Verb, app: &App, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Decode(args) => decode(args, output),
        Verb::Verify(args) => verify(args, app, output).await,
    }
}

async fn verify(args: TokenArgs, app: &App, output: Output) -> Result<(), Failure> {
    match doorward_server::manage::tokens::verify(app, &args.read()?).await {
        Ok(claims) => {
            output.print(&json!({"valid": true, "claims": claims}), || {
                format!("valid\n{}", serde_json::to_string_pretty(&claims).unwrap_or_default())
            })?;
            Ok(())
        }
        Err(ManageError::Refused(refusal)) => {
            let denial = refusal.denial;
            if output.json {
                let facts: json::Map<String, Value> =
                    refusal.facts.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
                output.print(
                    &json!({"valid": false, "code": denial.code(), "cause": denial.cause(), "facts": facts}),
                    String::new,
                )?;
            }
            let facts: Vec<_> = refusal.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            Err(Failure::NotDone(format!("{}: {} {}", denial.code(), denial.cause(), facts.join(", "))))
        }
        Err(error) => Err(error.into()),
    }
}
