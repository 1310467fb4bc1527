//! A family of refresh tokens as it stands in its rows, seen from the token that was presented.
//!
//! Easy to get wrong: all of this is read and written under the lock of the grant's row. The newest generation is the
//! live one, and when and from where a token was rotated is said by the next; that is written nowhere a second time.

use std::net::IpAddr;

use doorward_core::{
    clock::Timestamp,
    digest::KeyedDigest,
    grant::refresh::{RefreshFacts, Rotation, successor_key},
    id::{ClientId, FamilyId},
    seal,
    secret::{ExposeSecret, SecretString},
};

use super::Refresh;
use crate::{
    grants::{self, Credential, GrantRecord},
    tx::{Row, Tx, TxError},
    users::{UserRecord, user},
};

/// A presented refresh token with its family.
pub(super) struct Presented {
    generation: i64,
    issued_at: Timestamp,
    rotation: Option<Rotation>,
    successor_sealed: Option<Vec<u8>>,
    family_id: FamilyId,
    pub(super) client_id: ClientId,
    is_bound: bool,
    family_created_at: Timestamp,
    family_ended_at: Option<Timestamp>,
    live_generation: i64,
    other_repeats: i64,
    other_repeats_since: Timestamp,
}

/// The token with one of these digests, its grant locked, and the user who granted.
pub(super) async fn lock(
    tx: &mut impl Tx,
    candidates: &[KeyedDigest],
    presented_by: &ClientId,
    now: Timestamp,
) -> Result<Option<(GrantRecord, UserRecord, Presented)>, TxError> {
    for digest in candidates {
        let Some(grant) = grants::lock(tx, Credential::RefreshToken, digest, presented_by, now).await? else {
            continue;
        };
        let sql = "SELECT u.*, t.generation, t.issued_at, next.issued_at AS rotated_at, next.address AS rotated_from,
                     f.id AS family_id, f.client_id, f.is_bound, f.created_at AS family_created_at,
                     f.ended_at AS family_ended_at, f.other_repeats, f.other_repeats_since, f.successor_sealed,
                     (SELECT max(generation) FROM refresh_tokens WHERE family_id = t.family_id) AS live_generation
                   FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id JOIN users u ON u.id = $2
                     LEFT JOIN refresh_tokens next ON next.family_id = t.family_id AND next.generation = t.generation + 1
                   WHERE t.digest = $1";
        let rows = tx.query(sql, &[(&digest.digest).into(), grant.user_id.as_str().into()]).await?;
        // It may have been swept since.
        let Some(row) = rows.first() else { return Ok(None) };
        return Ok(Some((grant, user(row)?, presented(row)?)));
    }
    Ok(None)
}

/// Begins a family with its first token.
pub(crate) async fn begin(
    tx: &mut impl Tx,
    id: &FamilyId,
    grant: &GrantRecord,
    is_bound: bool,
    token: &KeyedDigest,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), TxError> {
    tx.execute(
        "INSERT INTO refresh_families (id, grant_id, client_id, is_bound, created_at, other_repeats,
                                       other_repeats_since, expires_at, seal_counts_from)
         VALUES ($1, $2, $3, $4, $5, 0, $5, $6, $7)",
        &[
            id.as_str().into(),
            grant.id.as_str().into(),
            grant.client_id.as_str().into(),
            is_bound.into(),
            now.into(),
            expires_at.into(),
            is_bound.then_some(expires_at).into(),
        ],
    )
    .await?;
    insert(tx, token, id, 0, None, now).await
}

impl Presented {
    pub(super) fn facts(&self, grant: &GrantRecord, user: &UserRecord) -> RefreshFacts {
        RefreshFacts {
            client_id: self.client_id.clone(),
            is_bound: self.is_bound,
            family_created_at: self.family_created_at,
            has_ended: self.family_ended_at.is_some() || grant.ended_at.is_some(),
            user_is_unavailable: user.disabled_at.is_some(),
            live_generation: self.live_generation,
            generation: self.generation,
            issued_at: self.issued_at,
            rotation: self.rotation,
            other_repeats: u32::try_from(self.other_repeats).unwrap_or(u32::MAX),
            other_repeats_since: self.other_repeats_since,
        }
    }

    /// Makes the successor. Its seal takes the place of the one that held this token.
    pub(super) async fn rotate(&self, tx: &mut impl Tx, refresh: &Refresh) -> Result<(), TxError> {
        let now = refresh.now;
        let plain = refresh.successor.expose_secret().as_bytes();
        let sealed =
            seal::seal_with_nonce(&self.successor_key(&refresh.token), &self.context(), plain, refresh.seal_nonce);
        let family = self.family_id.as_str().into();
        if self.is_bound {
            // Until the end of the family, which was said at its beginning.
            let sql = "UPDATE refresh_families SET successor_sealed = $1 WHERE id = $2";
            tx.execute(sql, &[sealed.into(), family]).await?;
        } else {
            let sql = "UPDATE refresh_families SET successor_sealed = $1, seal_counts_from = $2 WHERE id = $3";
            tx.execute(sql, &[sealed.into(), now.into(), family]).await?;
        }
        let address = Some(refresh.request.address);
        insert(tx, &refresh.successor_digest, &self.family_id, self.generation + 1, address, now).await
    }

    /// The successor that was made before, opened with the token itself; `None` once the seal is erased. Only the
    /// token before the live one opens it.
    pub(super) fn open_successor(&self, token: &SecretString) -> Option<SecretString> {
        let sealed = self.successor_sealed.as_deref()?;
        let plain = seal::open(&self.successor_key(token), &self.context(), sealed).ok()?;
        Some(std::str::from_utf8(&plain).ok()?.into())
    }

    /// Counts a repeat from another address than the one that rotated.
    pub(super) async fn count_repeat(&self, tx: &mut impl Tx, now: Timestamp) -> Result<(), TxError> {
        let is_new_day = now.since(self.other_repeats_since).as_secs() >= 86_400;
        let (count, since) = match is_new_day {
            true => (1, now),
            false => (self.other_repeats + 1, self.other_repeats_since),
        };
        let sql = "UPDATE refresh_families SET other_repeats = $1, other_repeats_since = $2 WHERE id = $3";
        tx.execute(sql, &[count.into(), since.into(), self.family_id.as_str().into()]).await?;
        Ok(())
    }

    fn successor_key(&self, token: &SecretString) -> impl std::ops::Deref<Target = [u8; 32]> {
        successor_key(token.expose_secret(), self.family_id.as_str(), self.generation)
    }

    /// What the seal is bound to: a sealed successor that is moved to another row does not open.
    fn context(&self) -> String {
        format!("refresh-successor/{}/{}", self.family_id, self.generation)
    }
}

async fn insert(
    tx: &mut impl Tx,
    token: &KeyedDigest,
    family: &FamilyId,
    generation: i64,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), TxError> {
    let sql = "INSERT INTO refresh_tokens (digest, pepper, family_id, generation, address, issued_at)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let row = [
        (&token.digest).into(),
        token.pepper.as_str().into(),
        family.as_str().into(),
        generation.into(),
        address.map(|address| address.to_string()).into(),
        now.into(),
    ];
    tx.execute(sql, &row).await?;
    Ok(())
}

fn presented(row: &Row) -> Result<Presented, TxError> {
    Ok(Presented {
        generation: row.int("generation")?,
        issued_at: row.time("issued_at")?,
        rotation: rotation(row)?,
        successor_sealed: row.opt_bytes("successor_sealed")?.map(<[u8]>::to_vec),
        family_id: row.parsed("family_id")?,
        client_id: row.parsed("client_id")?,
        is_bound: row.flag("is_bound")?,
        family_created_at: row.time("family_created_at")?,
        family_ended_at: row.opt_time("family_ended_at")?,
        live_generation: row.int("live_generation")?,
        other_repeats: row.int("other_repeats")?,
        other_repeats_since: row.time("other_repeats_since")?,
    })
}

fn rotation(row: &Row) -> Result<Option<Rotation>, TxError> {
    let Some(at) = row.opt_time("rotated_at")? else { return Ok(None) };
    let address = row.opt_text("rotated_from")?.and_then(|text| text.parse::<IpAddr>().ok());
    let address = address.ok_or_else(|| TxError::column("rotated_from", "is not an address"))?;
    Ok(Some(Rotation { at, address }))
}
