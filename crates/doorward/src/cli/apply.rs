//! `doorward apply`

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use doorward_core::{
    desired_state::DesiredState,
    json::{Map, Value, parse_object},
    refusal::Mistake,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        ManageError,
        state::{self, ChangeView, How, MemberChange, Outcome, OutcomeState},
        uses,
    },
};
use serde_json::json;
use toml::de::{DeTable, DeValue};

use crate::{failure::Failure, output::Output};

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    /// The file, in TOML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete what the file does not name, of the kinds of things that it has
    #[arg(long)]
    prune: bool,
    /// Go on even if that ends what is in use
    #[arg(long)]
    confirm: bool,
    /// Leave out roles and settings of users, clients and keys that do not exist here
    #[arg(long)]
    skip_missing: bool,
    /// Exit with 4 instead of 0 if something changed, or would change
    #[arg(long)]
    detailed_exit_code: bool,
}

/// The largest file that is read.
const MAX_BYTES: u64 = 8 << 20;
/// With `--detailed-exit-code`: there are changes.
const CHANGES: u8 = 4;

pub(super) async fn run(args: ApplyArgs, app: &App, actor: &Actor, output: Output) -> Result<ExitCode, Failure> {
    let desired = read(app, &args.file)?;
    let how = How {
        is_confirmed: args.confirm,
        is_dry_run: args.dry_run,
        prunes: args.prune,
        skips_missing: args.skip_missing,
    };
    let text = desired.text;
    let outcome = state::apply(app, actor, &desired.state, how).await;
    let outcome = outcome.map_err(|error| placed(error, &args.file, text.as_deref()))?;
    for skipped in &outcome.skipped {
        crate::output::warn(&format!("left out: {}", crate::output::shown(skipped)));
    }
    let Outcome { changes, skipped, state } = &outcome;
    let is_applied = *state == OutcomeState::Applied;
    let printed =
        output.print(&json!({"changes": changes, "skipped": skipped, "applied": is_applied}), || in_words(&outcome));
    printed.map_err(|error| match error {
        // Nobody should think that nothing happened.
        error if is_applied && !matches!(error, Failure::ReaderGone) => {
            Failure::System(format!("the changes were applied, but {error}"))
        }
        error => error,
    })?;
    if *state == OutcomeState::Unconfirmed {
        let why = "nothing was changed: this ends what is in use. Use --confirm if that is meant";
        return Err(Failure::NotDone(why.to_owned()));
    }
    Ok(match args.detailed_exit_code && !changes.is_empty() {
        true => ExitCode::from(CHANGES),
        false => ExitCode::SUCCESS,
    })
}

struct Desired {
    state: DesiredState,
    /// The text, if it is TOML.
    text: Option<String>,
}

fn read(app: &App, file: &Path) -> Result<Desired, Failure> {
    let unreadable = |error| Failure::system(&file.display().to_string(), error);
    let mut text = String::new();
    let from: &mut dyn Read = match file.as_os_str() == "-" {
        true => &mut std::io::stdin(),
        false => &mut std::fs::File::open(file).map_err(unreadable)?,
    };
    from.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Failure::Usage(format!("{}: at most {MAX_BYTES} bytes", file.display())));
    }
    let malformed = |error: String| Failure::Usage(format!("{}: {}", file.display(), error.trim_end()));
    // No TOML begins like this.
    let (members, text): (Map<String, Value>, _) = match text.trim_start().starts_with('{') {
        true => (parse_object(text.as_bytes()).map_err(|error| malformed(error.to_string()))?, None),
        false => {
            let table: toml::Table = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
            let mut mistakes = Vec::new();
            find_not_finite("", &toml::Value::Table(table), &mut mistakes);
            if !mistakes.is_empty() {
                return Err(placed(ManageError::Mistakes(mistakes), file, Some(&text)));
            }
            (toml::from_str(&text).map_err(|error| malformed(error.to_string()))?, Some(text))
        }
    };
    match state::read(&app.settings, members) {
        Ok(state) => Ok(Desired { state, text }),
        Err(mistakes) => Err(placed(ManageError::Mistakes(mistakes), file, text.as_deref())),
    }
}

/// Finds the numbers that JSON can't have: as JSON they would be `null`, which is as if they were not there.
fn find_not_finite(pointer: &str, value: &toml::Value, found: &mut Vec<Mistake>) {
    match value {
        toml::Value::Float(number) if !number.is_finite() => {
            found.push(Mistake::in_place(pointer.to_owned(), "a finite number"));
        }
        toml::Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                find_not_finite(&format!("{pointer}/{index}"), element, found);
            }
        }
        toml::Value::Table(members) => {
            for (name, member) in members {
                find_not_finite(&format!("{pointer}/{name}"), member, found);
            }
        }
        _ => {}
    }
}

/// Mistakes with the file and, in TOML, the line.
fn placed(error: ManageError, file: &Path, text: Option<&str>) -> Failure {
    let ManageError::Mistakes(mistakes) = error else { return error.into() };
    let document = text.and_then(|text| Some((text, DeTable::parse(text).ok()?)));
    let place = |mistake: Mistake| {
        let line = document.as_ref().map(|(text, table)| line_of(text, table.get_ref(), &mistake.pointer));
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let pointer = format!("{}{line}: {}", file.display(), mistake.pointer.trim_start_matches('/'));
        format!("{pointer}: {}", mistake.detail)
    };
    Failure::Usage(mistakes.into_iter().map(place).collect::<Vec<_>>().join("\n"))
}

/// The line of the innermost thing on the way of a JSON pointer.
fn line_of(text: &str, table: &DeTable<'_>, pointer: &str) -> usize {
    let mut parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    let mut start = 0;
    let mut inner = parts.next().and_then(|name| {
        let (name, value) = table.get_key_value(name.as_str())?;
        start = name.span().start;
        Some(value)
    });
    while let Some(value) = inner {
        let Some(part) = parts.next() else { break };
        inner = match value.get_ref() {
            DeValue::Array(list) => part.parse().ok().and_then(|at: usize| list.get(at)).inspect(|value| {
                start = value.span().start;
            }),
            DeValue::Table(table) => table.get_key_value(part.as_str()).map(|(name, value)| {
                start = name.span().start;
                value
            }),
            _ => None,
        };
    }
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

fn in_words(outcome: &Outcome) -> String {
    let mut lines: Vec<String> = outcome.changes.iter().flat_map(lines_of).collect();
    let count = outcome.changes.len();
    lines.push(match (outcome.state, count) {
        (_, 0) => "Nothing to change.".to_owned(),
        (OutcomeState::Applied, 1) => "1 change applied.".to_owned(),
        (OutcomeState::Applied, _) => format!("{count} changes applied."),
        (_, 1) => "1 change; nothing was changed yet.".to_owned(),
        _ => format!("{count} changes; nothing was changed yet."),
    });
    for change in &outcome.changes {
        let Some(client) = &change.secret_to_rotate else { continue };
        let command = match change.kind {
            "api" => format!("api rotate-secret {}", change.name),
            _ => format!("client rotate-secret {client}"),
        };
        lines.push(format!("To get the secret of {client}: doorward {command}"));
    }
    lines.join("\n")
}

fn lines_of(change: &ChangeView) -> Vec<String> {
    let sign = match change.action {
        "create" | "grant" => '+',
        "delete" | "withdraw" => '-',
        _ => '~',
    };
    let (kind, name) = (change.kind, &change.name);
    let what = match (kind, &change.id) {
        ("api", _) | (_, None) => format!("{kind} {name}"),
        ("role", Some(id)) => format!("{kind} {name} {id}"),
        (_, Some(id)) if name.is_empty() => format!("{kind} {id}"),
        (_, Some(id)) => format!("{kind} {id} ({name})"),
    };
    let verb = match change.action {
        action @ ("enable" | "disable") => format!(" {action}"),
        _ => String::new(),
    };
    let ends = change.ends.as_ref().map(|ends| format!("  ends {}", uses::in_words(ends))).unwrap_or_default();
    match change.members.as_slice() {
        [] => vec![format!("{sign} {what}{verb}{ends}")],
        members => members.iter().map(|member| format!("{sign} {what} {}{ends}", difference(member))).collect(),
    }
}

fn difference(change: &MemberChange) -> String {
    let MemberChange { member, from, to } = change;
    let list = |value: &Value| match value {
        Value::Array(list) => Some(list.clone()),
        Value::Null => Some(Vec::new()),
        _ => None,
    };
    match (list(from), list(to)) {
        (Some(before), Some(after)) => {
            let lost = before.iter().filter(|value| !after.contains(value)).map(|value| format!("- {}", short(value)));
            let new = after.iter().filter(|value| !before.contains(value)).map(|value| format!("+ {}", short(value)));
            match lost.chain(new).collect::<Vec<_>>() {
                none if none.is_empty() => format!("{member}: another order"),
                differences => format!("{member}: {}", differences.join(", ")),
            }
        }
        _ => format!("{member}: {} → {}", short(from), short(to)),
    }
}

/// A value in a line.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(members) => match members.get("scope") {
            Some(Value::String(scope)) => {
                let description = members.get("description").and_then(Value::as_str).unwrap_or_default();
                format!("{scope} ({description})")
            }
            _ => value.to_string(),
        },
        value => value.to_string(),
    }
}
