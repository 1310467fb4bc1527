//! A family of refresh tokens as it stands in its rows, seen from the token that was presented.
//!
//! The tokens of a family are a chain: the family names its newest token, which is the live one, and each token the one
//! before it.
//!
//! Easy to get wrong: all of this is read and written under the lock of the grant's row. When and from where a token was
//! rotated is said by the next; that is written nowhere a second time.

use std::net::IpAddr;

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
    grant::{
        binding::Binding,
        refresh::{FamilyTimes, OtherRepeats, RefreshFacts, Rotation, successor_key},
    },
    id::{ClientId, FamilyId},
    seal,
    secret::{ExposeSecret, SecretString},
};

use super::Refresh;
use crate::{
    grants::{self, Credential, GrantRecord},
    tx::{Row, Tx, TxError, Value},
};

/// A presented refresh token with its family.
pub(super) struct Presented {
    digest: Digest,
    generation: i64,
    issued_at: Timestamp,
    last_rotation: Option<Rotation>,
    successor_sealed: Option<Vec<u8>>,
    family_id: FamilyId,
    is_bound: bool,
    family: FamilyTimes,
    family_ended_at: Option<Timestamp>,
    live_generation: i64,
    other_repeats: OtherRepeats,
    user_is_disabled: bool,
}

/// The token with one of these digests, and its grant, which is locked.
pub(super) async fn lock(
    tx: &mut impl Tx,
    candidates: &[KeyedDigest],
    presented_by: &ClientId,
    now: Timestamp,
) -> Result<Option<(GrantRecord, Presented)>, TxError> {
    for digest in candidates {
        if !grants::lock(tx, Credential::RefreshToken, digest, presented_by, now).await? {
            continue;
        }
        let sql = "SELECT g.*, u.disabled_at AS user_disabled_at, t.generation, t.issued_at,
                     live.generation AS live_generation, live.issued_at AS live_issued_at,
                     live.address AS live_address, f.newest_digest, f.id AS family_id, f.is_bound,
                     f.created_at AS family_created_at, f.expires_at AS family_expires_at, f.ended_at AS family_ended_at, f.other_repeats,
                     f.other_repeats_since, f.successor_sealed
                   FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id
                     JOIN refresh_tokens live ON live.digest = f.newest_digest
                     JOIN grants g ON g.id = f.grant_id JOIN users u ON u.id = g.user_id
                   WHERE t.digest = $1";
        let rows = tx.query(sql, &[(&digest.digest).into()]).await?;
        // It may have been swept since.
        let Some(row) = rows.first() else { return Ok(None) };
        return Ok(Some((grants::grant(row)?, presented(row, digest)?)));
    }
    Ok(None)
}

/// Begins a family with its first token.
pub(crate) async fn begin(
    tx: &mut impl Tx,
    id: &FamilyId,
    grant: &GrantRecord,
    binding: Binding,
    token: &KeyedDigest,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), TxError> {
    let is_bound = binding.is_bound();
    tx.execute(
        "INSERT INTO refresh_families (id, grant_id, client_id, is_bound, created_at, other_repeats,
                                       other_repeats_since, expires_at, seal_counts_from, newest_digest)
         VALUES ($1, $2, $3, $4, $5, 0, $5, $6, $7, $8)",
        &[
            id.as_str().into(),
            grant.id.as_str().into(),
            grant.client_id.as_str().into(),
            is_bound.into(),
            now.into(),
            expires_at.into(),
            is_bound.then_some(expires_at).into(),
            (&token.digest).into(),
        ],
    )
    .await?;
    insert(tx, token, id, None, None, now).await
}

impl Presented {
    pub(super) fn facts(&self, grant: &GrantRecord) -> RefreshFacts {
        RefreshFacts {
            client_id: grant.client_id.clone(),
            binding: if self.is_bound { Binding::Client } else { Binding::None },
            family: self.family,
            has_ended: self.family_ended_at.is_some() || grant.ended_at.is_some(),
            user_is_unavailable: self.user_is_disabled,
            live_generation: self.live_generation,
            generation: self.generation,
            issued_at: self.issued_at,
            last_rotation: self.last_rotation,
            other_repeats: self.other_repeats,
        }
    }

    /// Makes the successor. Its seal takes the place of the one that held this token.
    pub(super) async fn rotate(&self, tx: &mut impl Tx, refresh: &Refresh) -> Result<(), TxError> {
        let now = refresh.now;
        let plain = refresh.successor.expose_secret().as_bytes();
        let sealed =
            seal::seal_with_nonce(&self.successor_key(&refresh.token), &self.context(), plain, refresh.seal_nonce);
        let (family, live) = (self.family_id.as_str().into(), (&self.digest).into());
        let successor = (&refresh.successor_digest.digest).into();
        let rotated = if self.is_bound {
            // The seal stays until the end of the family, which was said at its beginning.
            let sql = "UPDATE refresh_families SET successor_sealed = $1, newest_digest = $2
                       WHERE id = $3 AND newest_digest = $4";
            tx.execute(sql, &[sealed.into(), successor, family, live]).await?
        } else {
            let sql = "UPDATE refresh_families SET successor_sealed = $1, newest_digest = $2, seal_counts_from = $3
                       WHERE id = $4 AND newest_digest = $5";
            tx.execute(sql, &[sealed.into(), successor, now.into(), family, live]).await?
        };
        if rotated != 1 {
            return Err(TxError::Defect("a token that is not the live one was to get a successor".to_owned()));
        }
        let address = Some(refresh.request.address);
        insert(tx, &refresh.successor_digest, &self.family_id, Some(self), address, now).await
    }

    /// The successor that was made before, opened with the token itself; `None` once the seal is erased. Only the
    /// token before the live one opens it.
    pub(super) fn open_successor(&self, token: &SecretString) -> Option<SecretString> {
        let sealed = self.successor_sealed.as_deref()?;
        let plain = seal::open(&self.successor_key(token), &self.context(), sealed).ok()?;
        Some(std::str::from_utf8(&plain).ok()?.into())
    }

    /// Remembers the count of repeats from other addresses than the one that rotated.
    pub(super) async fn count_repeat(&self, tx: &mut impl Tx, repeats: OtherRepeats) -> Result<(), TxError> {
        let sql = "UPDATE refresh_families SET other_repeats = $1, other_repeats_since = $2 WHERE id = $3";
        let count = i64::from(repeats.count).into();
        tx.execute(sql, &[count, repeats.since.into(), self.family_id.as_str().into()]).await?;
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
    predecessor: Option<&Presented>,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), TxError> {
    let sql = "INSERT INTO refresh_tokens (digest, pepper, family_id, generation, predecessor, address, issued_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let row = [
        (&token.digest).into(),
        token.pepper.as_str().into(),
        family.as_str().into(),
        predecessor.map_or(0, |before| before.generation + 1).into(),
        predecessor.map(|before| Value::from(&before.digest)).into(),
        address.map(|address| address.to_string()).into(),
        now.into(),
    ];
    tx.execute(sql, &row).await?;
    Ok(())
}

fn presented(row: &Row, digest: &KeyedDigest) -> Result<Presented, TxError> {
    let (generation, live_generation) = (row.int("generation")?, row.int("live_generation")?);
    let is_newest = row.bytes("newest_digest")? == digest.digest.as_bytes();
    if is_newest != (generation == live_generation) {
        return Err(TxError::column("newest_digest", "is not that of the newest token"));
    }
    Ok(Presented {
        digest: digest.digest,
        generation,
        issued_at: row.time("issued_at")?,
        last_rotation: last_rotation(row)?,
        successor_sealed: row.opt_bytes("successor_sealed")?.map(<[u8]>::to_vec),
        family_id: row.parsed("family_id")?,
        is_bound: row.flag("is_bound")?,
        family: FamilyTimes { created_at: row.time("family_created_at")?, expires_at: row.time("family_expires_at")? },
        family_ended_at: row.opt_time("family_ended_at")?,
        live_generation,
        other_repeats: OtherRepeats {
            count: u32::try_from(row.int("other_repeats")?).unwrap_or(u32::MAX),
            since: row.time("other_repeats_since")?,
        },
        user_is_disabled: row.opt_int("user_disabled_at")?.is_some(),
    })
}

/// The first token of a family was made by no rotation, and has no address.
fn last_rotation(row: &Row) -> Result<Option<Rotation>, TxError> {
    let Some(address) = row.opt_text("live_address")? else { return Ok(None) };
    let address = address.parse().map_err(|_| TxError::column("live_address", "is not an address"))?;
    Ok(Some(Rotation { at: row.time("live_issued_at")?, address }))
}
