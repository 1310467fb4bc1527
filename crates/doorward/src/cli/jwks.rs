//! `doorward jwks …`

use clap::Subcommand;
use doorward_core::{api::ApiMetadata, denial::Denial, jwk::Algorithm};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        ManageError,
        signing_keys::{self, SigningKeyView},
    },
};
use serde_json::json;

use super::word;
use crate::{
    failure::Failure,
    output::{Output, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the signing keys with their states
    Show,
    /// Create the next signing key: published now, used after `signing.publish_before_use`
    Rotate {
        /// Algorithm of the key
        #[arg(long, value_name = "ALG", default_value = ApiMetadata::DEFAULT_SIGNING_ALGORITHM.as_str(),
          value_parser = word(&Algorithm::ALL, Algorithm::as_str))]
        algorithm: Algorithm,
    },
    /// Withdraw a key that others may know: what it signed is refused from now on, elsewhere when their copy of the JWKS ends
    Withdraw {
        /// The key's id
        kid: String,
        /// Go on although the key may have signed tokens that are valid
        #[arg(long)]
        confirm: bool,
    },
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Show => {
            let keys = signing_keys::list(app, actor).await?;
            output.print(&keys, || {
                let row = |key: &SigningKeyView| {
                    [key.kid.to_string(), key.alg.to_string(), key.state.to_owned(), time(key.active_from)]
                };
                table(["KID", "ALG", "STATE", "SIGNS FROM"], keys.iter().map(row))
            })?;
        }
        Verb::Rotate { algorithm } => {
            let key = signing_keys::rotate(app, actor, algorithm).await?;
            output.print(&key, || format!("{} is published and signs from {}.", key.kid, time(key.active_from)))?;
        }
        Verb::Withdraw { kid, confirm } => {
            signing_keys::withdraw(app, actor, &kid, confirm).await.map_err(|error| match error {
                ManageError::Refused(refusal) if refusal.denial == Denial::ConfirmationRequired => {
                    Failure::NotDone("this ends every token that the key signed; --confirm does it".to_owned())
                }
                error => error.into(),
            })?;
            output.print(&json!({"kid": kid, "withdrawn": true}), || format!("{kid} is withdrawn."))?;
        }
    }
    Ok(())
}
