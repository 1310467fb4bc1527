//! A database as it is after years: keys, users, and live grants of two clients with all that belongs to them.
//!
//! Secrets follow from their number, so that each can be presented later without a list of them. Easy to get wrong: rows
//! are inserted in the order of their digests, or else filling takes as long as everything else.

use anyhow::{Context, Result};
use doorward_core::{
    api_key::{ApiKey, Environment, KeyPrefix},
    checksummed::{self, REFRESH_TOKEN_PREFIX},
    clock::Timestamp,
    digest::Digest,
    id::{AuditId, FamilyId, GrantId, KeyId, UserId},
    random::SeededRng,
    secret::ExposeSecret,
};
use doorward_store::{Store, Value};
use std::{ops::Range, time::Duration};

use crate::{
    sign_in::{self, SignedIn, now},
    site::{Credential, Site},
    template::{Filler, Template},
};

/// How many rows there are to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) keys: u64,
    pub(crate) grants: u64,
}

/// Whose grant has which number. Numbers begin at 0, and each range continues where the one before ends.
pub(crate) struct Shares {
    /// Of many users at the client whose callers are not to notice anything.
    pub(crate) others: Range<u64>,
    /// Of one user at that client.
    pub(crate) user: Range<u64>,
    /// Of many users at the client that is disabled.
    pub(crate) crowd: Range<u64>,
}

impl Size {
    pub(crate) fn shares(self) -> Shares {
        let (others, user) = (self.grants / 10, self.grants / 5);
        Shares { others: 0..others, user: others..user, crowd: user..self.grants }
    }
}

/// The text of a key.
pub(crate) fn key(number: u64) -> String {
    ApiKey::generate(&KeyPrefix::default(), Environment::Live, &SeededRng::new(number)).reveal().to_owned()
}

/// The newest refresh token of a grant.
pub(crate) fn refresh_token(number: u64) -> String {
    let rng = SeededRng::new(REFRESH_TOKENS | number);
    checksummed::generate(REFRESH_TOKEN_PREFIX, &rng).expose_secret().to_owned()
}

/// Apart from the numbers of keys.
const REFRESH_TOKENS: u64 = 1 << 60;

/// Fills the database of a site.
pub(crate) async fn fill(site: &Site, store: &Store, size: Size) -> Result<()> {
    keys(site, store, size.keys).await?;
    let users = users(site, store, (size.grants / 3).max(1)).await?;
    let Shares { others, user, crowd } = size.shares();
    let of_others = Grants::read(site, store, &site.others).await?;
    consents(site, store, &site.others, &users).await?;
    of_others.live(&users, others).await?;
    of_others.live(std::slice::from_ref(&site.user), user).await?;
    let of_crowd = Grants::read(site, store, &site.crowd).await?;
    consents(site, store, &site.crowd, &users).await?;
    of_crowd.live(&users, crowd).await
}

/// Adds grants of a client whose refresh families have ended so long ago that they are to be removed.
pub(crate) async fn fill_ended(site: &Site, store: &Store, numbers: Range<u64>) -> Result<()> {
    let grants = Grants::read(site, store, &site.others).await?;
    grants.ended(std::slice::from_ref(&site.user), numbers, now().minus(Duration::from_secs(2 * 86_400))).await
}

/// Each belongs to one of [`OWNERS`] customers. They were created one a millisecond until now, in the order of their digests.
pub(crate) async fn keys(site: &Site, store: &Store, count: u64) -> Result<()> {
    let template = Template::read(store, &site.location, "api_keys", ("id", &site.key.as_str().into())).await?;
    let places = template.places(["id", "digest", "owner"])?;
    let mut filler = Filler::new(store, &template);
    let (rng, now) = (SeededRng::new(u64::MAX), now());
    for (nth, (digest, number)) in (0..count).zip(sorted(site, 0..count, key)) {
        let id = KeyId::new(now.minus(Duration::from_millis(count - nth)), &rng);
        filler.add(template.copy(places, [id.as_str().into(), (&digest).into(), owner(number).into()])).await?;
    }
    filler.end().await
}

/// Whose a key is, by the API's own id of a customer.
pub(crate) fn owner(number: u64) -> String {
    format!("customer-{}", number % OWNERS)
}

/// How many customers the keys belong to.
const OWNERS: u64 = 1_000;

async fn users(site: &Site, store: &Store, count: u64) -> Result<Vec<String>> {
    let template = Template::read(store, &site.location, "users", ("id", &site.user.as_str().into())).await?;
    let places = template.places(["id", "username_folded"])?;
    let mut filler = Filler::new(store, &template);
    let (rng, now) = (SeededRng::new(u64::MAX - 1), now());
    let ids: Vec<String> = (0..count).map(|_| UserId::new(now, &rng).to_string()).collect();
    for id in &ids {
        filler.add(template.copy(places, [id.as_str().into(), id.as_str().into()])).await?;
    }
    filler.end().await?;
    Ok(ids)
}

/// Each user was asked once, as the one who signed in at the client.
async fn consents(site: &Site, store: &Store, client: &Credential, users: &[String]) -> Result<()> {
    let of_client = ("client_id", &client.client_id.as_str().into());
    let template = Template::read(store, &site.location, "consents", of_client).await?;
    let places = template.places(["user_id"])?;
    let mut filler = Filler::new(store, &template);
    for user in users {
        filler.add(template.copy(places, [user.as_str().into()])).await?;
    }
    filler.end().await
}

/// The digests of secrets in their order, with the number of each.
fn sorted(site: &Site, numbers: Range<u64>, secret: fn(u64) -> String) -> Vec<(Digest, u64)> {
    let pepper = site.peppers.current();
    let mut digests: Vec<_> = numbers.map(|number| (pepper.digest(&secret(number)), number)).collect();
    digests.sort_unstable_by_key(|(digest, _)| *digest.as_bytes());
    digests
}

/// The rows that a sign-in at a client left.
struct Grants<'a> {
    site: &'a Site,
    store: &'a Store,
    grant: Template,
    family: Template,
    token: Template,
    event: Template,
}

impl<'a> Grants<'a> {
    async fn read(site: &'a Site, store: &'a Store, client: &Credential) -> Result<Self> {
        let read = async |table, column, value: &str| {
            let row = Template::read(store, &site.location, table, (column, &value.into())).await;
            row.with_context(|| format!("the row of {table} that a sign-in leaves"))
        };
        #[expect(clippy::cast_sign_loss, reason = "it is after 1970")]
        let rng = SeededRng::new(now().as_millis() as u64);
        let SignedIn { grant, family, event } = sign_in::sign_in(site, store, client, &rng).await?;
        Ok(Self {
            site,
            store,
            grant: read("grants", "id", &grant).await?,
            family: read("refresh_families", "id", &family).await?,
            token: read("refresh_tokens", "family_id", &family).await?,
            event: read("audit", "id", &event).await?,
        })
    }

    async fn live(&self, users: &[String], numbers: Range<u64>) -> Result<()> {
        let ids = self.grants(users, &numbers, ["created_at"], |at| [at.into()]).await?;
        self.families(&ids, &numbers, ["created_at"], |at| [at.into()]).await?;
        self.events(&ids, numbers.start).await
    }

    async fn ended(&self, users: &[String], numbers: Range<u64>, ended_at: Timestamp) -> Result<()> {
        let ended = || ended_at.into();
        let columns = ["expires_at", "ended_at", "ended_why"];
        let ids = self.grants(users, &numbers, columns, |_| [ended(), ended(), "revoked".into()]).await?;
        self.families(&ids, &numbers, ["expires_at", "ended_at"], |_| [ended(), ended()]).await
    }

    /// Inserts grants, one a millisecond until an hour ago. Gives their times and ids.
    async fn grants<const N: usize>(
        &self,
        users: &[String],
        numbers: &Range<u64>,
        columns: [&str; N],
        changes: impl Fn(Timestamp) -> [Value; N],
    ) -> Result<Vec<(Timestamp, String)>> {
        let (fixed, others) = (self.grant.places(["id", "user_id"])?, self.grant.places(columns)?);
        let (rng, until) = (SeededRng::new(REFRESH_TOKENS | numbers.start), now().minus(Duration::from_secs(3_600)));
        let (mut filler, mut ids) = (Filler::new(self.store, &self.grant), Vec::new());
        for (number, user) in numbers.clone().zip(users.iter().cycle()) {
            let at = until.minus(Duration::from_millis(numbers.end - number));
            let id = GrantId::new(at, &rng).to_string();
            let mut row = self.grant.copy(fixed, [id.as_str().into(), user.as_str().into()]);
            others.iter().zip(changes(at)).for_each(|(place, value)| row[*place] = value);
            filler.add(row).await?;
            ids.push((at, id));
        }
        filler.end().await.map(|()| ids)
    }

    /// Inserts a family for each grant, with one token.
    async fn families<const N: usize>(
        &self,
        grants: &[(Timestamp, String)],
        numbers: &Range<u64>,
        columns: [&str; N],
        changes: impl Fn(Timestamp) -> [Value; N],
    ) -> Result<()> {
        let (fixed, others) = (self.family.places(["id", "grant_id", "newest_digest"])?, self.family.places(columns)?);
        let of_token = self.token.places(["digest", "family_id"])?;
        let (mut families, mut tokens) = (Filler::new(self.store, &self.family), Filler::new(self.store, &self.token));
        let rng = SeededRng::new(REFRESH_TOKENS | numbers.start);
        let ids: Vec<_> = grants.iter().map(|(at, _)| FamilyId::new(*at, &rng).to_string()).collect();
        let digests = sorted(self.site, numbers.clone(), refresh_token);
        let mut by_number: Vec<_> = digests.iter().map(|(digest, number)| (*number, digest)).collect();
        by_number.sort_unstable_by_key(|(number, _)| *number);
        for (((at, grant), id), (_, digest)) in grants.iter().zip(&ids).zip(by_number) {
            let mut row = self.family.copy(fixed, [id.as_str().into(), grant.as_str().into(), digest.into()]);
            others.iter().zip(changes(*at)).for_each(|(place, value)| row[*place] = value);
            families.add(row).await?;
        }
        families.end().await?;
        for (digest, number) in &digests {
            let family = usize::try_from(number - numbers.start).ok().and_then(|at| ids.get(at)).context("a family")?;
            tokens.add(self.token.copy(of_token, [digest.into(), family.as_str().into()])).await?;
        }
        tokens.end().await
    }

    /// Inserts an event of the audit for each grant.
    async fn events(&self, grants: &[(Timestamp, String)], seed: u64) -> Result<()> {
        let places = self.event.places(["id", "at", "trace_id", "subject"])?;
        let (mut filler, rng) = (Filler::new(self.store, &self.event), SeededRng::new(REFRESH_TOKENS | seed));
        for (at, grant) in grants {
            let id = AuditId::new(*at, &rng);
            let trace = id.as_str().rsplit('_').next().unwrap_or_default().into();
            filler
                .add(self.event.copy(places, [id.as_str().into(), (*at).into(), trace, grant.as_str().into()]))
                .await?;
        }
        filler.end().await
    }
}
