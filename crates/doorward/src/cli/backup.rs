//! `doorward backup …`: one file with everything that the database holds, made beside the running server.

use std::{
    fs::{self, File},
    io::{BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use doorward_core::{clock::Clock, digest::MasterKey, secret::SecretString};
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::actor::Actor;
use doorward_store::{
    Store,
    backup::{Backup, BackupError, Contents, Heading, NewBackup, NoteBackup},
};
use serde_json::{Value, json};

use super::progress::Bar;
use crate::{
    belonging,
    data::Place,
    failure::Failure,
    output::{Output, fields, time},
};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
    /// The file to write; must not exist
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Include the master key, encrypted with a passphrase from --passphrase-file or a prompt
    #[arg(long)]
    include_master_key: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Check that a backup is complete and unaltered
    Verify(VerifyArgs),
}

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Args, Debug)]
pub(super) struct PassphraseArgs {
    /// A file whose first line is the passphrase; - for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(super) async fn run(args: BackupArgs, place: &Place, actor: &Actor, output: Output) -> Result<(), Failure> {
    let file = args.file.ok_or_else(|| Failure::Usage("give the file to write".to_owned()))?;
    let passphrase = args.include_master_key.then(|| args.passphrase.new_one()).transpose()?;
    if passphrase.is_none() && args.passphrase.is_named() {
        return Err(Failure::Usage("a passphrase needs --include-master-key".to_owned()));
    }
    create(&file, passphrase, place, actor, output).await
}

async fn create(
    path: &Path,
    passphrase: Option<SecretString>,
    place: &Place,
    actor: &Actor,
    output: Output,
) -> Result<(), Failure> {
    let exists = || Failure::NotDone(format!("{} exists: choose a new file. Nothing was written", path.display()));
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let found = place.find()?;
    let store = found.open_store().await?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Failure::system(&path.display().to_string(), error);
    // Mode 0600. Until it is whole it has another name, and it never takes the place of a file.
    let unfinished = tempfile::Builder::new().prefix(".doorward-backup-").suffix(".unfinished").tempfile_in(folder);
    let unfinished = unfinished.map_err(failed)?;
    let rng = SystemRng::default();
    let new = NewBackup {
        created_at: SystemClock.now(),
        issuer: found.settings.issuer.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        master_keys: &found.master_keys,
        passphrase: passphrase.as_ref(),
        rng: &rng,
    };
    let file = unfinished.as_file().try_clone().map_err(failed)?;
    let bar = Bar::begin(output);
    let (heading, contents) = store.back_up(file, &new, &bar.show()).await.map_err(|error| failed_at(path, error))?;
    drop(bar);
    unfinished.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(),
        _ => failed(error.error),
    })?;
    // The new name itself must survive a crash.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    // Print before the backup is noted: someone who does not learn of a backup makes it again, under the same name.
    let printed = output.print(&told(&heading, &contents), || {
        let file = path.display();
        let key = match &heading.enclosed {
            Some(_) => format!(
                "It includes the master key, under the passphrase: keep that apart.\nVerify it where it is kept: doorward \
                 backup verify {file}"
            ),
            None => format!(
                "It opens with the master key {} only, which is not in it: keep a copy of that apart.\nVerify it where a \
                 server has that key: doorward backup verify {file} {place}",
                heading.master_key
            ),
        };
        format!(
            "{file} holds {} rows, of {}. {key}",
            contents.rows(),
            time(heading.created_at)
        )
    });
    match &printed {
        Ok(()) => note(&store, &heading, &contents, actor).await,
        Err(_) => fs::remove_file(path).map_err(failed)?,
    }
    store.close().await;
    printed.map_err(|failure| Failure::System(format!("{failure}. The backup was removed again")))
}

/// The backup is whole whether or not this is written: the database may be one that nobody can write to.
async fn note(store: &Store, heading: &Heading, contents: &Contents, actor: &Actor) {
    let (id, rows) = (heading.id.clone(), contents.rows());
    if let Err(error) = store.write(NoteBackup { id, rows, audit: belonging::audit(actor) }).await {
        tracing::warn!(%error, "this backup could not be recorded in the audit log");
    }
}

/// Reads a backup to its end. It is opened by the master key of the place, if there is one that has it, or else by the one
/// that the backup includes.
pub(super) fn verify(
    args: VerifyArgs,
    place: impl FnOnce() -> Result<Place, Failure>,
    output: Output,
) -> Result<(), Failure> {
    let backup = open(&args.file)?;
    let of_place = || Ok::<_, Failure>(place()?.target(&backup.heading.issuer)?.found.master_keys);
    let is_needed = |key: &MasterKey| key.id() == backup.heading.master_key;
    let master_keys = match backup.heading.enclosed.is_some() {
        false => of_place()?,
        true if args.passphrase.is_named() => backup.enclosed_keys(&args.passphrase.known_one()?)?,
        true => match of_place() {
            Ok(keys) if keys.iter().any(is_needed) => keys,
            // A backup that includes its key needs no server beside it.
            Ok(_) | Err(_) => backup.enclosed_keys(&args.passphrase.known_one()?)?,
        },
    };
    let bar = Bar::begin(output);
    let verified = backup.verify(&master_keys, &bar.show()).map_err(|error| failed_at(&args.file, error))?;
    drop(bar);
    let (heading, contents) = (&verified.backup.heading, &verified.contents);
    output.print(&told(heading, contents), || {
        let tables: String = contents.tables().map(|(name, rows)| format!("  {rows:>10}  {name}\n")).collect();
        let about = fields(&[
            ("backup", heading.id.clone()),
            ("made", time(heading.created_at)),
            ("server", heading.issuer.clone()),
            ("from", format!("{}, schema {}, version {}", heading.engine, heading.schema, heading.program)),
            (
                "master key",
                format!("{}{}", heading.master_key, if heading.enclosed.is_some() { ", included" } else { "" }),
            ),
        ]);
        format!("{about}\n{tables}\nThe backup is complete: {} rows.", contents.rows())
    })
}

/// Opens a backup and reads its heading.
pub(super) fn open(path: &Path) -> Result<Backup, Failure> {
    let file = File::open(path).map_err(|error| Failure::system(&path.display().to_string(), error))?;
    Backup::open(file).map_err(|error| failed_at(path, error))
}

/// A failure about a backup, with the file or folder that could not be read or written.
pub(super) fn failed_at(path: &Path, error: BackupError) -> Failure {
    match error {
        BackupError::Io(error) => Failure::system(&path.display().to_string(), error),
        error => error.into(),
    }
}

/// What a backup is, for programs.
pub(super) fn told(heading: &Heading, contents: &Contents) -> Value {
    let tables: serde_json::Map<_, _> = contents.tables().map(|(name, rows)| (name.to_owned(), rows.into())).collect();
    json!({
        "id": heading.id,
        "created_at": time(heading.created_at),
        "issuer": heading.issuer,
        "schema": heading.schema,
        "engine": heading.engine,
        "version": heading.program,
        "master_key": heading.master_key,
        "includes_master_key": heading.enclosed.is_some(),
        "rows": contents.rows(),
        "tables": tables,
    })
}

impl PassphraseArgs {
    /// Whether one was named.
    pub(super) fn is_named(&self) -> bool {
        self.passphrase_file.is_some()
    }

    /// The passphrase of a backup that exists.
    pub(super) fn known_one(&self) -> Result<SecretString, Failure> {
        match &self.passphrase_file {
            Some(path) => first_line(path),
            None => ask("Passphrase of the backup: "),
        }
    }

    /// A passphrase for a new backup. Never an argument: those are seen by everybody on the machine.
    fn new_one(&self) -> Result<SecretString, Failure> {
        use doorward_core::secret::ExposeSecret;
        let passphrase = match &self.passphrase_file {
            Some(path) => first_line(path)?,
            None => {
                let (first, second) = (ask("Passphrase: ")?, ask("Repeat it: ")?);
                if first.expose_secret() != second.expose_secret() {
                    return Err(Failure::Usage("the two passphrases differ".to_owned()));
                }
                first
            }
        };
        if passphrase.expose_secret().chars().count() < SHORTEST_PASSPHRASE {
            let told = format!("the passphrase must have at least {SHORTEST_PASSPHRASE} characters");
            return Err(Failure::Usage(told));
        }
        Ok(passphrase)
    }
}

fn ask(prompt: &str) -> Result<SecretString, Failure> {
    if !std::io::stdin().is_terminal() {
        let told = "give the passphrase's file: --passphrase-file FILE, or - for standard input".to_owned();
        return Err(Failure::Usage(told));
    }
    let typed = rpassword::prompt_password(prompt);
    typed.map(SecretString::from).map_err(|error| Failure::system("reading the passphrase", error))
}

fn first_line(path: &Path) -> Result<SecretString, Failure> {
    let failed = |error| Failure::system(&format!("--passphrase-file {}", path.display()), error);
    let text = if path == Path::new("-") {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        line
    } else {
        fs::read_to_string(path).map_err(failed)?
    };
    Ok(text.lines().next().unwrap_or_default().into())
}

/// It protects everything, from somebody who can guess for years.
const SHORTEST_PASSPHRASE: usize = 12;

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => Self::Store(error),
            BackupError::Io(error) => Self::System(error.to_string()),
            BackupError::Fault(_) => Self::System(error.to_string()),
            refused => Self::NotDone(refused.to_string()),
        }
    }
}
