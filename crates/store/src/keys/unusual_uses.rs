//! Uses of keys that their owners should look at: each is reported once, over all servers.
//!
//! Easy to get wrong: two servers that see the same at the same time. Who writes the row first reports it. Servers write the rows of
//! several keys in one order, so that they never wait for each other in a circle.

use doorward_core::{
    id::KeyId,
    unusual_use::{KNOWN_NETWORKS, REPORTED_EVERY, UnusualUse},
    webhook_event::EventType,
};

use super::{FindKey, KeyRecord, events, rotation::lock};
use crate::{
    audit::{AuditAction, AuditContext},
    tx::{Operation, Tx, TxError},
    webhooks::enqueue,
};

/// A use of a key that should not be in use.
#[derive(Clone, Debug)]
pub struct UnusualKeyUse {
    /// The key.
    pub id: KeyId,
    /// Why it should not be.
    pub what: UnusualUse,
    /// When it was used, and from where.
    pub audit: AuditContext,
}

/// Reports uses of keys that should not be in use: each key and reason once in
/// [`REPORTED_EVERY`](doorward_core::unusual_use::REPORTED_EVERY).
#[derive(Clone, Debug)]
pub struct ReportUnusualUses {
    /// The uses, each key once.
    pub uses: Vec<UnusualKeyUse>,
}

impl Operation for ReportUnusualUses {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|one, other| one.id.cmp(&other.id));
        for UnusualKeyUse { id, what, audit } in uses {
            // A time ahead is that of a clock that was wrong.
            let sql = "INSERT INTO key_unusual_uses (key_id, reason, reported_at) VALUES ($1, $2, $3)
                       ON CONFLICT (key_id, reason) DO UPDATE SET reported_at = excluded.reported_at
                       WHERE key_unusual_uses.reported_at <= $4 OR key_unusual_uses.reported_at > $5";
            let (before, ahead) = (audit.at.minus(REPORTED_EVERY), audit.at.plus(REPORTED_EVERY));
            let row = [id.as_str().into(), what.reason().into(), audit.at.into(), before.into(), ahead.into()];
            if tx.execute(sql, &row).await? == 0 {
                continue;
            }
            let Some(key) = (FindKey { id: id.clone() }).run(tx).await? else { continue };
            let (action, event_type) = match what {
                UnusualUse::AfterEnd(_) => (AuditAction::KeyUsedAfterEnd, EventType::KeyUsedAfterEnd),
                UnusualUse::AfterLeak => (AuditAction::KeyUsedAfterLeak, EventType::KeyUsedAfterLeak),
            };
            let event = audit.event(action).about(id).with("name", &key.metadata.name).with("reason", what.reason());
            event.append(tx).await?;
            let event = events::event(&key, audit, event_type).with("reason", what.reason());
            enqueue(tx, &event.with("address", audit.address.as_deref())).await?;
        }
        Ok(())
    }
}

/// A use of a key from a network.
#[derive(Clone, Debug)]
pub struct KeyNetworkUse {
    /// The key.
    pub id: KeyId,
    /// The network, as `192.0.2.0/24`.
    pub network: String,
    /// When it was used.
    pub audit: AuditContext,
}

/// Notes from which networks keys were used, forgets all but the latest of each key, and reports those that are new to a key.
/// The first network of a key is not new.
#[derive(Clone, Debug)]
pub struct NoteKeyNetworks {
    /// The uses.
    pub uses: Vec<KeyNetworkUse>,
}

impl Operation for NoteKeyNetworks {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|one, other| {
            (&one.id, one.audit.at, &one.network).cmp(&(&other.id, other.audit.at, &other.network))
        });
        for used in uses {
            if !used.is_known(tx).await? {
                used.note_new(tx).await?;
            }
        }
        Ok(())
    }
}

impl KeyNetworkUse {
    /// Notes the use, if the network is known.
    async fn is_known(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let (id, network) = (self.id.as_str(), self.network.as_str());
        let sql = "UPDATE key_networks SET last_used_at = $3
                   WHERE key_id = $1 AND network = $2 AND last_used_at < $3";
        if tx.execute(sql, &[id.into(), network.into(), self.audit.at.into()]).await? > 0 {
            return Ok(true);
        }
        let sql = "SELECT 1 FROM key_networks WHERE key_id = $1 AND network = $2";
        Ok(tx.query_opt(sql, &[id.into(), network.into()]).await?.is_some())
    }

    async fn note_new(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let id = self.id.as_str();
        // Two servers may see the first two networks of a key at the same time: one of them is new.
        lock(tx, &self.id).await?;
        let known = "SELECT count(*) FROM key_networks WHERE key_id = $1";
        let is_first = tx.query_one(known, &[id.into()]).await?.int()? == 0;
        let sql = "INSERT INTO key_networks (key_id, network, last_used_at) VALUES ($1, $2, $3)
                   ON CONFLICT (key_id, network) DO NOTHING";
        let row = [id.into(), self.network.as_str().into(), self.audit.at.into()];
        if tx.execute(sql, &row).await? == 0 || is_first {
            return Ok(());
        }
        let sql = "DELETE FROM key_networks WHERE key_id = $1 AND network NOT IN
                   (SELECT network FROM key_networks WHERE key_id = $1 ORDER BY last_used_at DESC, network LIMIT $2)";
        tx.execute(sql, &[id.into(), KNOWN_NETWORKS.into()]).await?;
        match (FindKey { id: self.id.clone() }).run(tx).await? {
            Some(key) => self.report(tx, &key).await,
            None => Ok(()),
        }
    }

    async fn report(&self, tx: &mut impl Tx, key: &KeyRecord) -> Result<(), TxError> {
        let event = self.audit.event(AuditAction::KeyNewNetwork).about(&self.id).with("name", &key.metadata.name);
        event.with("network", &self.network).append(tx).await?;
        let event = events::event(key, &self.audit, EventType::KeyNewNetwork);
        enqueue(tx, &event.with("network", self.network.as_str())).await
    }
}
