//! `doorward restore …`: a server from its backup, or one whose database was put into its place by other means.

use std::path::{Path, PathBuf};

use clap::Args;
use doorward_core::{
    clock::{Clock, Timestamp},
    digest::MasterKey,
};
use doorward_guard::SystemClock;
use doorward_server::actor::Actor;
use doorward_store::{
    Location, Store,
    backup::{Alone, Backup, BackupError, Contents, EndedByRestore, Heading, Issued, Restored},
    prepare_folder,
    trusted_clock::{FindNewestTime, NoteTrustedTime},
};
use serde_json::json;

use super::{
    backup::{self, PassphraseArgs},
    clock,
    progress::Bar,
};
use crate::{
    belonging::{self, Accepted},
    data::{self, ISSUER, Place, Target},
    failure::Failure,
    output::{Output, time},
};

#[derive(Args, Debug)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(required_unless_present = "in_place")]
    file: Option<PathBuf>,
    /// The database is already in place: a copy of doorward.db, or PostgreSQL recovered to a point in time. End what it
    /// had issued
    #[arg(long, conflicts_with_all = ["file", "passphrase_file"])]
    in_place: bool,
    /// Keep sessions, grants and tokens as they were, even those that were revoked after the backup
    #[arg(long)]
    keep_issued: bool,
    /// Trust this machine's clock although the backup or the database has another time
    #[arg(long)]
    trust_clock: bool,
    /// Accept that the issuer differs from the backup's
    #[arg(long)]
    change_issuer: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) async fn run(args: RestoreArgs, place: &Place, actor: &Actor, output: Output) -> Result<(), Failure> {
    match args.file.clone() {
        Some(file) => from_backup(&args, &file, place, actor, output).await,
        None => in_place(&args, place, actor, output).await,
    }
}

impl RestoreArgs {
    /// What becomes of what was issued.
    fn issued(&self, ended: Issued) -> Issued {
        if self.keep_issued { Issued::Kept } else { ended }
    }

    /// Refuses a clock that can't be right, where something is ended by it.
    fn ensure_plausible(&self, what: &str, at: Timestamp) -> Result<(), Failure> {
        if self.trust_clock || self.keep_issued {
            return Ok(());
        }
        clock::ensure_plausible(SystemClock.now(), what, at)
    }

    /// What an operator says of the clock holds for the server too, which removes nothing by one that it does not believe.
    async fn note_clock(&self, store: &Store) -> Result<(), Failure> {
        if self.trust_clock {
            store.write(NoteTrustedTime { at: SystemClock.now() }).await?;
        }
        Ok(())
    }
}

async fn from_backup(
    args: &RestoreArgs,
    file: &Path,
    place: &Place,
    actor: &Actor,
    output: Output,
) -> Result<(), Failure> {
    let backup = backup::open(file)?;
    args.ensure_plausible("the backup", backup.heading.created_at)?;
    let target = place.target(&backup.heading.issuer)?;
    let found = &target.found;
    check_issuer(&backup, &found.settings.issuer, args.change_issuer)?;
    let master_keys = MasterKeys::of(&backup, &target, &args.passphrase)?;
    prepare_folder(&found.folder)?;
    data::refuse_unfinished_demo(&found.folder)?;
    // Held until the end: no server starts on what is half.
    let _lock = found.lock_for("doorward restore")?;
    let is_unused = found.is_unused();
    let early = match found.has_no_file() {
        true => None,
        // Before the backup is read, which may take long.
        false => Some(begin(&found.location, is_unused).await?),
    };
    let bar = Bar::begin(output);
    let on_progress = bar.show();
    let verified = backup.verify(&master_keys.keys, &on_progress).map_err(|error| backup::failed_at(file, error))?;
    // From here on the place is that of the restored server.
    belonging::end_new(&found.folder)?;
    if let Some(path) = &master_keys.write_to {
        data::write_master_keys(path, &master_keys.keys)?;
    }
    let (store, alone) = match early {
        Some(held) => held,
        None => begin(&found.location, is_unused).await?,
    };
    // Check again, since a server may have been started in the meantime.
    alone.ensure_no_others().await?;
    ensure_replaceable(&store, is_unused).await?;
    let heading = verified.backup.heading.clone();
    let restored = store
        .restore(&alone, verified, master_keys.keys, args.issued(Issued::Ended), belonging::audit(actor), &on_progress)
        .await?;
    drop(bar);
    args.note_clock(&store).await?;
    if args.change_issuer {
        found.change_issuer(&store, actor).await?;
    }
    store.close().await;
    data::write_secret(&found.folder.join(ISSUER), &*found.settings.issuer)?;
    tell(&heading, &restored, &found.database(), output)
}

/// Opens a database that may be filled, and keeps others off it.
async fn begin(location: &Location, is_unused: bool) -> Result<(Store, Alone), BackupError> {
    let store = Store::open(location).await?;
    let alone = store.begin_alone().await?;
    alone.ensure_no_others().await?;
    ensure_replaceable(&store, is_unused).await?;
    Ok((store, alone))
}

/// Refuses a database that holds what somebody may need. What `init` made is nothing of that kind.
async fn ensure_replaceable(store: &Store, is_unused: bool) -> Result<(), BackupError> {
    match is_unused {
        true => store.ensure_unused().await,
        false => store.ensure_empty().await,
    }
}

fn check_issuer(backup: &Backup, configured: &str, may_change: bool) -> Result<(), Failure> {
    let issuer = &backup.heading.issuer;
    if issuer == configured || may_change {
        return Ok(());
    }
    Err(Failure::NotDone(format!(
        "the backup is of the server {issuer}, and this one is {configured}: name the configuration of that server, or \
         accept the new address with --change-issuer"
    )))
}

/// The master keys that a backup opens with.
struct MasterKeys {
    keys: Vec<MasterKey>,
    /// Where they are to be written, if they came with the backup.
    write_to: Option<PathBuf>,
}

impl MasterKeys {
    fn of(backup: &Backup, target: &Target, passphrase: &PassphraseArgs) -> Result<Self, Failure> {
        let (needed, found) = (&backup.heading.master_key, &target.found);
        let present = || found.master_keys.iter().map(data::copied).collect::<Result<Vec<_>, _>>();
        if found.master_keys.iter().any(|key| key.id() == *needed) {
            return Ok(Self { keys: present()?, write_to: None });
        }
        if backup.heading.enclosed.is_none() && !passphrase.is_named() {
            let given = found.master_keys.iter().map(MasterKey::id).collect();
            return Err(BackupError::MasterKey { needed: needed.clone(), given }.into());
        }
        let keys = backup.enclosed_keys(&passphrase.known_one()?)?;
        let Some(path) = &target.master_key_file else {
            return Err(Failure::NotDone(format!(
                "the environment has another master key than the backup's, {needed}: unset it, and the backup's key is \
                 written to its file"
            )));
        };
        // One that `init` made has protected nothing yet.
        if !found.master_keys.is_empty() && !found.is_new() {
            return Err(Failure::NotDone(format!(
                "{} contains another master key than the backup's, {needed}: move that file away. Nothing was changed",
                path.display()
            )));
        }
        Ok(Self { keys, write_to: Some(path.clone()) })
    }
}

async fn in_place(args: &RestoreArgs, place: &Place, actor: &Actor, output: Output) -> Result<(), Failure> {
    let found = place.find()?;
    let _lock = found.lock_for("doorward restore")?;
    // First: what was accepted can be served, with all that is to be ended here.
    if let Some(newest) = Store::newest_time_of_copy(&found.location).await? {
        args.ensure_plausible(NEWEST, newest)?;
    }
    Store::accept_copy(&found.location).await?;
    let accepted = Accepted { other_issuer: args.change_issuer, unfinished: true, ..Accepted::default() };
    let store = found.open_accepted(accepted).await?;
    let alone = store.begin_alone().await?;
    alone.ensure_no_others().await?;
    store.migrate().await?;
    if let Some(newest) = store.read(FindNewestTime).await? {
        args.ensure_plausible(NEWEST, newest)?;
    }
    let issued = if args.trust_clock { Issued::EndedNow } else { Issued::Ended };
    let ended = store.restore_in_place(&alone, args.issued(issued), belonging::audit(actor)).await?;
    args.note_clock(&store).await?;
    found.change_issuer(&store, actor).await?;
    store.close().await;
    let database = found.database();
    output.print(&json!({"database": database, "ended": ended.as_ref().map(counts)}), || {
        format!(
            "{database} is complete.\n{}\n\nAPI keys, clients' secrets and passwords stay as they were then. Check them with \
             doorward key list, client list and user list.",
            told_issued(ended.as_ref(), "it was copied")
        )
    })
}

const NEWEST: &str = "the newest entry of the database";

/// Says what was restored, and what is left to do.
pub(super) fn tell(heading: &Heading, restored: &Restored, database: &str, output: Output) -> Result<(), Failure> {
    let Restored { contents, ended } = restored;
    let mut told = backup::told(heading, contents);
    told["database"] = database.into();
    told["ended"] = json!(ended.as_ref().map(counts));
    output.print(&told, || {
        let (made, age) = (time(heading.created_at), clock::ago(SystemClock.now().since(heading.created_at)));
        format!(
            "{database} contains the {} rows of the backup of {made} ({age}). Every table was compared.\n{}\n\n\
             Check what stays as it was then, and may have been revoked since:\n{}",
            contents.rows(),
            told_issued(ended.as_ref(), "the backup"),
            stays(contents)
        )
    })
}

fn told_issued(ended: Option<&EndedByRestore>, then: &str) -> String {
    match ended {
        None => format!("Sessions, grants and tokens stay valid, even those that were revoked after {then}."),
        Some(ended) => format!(
            "Ended, because it may have been revoked after {then}: {} grants with their refresh tokens, {} sessions, {} \
             access tokens, {} remembered consents. Users sign in again.{}",
            ended.grants,
            ended.sessions,
            ended.access_tokens,
            ended.consents,
            refused_until(ended.moment)
        ),
    }
}

/// What follows from a moment that is still to come, by this machine's clock.
fn refused_until(moment: Timestamp) -> String {
    if moment <= SystemClock.now() {
        return String::new();
    }
    format!(
        "\n\nTokens issued before {} are refused, even new ones: a clock was ahead at the time of the backup, or this \
         machine's clock is behind. If it is right, run `doorward restore --in-place --trust-clock`.",
        time(moment)
    )
}

/// What callers can't get again by themselves, or only an operator knows.
fn stays(contents: &Contents) -> String {
    [
        ("api_keys", "API keys", "doorward key list"),
        ("clients", "secrets of clients and APIs", "doorward client list, doorward api list"),
        ("users", "users and their passwords", "doorward user list"),
        ("role_grants", "roles of users, clients and keys", "doorward role list"),
    ]
    .map(|(table, what, command)| format!("  {:>8} {what:33} {command}\n", contents.rows_of(table)))
    .concat()
}

fn counts(ended: &EndedByRestore) -> serde_json::Value {
    json!({
        "grants": ended.grants,
        "sessions": ended.sessions,
        "access_tokens": ended.access_tokens,
        "consents": ended.consents,
        "tokens_before": time(ended.moment),
    })
}
