//! What webhooks report of keys.

use doorward_core::{holder::Owner, id::KeyId, webhook_event::EventType};

use super::{FindKey, KeyRecord};
use crate::{
    audit::AuditContext,
    tx::{Operation, Tx, TxError},
    webhooks::{Event, enqueue},
};

/// The event of an operation on a key. Its `data` says which key it is, so that a receiver need not ask.
pub(super) fn event(key: &KeyRecord, audit: &AuditContext, event_type: EventType) -> Event {
    let owner = key.owner.as_ref().map(Owner::as_str);
    Event::new(audit, event_type, key.id.as_str())
        .belonging(&key.metadata.apis, owner)
        .with("key_id", key.id.as_str())
        .with("hint", key.hint.as_str())
        .with("name", key.metadata.name.as_str())
        .with("owner", owner)
}

/// Reports what happened to the key with this id, in the transaction of the change.
pub(super) async fn report(
    tx: &mut impl Tx,
    id: &KeyId,
    audit: &AuditContext,
    event_type: EventType,
) -> Result<(), TxError> {
    match (FindKey { id: id.clone() }).run(tx).await? {
        Some(key) => enqueue(tx, &event(&key, audit, event_type)).await,
        None => Ok(()),
    }
}
