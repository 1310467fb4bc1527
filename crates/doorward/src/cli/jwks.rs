//! `doorward jwks …`

use clap::Subcommand;
use doorward_core::jwk::Algorithm;
use doorward_server::{
    App,
    actor::Actor,
    manage::signing_keys::{self, ListedKey},
};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    output::{Output, json_time, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The signing keys and where in their lives they are
    Show,
    /// Make a successor: published now, signing after `signing.publish_before_use`, when every API has fetched it
    Rotate {
        /// Of which algorithm
        #[arg(long, value_name = "ALG", default_value = "EdDSA", value_parser = ["EdDSA", "ES256", "PS256", "RS256"])]
        algorithm: String,
    },
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Show => {
            let keys = signing_keys::list(app).await?;
            output.print(&keys.iter().map(describe).collect::<Vec<_>>(), || {
                let row = |key: &ListedKey| {
                    [
                        key.times.id.to_string(),
                        key.times.algorithm.to_string(),
                        key.state.as_str().to_owned(),
                        time(key.times.active_from),
                    ]
                };
                table(["KID", "ALG", "STATE", "SIGNS FROM"], keys.iter().map(row))
            });
        }
        Verb::Rotate { algorithm } => {
            let algorithm = Algorithm::parse(&algorithm).unwrap_or(Algorithm::EdDSA);
            let key = signing_keys::rotate(app, actor, algorithm).await?;
            output.print(&describe(&key), || {
                format!("{} is published, and signs from {}.", key.times.id, time(key.times.active_from))
            });
        }
    }
    Ok(())
}

fn describe(key: &ListedKey) -> Value {
    json!({
        "kid": key.times.id,
        "alg": key.times.algorithm,
        "state": key.state.as_str(),
        "published_at": json_time(Some(key.times.published_at)),
        "active_from": json_time(Some(key.times.active_from)),
        "jwk": key.public_jwk,
    })
}
