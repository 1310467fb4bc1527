//! Whether a database is the one of this server: looked at before anything is written into it.
//!
//! A copy of a server's data can be half: without its log, without the database, with the master key of another server.
//! A start on such a copy would begin a new server in its place, whose callers are all refused. So an empty database is
//! taken for that of a new server only where `init` left its mark, or where an operator says so.
//!
//! Easy to get wrong: a mark that says "used" would be missing in a copy. The mark says "new", so that what it is missing
//! in is taken for used.

use std::{collections::BTreeSet, fs, io, path::Path};

use doorward_core::{api::ResourceIdentifier, clock::Clock, digest::MasterKey, id::AuditId};
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::{actor::Actor, manage::apis::MANAGEMENT, settings::MANAGEMENT_PATH};
use doorward_store::{
    Belonging, ChangeIssuer, DATABASE, Location, Store,
    audit::{AuditContext, Details},
};

use crate::{
    data::{Found, write_secret},
    failure::Failure,
};

/// The name of the file that `init` leaves in the data folder and that the first start removes.
const NEW_SERVER: &str = "server.new";

/// What a server has that its database must agree with.
struct Server {
    management: String,
    master_keys: BTreeSet<String>,
    /// Whether nothing has been kept under the master key yet.
    is_new: bool,
    /// Whether the issuer of the database can have no user yet.
    may_change_issuer: bool,
    /// Whether this is the restore in place that may have been killed before.
    is_restored_in_place: bool,
}

/// Why a database is not the one of this server. Each says what to do.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
enum Mismatch {
    #[error(
        "contains no server's data, but the master key was used before: this is not its database. Put the right \
         database back, restore a backup with `doorward restore`, or move the SQLite database of the data folder to \
         PostgreSQL with `doorward move`. For a server that is really new, initialize the database with \
         `doorward migrate --new`"
    )]
    Empty,
    #[error(
        "contains a server's data, but no signing key: a part of it is missing. Put the whole \
         database back, or restore a backup with `doorward restore` into an empty one"
    )]
    NoSigningKeys,
    #[error(
        "belongs to the server {found}, but this one is {configured}. Use the database of this server. If the server \
         has a new address, accept that with `doorward migrate --change-issuer`"
    )]
    OtherIssuer { found: String, configured: String },
    #[error(
        "was used with the master key {needed}, but the current one is {given}: put the database's master key into \
         the master key's file. Without it, the database's keys and secrets are unusable"
    )]
    OtherMasterKey { needed: String, given: String },
    #[error("contains an unfinished restore or move: run that command again")]
    Unfinished,
}

/// Whether the database is that of the server.
fn check(found: &Belonging, server: &Server) -> Result<(), Mismatch> {
    if found.is_being_filled || (found.is_being_restored && !server.is_restored_in_place) {
        return Err(Mismatch::Unfinished);
    }
    if found.schema == 0 {
        return if server.is_new { Ok(()) } else { Err(Mismatch::Empty) };
    }
    if !found.has_data {
        // `migrate --new`, or a first start that was killed, created it.
        return Ok(());
    }
    if found.master_keys.is_empty() && !server.is_new {
        return Err(Mismatch::NoSigningKeys);
    }
    let missing: Vec<_> = found.master_keys.difference(&server.master_keys).map(String::as_str).collect();
    if !missing.is_empty() {
        let given: Vec<_> = server.master_keys.iter().map(String::as_str).collect();
        return Err(Mismatch::OtherMasterKey { needed: missing.join(", "), given: given.join(", ") });
    }
    match &found.management {
        Some(management) if *management != server.management && !server.may_change_issuer => {
            Err(Mismatch::OtherIssuer {
                found: issuer_of(management).to_owned(),
                configured: issuer_of(&server.management).to_owned(),
            })
        }
        _ => Ok(()),
    }
}

fn issuer_of(management: &str) -> &str {
    management.strip_suffix(MANAGEMENT_PATH).unwrap_or(management)
}

/// What an operator accepts of a database, by saying so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    /// That it is empty.
    pub(crate) new: bool,
    /// That it belongs to another issuer.
    pub(crate) other_issuer: bool,
    /// That a restore in place did not come to its end.
    pub(crate) unfinished: bool,
}

impl Found {
    /// Opens the database, if it is the one of this server.
    pub(crate) async fn open_store(&self) -> Result<Store, Failure> {
        self.open_accepted(Accepted::default()).await
    }

    /// Opens the database, if it is the one of this server except for what is accepted.
    pub(crate) async fn open_accepted(&self, accepted: Accepted) -> Result<Store, Failure> {
        let server = Server {
            management: self.management(),
            master_keys: self.master_keys.iter().map(MasterKey::id).collect(),
            is_new: accepted.new || self.is_new(),
            may_change_issuer: accepted.other_issuer || self.is_unused(),
            is_restored_in_place: accepted.unfinished,
        };
        let mismatch = |mismatch: Mismatch| Failure::System(format!("{} {mismatch}", self.database()));
        if !server.is_new && self.has_no_file() {
            // To open it would create it.
            return Err(mismatch(Mismatch::Empty));
        }
        let store = Store::open(&self.location).await?;
        let found = store.belonging(MANAGEMENT).await?;
        check(&found, &server).map_err(mismatch)?;
        Ok(store)
    }

    /// Gives the management API the identifier of this issuer. Says whether it had another one before.
    pub(crate) async fn change_issuer(&self, store: &Store, actor: &Actor) -> Result<bool, Failure> {
        let management = self.management();
        if store.belonging(MANAGEMENT).await?.management.is_none_or(|found| found == management) {
            return Ok(false);
        }
        let identifier =
            ResourceIdentifier::parse(&management).map_err(|error| Failure::system("the issuer", error))?;
        let audit = audit(actor);
        store.write(ChangeIssuer { management: MANAGEMENT, identifier, now: audit.at, audit }).await?;
        Ok(true)
    }

    /// Whether no server has run on the folder since `init` made it.
    pub(crate) fn is_new(&self) -> bool {
        self.folder.join(NEW_SERVER).exists()
    }

    /// Whether `init` made the database and no server has run on it: its issuer may still be changed, or a backup restored
    /// over it. A PostgreSQL database can have others.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_new() && matches!(self.location, Location::Sqlite(_))
    }

    /// Whether there is no SQLite database, not even an empty one, and none that would have to be asked.
    pub(crate) fn has_no_file(&self) -> bool {
        matches!(&self.location, Location::Sqlite(folder) if has_nothing(folder))
    }

    /// What is looked at, for a message.
    pub(crate) fn database(&self) -> String {
        match &self.location {
            Location::Postgres(_) => "the PostgreSQL database of data.postgres".to_owned(),
            Location::Sqlite(folder) => folder.join(DATABASE).display().to_string(),
        }
    }

    fn management(&self) -> String {
        self.settings.management()
    }
}

/// Marks a folder as that of a new server.
pub(crate) fn begin_new(folder: &Path) -> Result<(), Failure> {
    write_secret(&folder.join(NEW_SERVER), "No server has run on this folder. The first start removes this file.\n")
}

/// Notes that a server has run on the folder, or that it is that of another one from now on.
pub(crate) fn end_new(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(NEW_SERVER);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::system(&path.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

/// Who does something, for an event beside an opened server.
pub(crate) fn audit(actor: &Actor) -> AuditContext {
    let at = SystemClock.now();
    AuditContext {
        id: AuditId::new(at, &SystemRng::default()),
        at,
        trace_id: None,
        actor: actor.id.clone(),
        address: None,
        details: Details::new(),
    }
}

/// Whether neither the database's file nor its log has anything in it.
fn has_nothing(folder: &Path) -> bool {
    let is_empty = |name: &str| fs::metadata(folder.join(name)).map_or(true, |metadata| metadata.len() == 0);
    is_empty(DATABASE) && is_empty(&format!("{DATABASE}-wal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn server(is_new: bool) -> Server {
        let (management, master_keys) = ("https://a.example/v1".to_owned(), ids(&["one", "two"]));
        Server { management, master_keys, is_new, may_change_issuer: is_new, is_restored_in_place: false }
    }

    fn whole() -> Belonging {
        Belonging {
            schema: 7,
            has_data: true,
            is_being_filled: false,
            is_being_restored: false,
            master_keys: ids(&["one"]),
            management: Some("https://a.example/v1".to_owned()),
        }
    }

    #[test]
    fn database_of_this_server_is_accepted() {
        assert_eq!(check(&whole(), &server(false)), Ok(()));
        // One that an operator began.
        assert_eq!(check(&Belonging { schema: 7, ..Belonging::default() }, &server(false)), Ok(()));
    }

    #[test]
    fn empty_database_is_accepted_for_a_new_server_only() {
        assert_eq!(check(&Belonging::default(), &server(true)), Ok(()));
        assert_eq!(check(&Belonging::default(), &server(false)), Err(Mismatch::Empty));
    }

    #[test]
    fn half_a_database_is_refused() {
        let no_keys = Belonging { master_keys: BTreeSet::new(), ..whole() };
        assert_eq!(check(&no_keys, &server(false)), Err(Mismatch::NoSigningKeys));
        let filling = Belonging { is_being_filled: true, ..Belonging::default() };
        let restoring = Belonging { is_being_restored: true, ..whole() };
        for is_new in [true, false] {
            assert_eq!(check(&filling, &server(is_new)), Err(Mismatch::Unfinished));
            assert_eq!(check(&restoring, &server(is_new)), Err(Mismatch::Unfinished));
        }
        let again = Server { is_restored_in_place: true, ..server(false) };
        assert_eq!(check(&restoring, &again), Ok(()));
        assert_eq!(check(&filling, &again), Err(Mismatch::Unfinished));
    }

    #[test]
    fn database_of_another_server_is_refused() {
        let other_key = Belonging { master_keys: ids(&["one", "three"]), ..whole() };
        let refused = check(&other_key, &server(true)).unwrap_err();
        let (needed, given) = ("three".to_owned(), "one, two".to_owned());
        assert_eq!(refused, Mismatch::OtherMasterKey { needed, given });

        let other_issuer = Belonging { management: Some("https://b.example/v1".to_owned()), ..whole() };
        let (found, configured) = ("https://b.example".to_owned(), "https://a.example".to_owned());
        assert_eq!(check(&other_issuer, &server(false)), Err(Mismatch::OtherIssuer { found, configured }));
        // Nobody has used it under the other name.
        assert_eq!(check(&other_issuer, &server(true)), Ok(()));
    }
}
