//! `doorward user …`

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use doorward_core::{id::UserId, secret::SecretString, user::UserMetadata};
use doorward_server::{
    App,
    actor::Actor,
    manage::users::{self, UserView},
};
use doorward_store::users::UserFilter;
use serde_json::json;

use super::confirmation::{self, Confirmation, Keys};
use crate::{
    failure::Failure,
    output::{Output, fields, table, time, time_or},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create a user; prompts for the password, or reads it from standard input
    Create(CreateArgs),
    /// List users in order of creation
    List(ListArgs),
    /// Show a user
    Show(Name),
    /// Change what is registered of a user
    Update(UpdateArgs),
    /// Disable a user; end all sessions and grants
    Disable(DisableArgs),
    /// Enable a disabled user again
    Enable(Name),
    /// Delete a user; end all sessions, grants and the user's own keys
    Delete(EndArgs),
    /// Set a user's password; ends all sessions and clears failed attempts
    SetPassword(Name),
    /// Mark a user's email address as verified; apps see this
    VerifyEmail(Name),
}

#[derive(Args, Debug)]
pub(super) struct Name {
    /// The user's name or id
    user: String,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// List only disabled users; `--disabled=false` lists the others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    disabled: Option<bool>,
    /// List only the user with this name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// List only users created after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Maximum number of users
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Name to sign in with
    username: String,
    /// Full name
    #[arg(long)]
    name: Option<String>,
    /// Email address
    #[arg(long)]
    email: Option<String>,
    /// Mark the email address as verified; apps see this
    #[arg(long, requires = "email")]
    email_verified: bool,
}

#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    /// The user's name or id
    user: String,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Name to sign in with
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Full name; an empty one removes it
    #[arg(long)]
    name: Option<String>,
    /// Email address, not verified until you say so; an empty one removes it
    #[arg(long)]
    email: Option<String>,
    /// Mark the email address as verified, or as not verified; apps see this
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    email_verified: Option<bool>,
}

impl Changes {
    fn applied_to(&self, user: &UserView) -> UserMetadata {
        let or = |given: &Option<String>, before: &Option<String>| match given {
            None => before.clone(),
            Some(given) => Some(given.clone()).filter(|given| !given.is_empty()),
        };
        let before = &user.metadata;
        UserMetadata {
            username: self.username.clone().unwrap_or_else(|| before.username.clone()),
            name: or(&self.name, &before.name),
            email: or(&self.email, &before.email),
            email_verified: self.email_verified.unwrap_or(before.email_verified),
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct EndArgs {
    /// The user's name or id
    user: String,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Args, Debug)]
pub(super) struct DisableArgs {
    /// The user's name or id
    user: String,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let done =
        |word: &str, user: &str| output.print(&json!({"user": user, word: true}), || format!("{user} is {word}."));
    match verb {
        Verb::Create(CreateArgs { username, name, email, email_verified }) => {
            let metadata = UserMetadata { username, name, email, email_verified };
            let user = users::create(app, actor, metadata, password()?).await?;
            output.print(&user, || user.id.to_string())?;
        }
        Verb::List(args) => {
            let after =
                args.after.map(|id| UserId::parse(&id).map_err(|error| Failure::Usage(format!("--after: {error}"))));
            let filter = UserFilter { disabled: args.disabled, username: args.username };
            let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
            let users = users::list(app, actor, filter, after.transpose()?, limit).await?.items;
            output.print(&users, || {
                let row = |user: &UserView| {
                    let state = if user.disabled_at.is_some() { "disabled" } else { "" };
                    [
                        user.metadata.username.clone(),
                        user.metadata.name.clone().unwrap_or_default(),
                        user.id.to_string(),
                        state.to_owned(),
                    ]
                };
                table(["USERNAME", "NAME", "ID", ""], users.iter().map(row))
            })?;
        }
        Verb::Show(Name { user }) => {
            let user = users::show(app, actor, &user).await?;
            output.print(&user, || describe(&user))?;
        }
        Verb::Update(UpdateArgs { user, changes }) => {
            let edit = |user: &UserView| Ok(changes.applied_to(user));
            let user = users::update(app, actor, &user, changes.email_verified.is_some(), edit).await?;
            output.print(&user, || describe(&user))?;
        }
        Verb::Disable(DisableArgs { user, keys, confirmation: Confirmation { dry_run: true, .. } }) => {
            let would = users::disabling(app, actor, &user, &keys.departure()).await?;
            confirmation::print_disabling("user", &user, &would, output)?;
        }
        Verb::Disable(DisableArgs { user, keys, confirmation }) => {
            let (departure, confirm) = (keys.departure(), confirmation.confirm);
            users::disable_with_keys(app, actor, &user, &departure, confirm, |_| Ok(())).await?;
            done("disabled", &user)?;
        }
        Verb::Enable(Name { user }) => {
            users::enable(app, actor, &user, |_| Ok(())).await?;
            done("enabled", &user)?;
        }
        Verb::Delete(EndArgs { user, confirmation: Confirmation { dry_run: true, .. } }) => {
            confirmation::print("user", &user, &users::ends_of_deletion(app, actor, &user).await?, output)?;
        }
        Verb::Delete(EndArgs { user, confirmation }) => {
            users::delete(app, actor, &user, confirmation.confirm, |_| Ok(())).await?;
            done("deleted", &user)?;
        }
        Verb::SetPassword(Name { user }) => {
            users::show(app, actor, &user).await?;
            users::set_password(app, actor, &user, password()?, |_| Ok(())).await?;
            output.print(&json!({"user": user, "password_set": true}), || {
                format!("{user} has a new password. All sessions were ended.")
            })?;
        }
        Verb::VerifyEmail(Name { user }) => {
            users::verify_email(app, actor, &user).await?;
            output.print(&json!({"user": user, "email_verified": true}), || {
                format!("The email address of {user} is now verified. Apps see this.")
            })?;
        }
    }
    Ok(())
}

fn describe(user: &UserView) -> String {
    fields(&[
        ("username", user.metadata.username.clone()),
        ("id", user.id.to_string()),
        ("name", user.metadata.name.clone().unwrap_or_default()),
        ("email", email(user)),
        ("roles", user.roles.as_deref().unwrap_or_default().join(" ")),
        ("created", time(user.created_at)),
        ("disabled", time_or(user.disabled_at, "")),
    ])
}

fn email(user: &UserView) -> String {
    match &user.metadata.email {
        None => String::new(),
        Some(email) if user.metadata.email_verified => format!("{email}, verified"),
        Some(email) => format!("{email}, not verified"),
    }
}

/// A password: typed twice at a terminal, else the first line of standard input. Never an argument: those are seen by
/// everybody on the machine.
fn password() -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut text = String::new();
        stdin.lock().read_line(&mut text).map_err(|error| Failure::system("reading the password", error))?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(text.strip_suffix('\r').unwrap_or(text).into());
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| Failure::system("reading the password", error))
    };
    let (first, second) = (ask("Password: ")?, ask("Repeat it: ")?);
    if first != second {
        return Err(Failure::Usage("the two passwords differ".to_owned()));
    }
    Ok(first.into())
}
