//! `doorward migrate`.

use clap::Args;
use doorward_server::actor::Actor;
use serde_json::json;

use crate::{belonging::Accepted, data::Place, failure::Failure, output::Output};

#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    /// Initialize an empty database, for a new server whose master key was created elsewhere
    #[arg(long)]
    new: bool,
    /// Accept that the issuer differs from the one that the database was used with
    #[arg(long)]
    change_issuer: bool,
}

pub(super) async fn run(args: MigrateArgs, place: &Place, actor: &Actor, output: Output) -> Result<(), Failure> {
    let found = place.find()?;
    // A server that runs migrates itself, at its start.
    let _lock = found.lock_for("doorward migrate")?;
    let accepted = Accepted { new: args.new, other_issuer: args.change_issuer, ..Accepted::default() };
    let store = found.open_accepted(accepted).await?;
    let applied = store.migrate().await?;
    let is_changed = args.change_issuer && found.change_issuer(&store, actor).await?;
    store.close().await;
    let value = json!({"from": applied.from, "to": applied.to, "issuer_changed": is_changed});
    output.print(&value, || {
        let schema = match (applied.from == applied.to, is_changed) {
            (true, false) => format!("The schema is at {}. Nothing to do.", applied.to),
            (true, true) => format!("The schema is at {}.", applied.to),
            (false, _) => format!("Migrated the schema from {} to {}.", applied.from, applied.to),
        };
        let issuer = match is_changed {
            true => format!("\nThe server's address is {} now.", found.settings.issuer),
            false => String::new(),
        };
        format!("{schema}{issuer}")
    })
}
