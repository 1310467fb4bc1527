//! A family of refresh tokens as its rows have it, seen from the token that was presented.
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
    sql::sql,
    tx::{Row, Tx, TxError, Value},
    users::{self, Profile},
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
    /// Whom the grant is about.
    pub(super) user: Profile,
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
        let sql = sql!(
            "SELECT {g}, {}, {t}, {live}, live.address, {f}, u.disabled_at, {u}
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id
               JOIN refresh_tokens live ON live.digest = f.newest_digest
               JOIN grants g ON g.id = f.grant_id JOIN users u ON u.id = g.user_id
             WHERE t.digest = $1",
            grants::COLUMNS,
            grants::ENDED_AT,
            TOKEN,
            TOKEN,
            FAMILY,
            users::PROFILE
        );
        // It may have been swept since.
        let Some(mut row) = tx.query_opt(sql, &[(&digest.digest).into()]).await? else { return Ok(None) };
        return Ok(Some((grants::grant(&mut row)?, presented(&mut row, digest)?)));
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
        sql!(
            "INSERT INTO refresh_families (grant_id, client_id, seal_counts_from, {})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, 0, $7, NULL)",
            FAMILY
        ),
        &[
            grant.id.as_str().into(),
            grant.client_id.as_str().into(),
            is_bound.then_some(expires_at).into(),
            (&token.digest).into(),
            id.as_str().into(),
            is_bound.into(),
            now.into(),
            expires_at.into(),
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
            // The seal stays until the end of the family, which was said at its beginning. One statement with a condition
            // would write that time again, and in SQLite its index with it, at each rotation.
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

    /// The successor that was issued before, opened with the token itself; `None` once the seal is erased. Only the
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
    let sql = sql!(
        "INSERT INTO refresh_tokens (digest, pepper, family_id, predecessor, address, {})
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        TOKEN
    );
    let row = [
        (&token.digest).into(),
        token.pepper.as_str().into(),
        family.as_str().into(),
        predecessor.map(|before| Value::from(&before.digest)).into(),
        address.map(|address| address.to_string()).into(),
        predecessor.map_or(0, |before| before.generation + 1).into(),
        now.into(),
    ];
    tx.execute(sql, &row).await?;
    Ok(())
}

/// Of `refresh_tokens`.
const TOKEN: &str = "generation, issued_at";

/// Of `refresh_families`.
const FAMILY: &str = "newest_digest, id, is_bound, created_at, expires_at, ended_at, other_repeats, \
                      other_repeats_since, successor_sealed";

fn presented(row: &mut Row, digest: &KeyedDigest) -> Result<Presented, TxError> {
    let (generation, issued_at) = (row.int()?, row.time()?);
    let (live_generation, live_issued_at) = (row.int()?, row.time()?);
    // The first token of a family comes from no rotation, and has no address.
    let last_rotation = match row.opt_text()? {
        None => None,
        Some(address) => {
            let address = address.parse().map_err(|_| row.error("is not an address"))?;
            Some(Rotation { at: live_issued_at, address })
        }
    };
    let is_newest = row.digest()? == digest.digest;
    if is_newest != (generation == live_generation) {
        return Err(row.error("is not that of the newest token"));
    }
    Ok(Presented {
        digest: digest.digest,
        generation,
        issued_at,
        last_rotation,
        live_generation,
        family_id: row.parsed()?,
        is_bound: row.flag()?,
        family: FamilyTimes { created_at: row.time()?, expires_at: row.time()? },
        family_ended_at: row.opt_time()?,
        other_repeats: OtherRepeats { count: u32::try_from(row.int()?).unwrap_or(u32::MAX), since: row.time()? },
        successor_sealed: row.opt_bytes()?,
        user_is_disabled: row.opt_time()?.is_some(),
        user: users::profile(row)?,
    })
}
