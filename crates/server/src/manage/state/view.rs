//! Changes as they are shown.

use std::collections::BTreeSet;

use doorward_core::{id::ClientId, json::Value};
use doorward_store::uses::Uses;
use serde::Serialize;

/// A change as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeView {
    /// `create`, `update`, `delete`, `enable`, `disable`, `grant` or `withdraw`.
    pub action: &'static str,
    /// `api`, `client`, `key` or `role`.
    pub kind: &'static str,
    /// The name of the API, client or key; of a role, `API:ROLE`.
    pub name: String,
    /// The id; of a role, who has it. Absent if it is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The members that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberChange>,
    /// What ends, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Uses>,
    /// The client whose secret nobody knows: it must be rotated to get one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_to_rotate: Option<ClientId>,
    /// Whether the id was drawn for this change.
    #[serde(skip)]
    pub(super) is_drawn: bool,
}

/// A member before and after a change. Null is absent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct MemberChange {
    /// The name of the member.
    pub member: String,
    /// The value before.
    pub from: Value,
    /// The value from now on.
    pub to: Value,
}

impl ChangeView {
    pub(super) fn new(action: &'static str, kind: &'static str, name: impl ToString, id: impl ToString) -> Self {
        let (name, id) = (name.to_string(), Some(id.to_string()));
        Self { action, kind, name, id, members: Vec::new(), ends: None, secret_to_rotate: None, is_drawn: false }
    }

    /// Ids that were drawn for a change that is not made are nothing to rely on.
    pub(super) fn forget_drawn_ids(&mut self) {
        self.secret_to_rotate = None;
        if self.is_drawn {
            self.id = None;
        }
    }
}

/// The members in which two views of a thing differ.
pub(super) fn differences(from: &impl Serialize, to: &impl Serialize) -> Vec<MemberChange> {
    let [from, to] = [serde_json::to_value(from), serde_json::to_value(to)].map(Result::unwrap_or_default);
    let names = |value: &Value| value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let (mut all, more): (BTreeSet<String>, BTreeSet<String>) = (names(&from), names(&to));
    all.extend(more);
    let of = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    let change = |member: String| MemberChange { from: of(&from, &member), to: of(&to, &member), member };
    all.into_iter().map(change).filter(|change| change.from != change.to).collect()
}
