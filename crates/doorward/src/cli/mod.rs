//! The command line: one module a noun. Each verb reads its arguments, calls a function of `doorward-server`, prints.

mod apis;
mod apply;
mod audit;
mod backup;
mod client_update;
mod clients;
mod clock;
mod config;
mod confirmation;
mod durations;
mod explain;
mod export;
mod grants;
mod health;
mod jwks;
mod key_limits;
mod keys;
mod keys_where;
mod legacy;
mod log_line;
mod man_pages;
mod migrate;
mod moment;
mod moving;
mod owner;
mod progress;
mod reference;
mod restore;
mod roles;
mod scan;
mod sessions;
mod sweep;
mod tokens;
mod users;
mod webhooks;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
    parser::ValueSource,
};
use doorward_server::{
    actor::Actor,
    manage::{ManageError, page::Page},
};

use self::backup::BackupArgs;
use crate::{
    data::Place,
    demo,
    failure::{EXIT_CODES, Failure},
    init,
    os_user::os_user,
    output::Output,
    serve,
};

/// API authentication in one binary: API keys, tokens, OAuth 2.1 and OpenID Connect.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Args, Debug)]
struct Global {
    /// Use this configuration; the server may be running
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DOORWARD_CONFIG",
        hide_env_values = true,
        help_heading = "Where"
    )]
    config: Option<PathBuf>,
    /// Use this data folder, for example a demo's, with the configuration its server last used
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "DOORWARD_DATA",
        hide_env_values = true,
        help_heading = "Where"
    )]
    data: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Which of the two places the command line itself names, rather than the environment.
    #[arg(skip)]
    named: Named,
}

#[derive(Debug, Default)]
struct Named {
    config: bool,
    data: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a server and a protected sample API, and print commands to try
    Demo(demo::DemoArgs),
    /// Run the server
    Serve,
    /// Set up a new server: configuration, data folder, master key, signing keys
    Init(InitArgs),
    /// Check whether the running server can serve requests
    Health(health::HealthArgs),
    /// Search files, Git history or standard input for API keys, tokens and client secrets
    Scan(scan::ScanArgs),
    #[command(flatten)]
    OnStore(StoreCommand),
    /// Check the configuration, or list its keys
    #[command(subcommand)]
    Config(config::Verb),
    #[command(flatten)]
    OnServer(ServerCommand),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write a man page for each command into a folder
    ManPages {
        /// The folder; created if it does not exist
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the reference of all commands in Markdown
    #[command(hide = true)]
    Commands,
    /// Print the reference of all denials in Markdown
    #[command(hide = true)]
    Denials,
    /// Print the description of the management API (OpenAPI 3.1)
    #[command(hide = true)]
    Openapi,
}

/// Commands that work on the store.
#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Bring the database's schema up to this version
    Migrate(migrate::MigrateArgs),
    /// Back up the whole database to a file; the server may be running
    Backup(backup::BackupArgs),
    /// Restore a backup into an empty database, and end what may have been revoked since
    Restore(restore::RestoreArgs),
    /// Move the SQLite database to the PostgreSQL database in the configuration
    Move,
}

/// Commands that do what the server does, on its store.
#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Manage API keys
    #[command(subcommand)]
    Key(keys::Verb),
    /// Manage OAuth clients
    #[command(subcommand)]
    Client(clients::Verb),
    /// Manage users
    #[command(subcommand)]
    User(users::Verb),
    /// See who is signed in, and sign users out
    #[command(subcommand)]
    Session(sessions::Verb),
    /// Manage the roles of users, clients and keys
    #[command(subcommand)]
    Role(roles::Verb),
    /// Manage APIs, which accept keys and tokens
    #[command(subcommand)]
    Api(apis::Verb),
    /// Manage grants: what users allowed clients
    #[command(subcommand)]
    Grant(grants::Verb),
    /// Manage webhooks: endpoints that events are sent to
    #[command(subcommand)]
    Webhook(webhooks::Verb),
    /// Inspect tokens
    #[command(subcommand)]
    Token(tokens::Verb),
    /// Manage signing keys
    #[command(subcommand)]
    Jwks(jwks::Verb),
    /// Create, change and delete APIs, clients and roles as a file says, all or nothing
    Apply(apply::ApplyArgs),
    /// Print APIs, clients, roles and settings of keys as a file for apply
    Export,
    /// Explain why a request was refused
    Explain(explain::ExplainArgs),
    /// Show the audit log
    #[command(subcommand)]
    Audit(audit::Verb),
    /// See which keys still come in URLs
    #[command(subcommand)]
    Legacy(legacy::Verb),
    /// Delete expired data now; a running server does this continuously
    Sweep(sweep::SweepArgs),
}

#[derive(Args, Debug)]
struct InitArgs {
    /// Write doorward.toml and the folder data into this folder [default: the current one]; --config and --data name
    /// other places
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The URL at which clients and users reach the server
    #[arg(long, value_name = "URL", default_value = "http://localhost:8400")]
    issuer: String,
    /// Succeed without changes if the configuration exists already
    #[arg(long)]
    if_missing: bool,
}

impl Cli {
    /// Reads the process's command line. A place that it names overrides one in the environment.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        for name in ["DOORWARD_CONFIG", "DOORWARD_DATA"] {
            if std::env::var_os(name).is_some_and(|value| value.is_empty()) {
                let empty = format!("{name} is empty: unset it, or set it to a path");
                return Err(Self::command().error(ErrorKind::InvalidValue, empty));
            }
        }
        let matches = Self::command().try_get_matches()?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))?;
        let is_named = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let named = Named { config: is_named("config"), data: is_named("data") };
        match (named.config, named.data) {
            (true, true) if !matches!(cli.command, Command::Init(_)) => {
                let both = "the argument '--data <DIR>' cannot be used with '--config <FILE>'";
                return Err(Self::command().error(ErrorKind::ArgumentConflict, both));
            }
            (true, false) => cli.global.data = None,
            (false, true) => cli.global.config = None,
            (true, true) | (false, false) => {}
        }
        cli.global.named = named;
        Ok(cli)
    }

    pub(crate) fn output(&self) -> Output {
        Output { json: self.global.json }
    }
}

/// Says why the command line can't be read, or gives the help or the version that it asks for.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    // Values of options may stand behind `--`; a flag can't.
    let asks_for_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    if !asks_for_json || !error.use_stderr() {
        let printed = error.print();
        return match (error.use_stderr(), printed) {
            // A closed standard error leaves nobody to tell.
            (true, _) => ExitCode::from(2),
            (false, Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(3),
            (false, _) => ExitCode::SUCCESS,
        };
    }
    let told = match error.kind() {
        // Its text is the whole page of help.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing; --help lists them".to_owned(),
        _ => error.to_string(),
    };
    let told = told.strip_prefix("error: ").unwrap_or(&told);
    Failure::Usage(told.to_owned()).report(Output { json: true })
}

/// Reads a value of a closed set by its word.
fn word<T: Copy + Send + Sync + 'static>(
    values: &'static [T],
    word_of: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.iter().map(|value| word_of(*value))).map(move |word| {
        let found = values.iter().find(|value| word_of(**value) == word);
        *found.expect("clap takes no other word than those of the values")
    })
}

/// Reads a list to its end, page by page: `page` gives what comes after a place, or the first ones.
async fn every<V, P>(
    page: impl AsyncFn(Option<P>, usize) -> Result<Page<V, P>, ManageError>,
) -> Result<Vec<V>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Page { items, next } = page(after, 500).await?;
        all.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

/// The configuration that is worked on where none is named.
const CONFIG: &str = "doorward.toml";

pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let output = cli.output();
    let Cli { command, global } = cli;
    let place = || {
        if global.config.is_some() && global.data.is_some() {
            let both = "DOORWARD_CONFIG and DOORWARD_DATA are both set: unset one, or use --config FILE or --data DIR";
            return Err(Failure::Usage(both.to_owned()));
        }
        let config = global.config.clone().map(Place::Config).or(global.data.clone().map(Place::Data));
        let here = || Some(PathBuf::from(CONFIG)).filter(|path| path.exists()).map(Place::Config);
        let where_to =
            || Failure::Usage(format!("use --config FILE or --data DIR: there is no {CONFIG} in this folder"));
        config.or_else(here).ok_or_else(where_to)
    };
    let as_owner = || {
        let place = place()?;
        owner::become_owner(&place)?;
        Ok::<_, Failure>(place)
    };
    match command {
        Command::Demo(args) => {
            if global.config.is_some() {
                let instead = "demo takes no configuration (--config, DOORWARD_CONFIG): use `doorward serve`";
                return Err(Failure::Usage(instead.to_owned()));
            }
            demo::run(args, global.data, output)?;
        }
        Command::Serve => {
            if global.config.is_none() && global.data.is_some() {
                let instead = "serve needs --config FILE. For a demo's folder, use `doorward demo --data DIR`";
                return Err(Failure::Usage(instead.to_owned()));
            }
            let config = global.config.unwrap_or_else(|| PathBuf::from(CONFIG));
            serve::run(&config)?;
        }
        Command::Init(args) => {
            // The variables may be set for the commands that come after: they are not asked.
            let config = global.config.filter(|_| global.named.config);
            let data = global.data.filter(|_| global.named.data);
            if args.dir.is_some() && config.is_some() {
                let instead = "init takes --dir DIR or --config FILE, not both";
                return Err(Failure::Usage(instead.to_owned()));
            }
            if let Some(data) = &data {
                owner::become_owner_of(data)?;
            }
            let new = init::New::at(args.dir.as_deref().unwrap_or(Path::new(".")), config, data)?;
            init::run(&new, &args.issuer, args.if_missing, output)?;
        }
        Command::Scan(args) => return scan::run(&args, output),
        Command::Health(args) => return health::run(&args, &place()?, output),
        Command::Config(verb) => {
            if global.named.data {
                let instead = "config takes no --data: give the configuration with --config FILE. A demo's folder has \
                               none";
                return Err(Failure::Usage(instead.to_owned()));
            }
            let path = global.config.unwrap_or_else(|| PathBuf::from(CONFIG));
            return config::run(verb, &path, output);
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "doorward", &mut script);
            crate::output::line(String::from_utf8_lossy(&script).trim_end())?;
        }
        Command::Commands => crate::output::line(&reference::page())?,
        Command::Openapi => crate::output::line(&format!("{:#}", doorward_server::description()))?,
        Command::Denials => crate::output::line(&explain::page_of_denials())?,
        Command::ManPages { folder } => man_pages::run(&folder)?,
        Command::OnServer(ServerCommand::Token(tokens::Verb::Decode(args))) => tokens::decode(args, output)?,
        Command::OnServer(ServerCommand::Explain(args)) if args.log.is_some() => explain::from_log(args, output)?,
        Command::OnStore(StoreCommand::Backup(BackupArgs { verb: Some(backup::Verb::Verify(args)), .. })) => {
            backup::verify(args, place, output)?;
        }
        Command::OnStore(command) => {
            let place = as_owner()?;
            serve::runtime(1)?.block_on(run_on_store(command, &place, output))?;
        }
        Command::OnServer(ServerCommand::Apply(args)) => {
            let place = as_owner()?;
            return serve::runtime(1)?.block_on(async {
                apply::run(args, &*place.open().await?, &Actor::command_line(&os_user()), output).await
            });
        }
        Command::OnServer(command) => {
            let place = as_owner()?;
            serve::runtime(1)?.block_on(run_on_server(command, &place, output))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_on_store(command: StoreCommand, place: &Place, output: Output) -> Result<(), Failure> {
    let actor = Actor::command_line(&os_user());
    match command {
        StoreCommand::Backup(args) => backup::run(args, place, &actor, output).await,
        StoreCommand::Migrate(args) => migrate::run(args, place, &actor, output).await,
        StoreCommand::Move => moving::run(place, &actor, output).await,
        StoreCommand::Restore(args) => restore::run(args, place, &actor, output).await,
    }
}

async fn run_on_server(command: ServerCommand, place: &Place, output: Output) -> Result<(), Failure> {
    let actor = Actor::command_line(&os_user());
    let app = &*place.open().await?;
    match command {
        ServerCommand::Api(verb) => apis::run(verb, app, &actor, output).await,
        // It has an exit code of its own.
        ServerCommand::Apply(args) => apply::run(args, app, &actor, output).await.map(drop),
        ServerCommand::Audit(verb) => audit::run(verb, app, output).await,
        ServerCommand::Client(verb) => clients::run(verb, app, &actor, output).await,
        ServerCommand::Explain(args) => explain::run(args, app, output).await,
        ServerCommand::Export => export::run(app, &actor, output).await,
        ServerCommand::Grant(verb) => grants::run(verb, app, &actor, output).await,
        ServerCommand::Jwks(verb) => jwks::run(verb, app, &actor, output).await,
        ServerCommand::Key(verb) => keys::run(verb, app, &actor, output).await,
        ServerCommand::Legacy(verb) => legacy::run(verb, app, &actor, output).await,
        ServerCommand::Role(verb) => roles::run(verb, app, &actor, output).await,
        ServerCommand::Session(verb) => sessions::run(verb, app, &actor, output).await,
        ServerCommand::Sweep(args) => sweep::run(args, app, output).await,
        ServerCommand::Token(verb) => tokens::run(verb, app, output).await,
        ServerCommand::User(verb) => users::run(verb, app, &actor, output).await,
        ServerCommand::Webhook(verb) => webhooks::run(verb, app, &actor, output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, every};

    #[test]
    fn list_is_read_to_its_end_page_by_page() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for items in [0, 1, 499, 500, 501, 1_000] {
            let page = async |after: Option<usize>, limit: usize| {
                let first = after.unwrap_or(0);
                let end = items.min(first + limit);
                Ok(Page { items: (first..end).collect(), next: (end < items).then_some(end) })
            };
            assert_eq!(runtime.block_on(every(page)).unwrap(), (0..items).collect::<Vec<_>>());
        }
    }
}
