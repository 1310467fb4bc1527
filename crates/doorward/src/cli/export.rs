//! `doorward export`

use doorward_core::json::Value;
use doorward_server::{App, actor::Actor, manage::state};
use serde_json::json;

use crate::{failure::Failure, output::Output};

/// The comment above the state.
const HEAD: &str = "# APIs, clients, roles and settings of keys, for `doorward apply`. There are no secrets in it.\n\n";

pub(super) async fn run(app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let mut state = json!(state::export(app, actor).await?);
    if output.json {
        return output.print(&state, String::new);
    }
    remove_null(&mut state);
    if let Value::Object(kinds) = &mut state {
        kinds.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
    }
    let state = toml::to_string_pretty(&state).map_err(|error| Failure::System(format!("TOML: {error}")))?;
    crate::output::line((HEAD.to_owned() + &state).trim_end())
}

/// TOML has no null, which a client's public keys can have.
fn remove_null(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(remove_null),
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(remove_null);
        }
        _ => {}
    }
}
