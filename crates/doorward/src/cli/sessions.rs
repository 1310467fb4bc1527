//! `doorward session …`

use clap::{Args, Subcommand};
use doorward_core::id::SessionId;
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        sessions::{self, SessionView},
        users,
    },
};
use doorward_store::sessions::SessionFilter;
use serde_json::json;

use crate::{
    failure::Failure,
    output::{Output, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List live sessions in the order in which they began
    List(ListArgs),
    /// End a session, or all sessions of a user
    End(EndArgs),
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// List only sessions of this user: a name or an id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// List only sessions that began after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Maximum number of sessions
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct EndArgs {
    /// The session's id
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    session: Option<String>,
    /// End all sessions of this user, a name or an id, and forget the browsers that signed in before
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::List(args) => list(args, app, actor, output).await,
        Verb::End(EndArgs { user: Some(user), .. }) => {
            let ended = sessions::end_all(app, actor, &user).await?;
            output.print(&json!({"user": user, "ended": ended}), || match ended {
                1 => format!("1 session of {user} was ended."),
                ended => format!("{ended} sessions of {user} were ended."),
            })
        }
        Verb::End(EndArgs { session, .. }) => {
            let session = session.unwrap_or_default();
            sessions::end(app, actor, &session).await?;
            output.print(&json!({"id": session, "ended": 1}), || format!("{session} was ended."))
        }
    }
}

async fn list(args: ListArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let after = args.after.map(|id| SessionId::parse(&id).map_err(|error| Failure::Usage(format!("--after: {error}"))));
    let user_id = match &args.user {
        None => None,
        Some(user) => Some(users::show(app, actor, user).await?.id),
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let found = sessions::list(app, actor, SessionFilter { user_id }, after.transpose()?, limit).await?.items;
    output.print(&found, || {
        let row = |session: &SessionView| {
            let (signed_in, last_seen) = (time(session.auth_time), time(session.last_seen_at));
            let (id, user_id) = (session.id.to_string(), session.user_id.to_string());
            [id, user_id, signed_in, last_seen, session.address.clone(), session.user_agent.clone()]
        };
        table(["ID", "USER_ID", "SIGNED IN", "LAST SEEN", "ADDRESS", "BROWSER"], found.iter().map(row))
    })
}
