//! `doorward move`: everything from the SQLite database of the data folder into PostgreSQL.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use doorward_core::clock::Clock;
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::actor::Actor;
use doorward_store::{
    DATABASE, FolderLock, Location, Store,
    backup::{Backup, BackupError, Issued, NewBackup},
};

use super::{backup, progress::Bar};
use crate::{
    belonging,
    data::{Found, Place},
    failure::Failure,
    output::Output,
};

pub(super) async fn run(place: &Place, actor: &Actor, output: Output) -> Result<(), Failure> {
    let target = place.find()?;
    let Location::Postgres(_) = &target.location else {
        let told = "move copies the SQLite database of the data folder to PostgreSQL: set data.postgres first";
        return Err(Failure::Usage(told.to_owned()));
    };
    let folder = target.folder.clone();
    // No server works on the folder, and none begins to.
    let _lock = FolderLock::acquire_for(&folder, "doorward move")?;
    let location = Location::Sqlite(folder.clone());
    let master_keys = target.master_keys.iter().map(crate::data::copied).collect::<Result<_, _>>()?;
    let source = Found { settings: target.settings.clone(), location, master_keys, folder: folder.clone() };
    if source.has_no_file() {
        return Err(Failure::NotDone(format!("{} does not exist. Nothing was moved", source.database())));
    }
    ensure_nothing_kept(&folder)?;
    let from = source.open_store().await?;
    let to = Store::open(&target.location).await?;
    let alone = to.begin_alone().await?;
    alone.ensure_no_others().await?;
    to.ensure_empty().await.map_err(|error| refused(error, &target))?;
    let bar = Bar::begin(output);
    let on_progress = bar.show();
    // A file without a name: whatever happens, nothing of it stays.
    let failed = |error| backup::failed_at(&folder, BackupError::Io(error));
    let file = tempfile::tempfile_in(&folder).map_err(failed)?;
    let copy = file.try_clone().map_err(failed)?;
    let rng = SystemRng::default();
    let new = NewBackup {
        created_at: SystemClock.now(),
        issuer: target.settings.issuer.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        master_keys: &source.master_keys,
        passphrase: None,
        rng: &rng,
    };
    let failed = |error| backup::failed_at(&folder, error);
    from.back_up(copy, &new, &on_progress).await.map_err(failed)?;
    let verified =
        Backup::open(file).and_then(|file| file.verify(&source.master_keys, &on_progress)).map_err(failed)?;
    let heading = verified.backup.heading.clone();
    // Nothing could be revoked meanwhile: it all stays.
    let restored =
        to.restore(&alone, verified, target.master_keys, Issued::Kept, belonging::audit(actor), &on_progress).await?;
    from.ensure_holds(heading.schema, &restored.contents, &on_progress).await?;
    drop(bar);
    from.close().await;
    to.close().await;
    belonging::end_new(&folder)?;
    let kept = set_aside(&folder)?;
    let mut told = backup::told(&heading, &restored.contents);
    told["kept"] = kept.display().to_string().into();
    output.print(&told, || {
        let tables: String =
            restored.contents.tables().map(|(name, rows)| format!("  {rows:>10}  {name}\n")).collect();
        format!(
            "{tables}\nPostgreSQL contains all {} rows. Every table was compared. The SQLite database is kept as {}: remove \
             it once the server runs.",
            restored.contents.rows(),
            kept.display()
        )
    })
}

/// Why the destination can't be filled.
fn refused(error: BackupError, target: &Found) -> Failure {
    match error {
        BackupError::Holds { table, rows } => Failure::NotDone(format!(
            "{} contains data ({rows} rows in {table}): use an empty database. Nothing was moved",
            target.database()
        )),
        error => error.into(),
    }
}

/// Refuses a folder with the database of an earlier move, which may be the only one that is whole. Also with a part of it:
/// SQLite would take that for one of the database that this move keeps.
fn ensure_nothing_kept(folder: &Path) -> Result<(), Failure> {
    let kept = ["", "-wal", "-shm"].map(|suffix| folder.join(format!("{DATABASE}.moved{suffix}")));
    match kept.iter().find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(Failure::NotDone(format!(
            "{} remains from an earlier move: rename or remove it. Nothing was moved",
            path.display()
        ))),
    }
}

/// Gives the database another name, so that nothing is written into it by mistake. Its log is there only if another
/// process still reads it.
fn set_aside(folder: &Path) -> Result<PathBuf, Failure> {
    let kept = format!("{DATABASE}.moved");
    for suffix in ["", "-wal"] {
        let (from, to) = (folder.join(format!("{DATABASE}{suffix}")), folder.join(format!("{kept}{suffix}")));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            renamed => renamed.map_err(|error| Failure::system(&from.display().to_string(), error))?,
        }
    }
    Ok(folder.join(kept))
}
