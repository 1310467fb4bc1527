//! Whether the cost of requests stays flat as rows grow: the same requests to a server with many rows and to one that is
//! almost empty, in the same run; and what ending and removing many rows costs those who have nothing to do with it.

mod ending;
mod report;
mod rounds;
mod sweeping;

use std::{path::Path, time::Duration};

use anyhow::Result;
use doorward_store::{Location, Operation, Store, Tx, TxError, Urgency};

use self::report::Report;
use crate::{
    caller::Target,
    fill::{self, Size},
    site::{Credential, Site},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Two empty databases of PostgreSQL, one for each server; SQLite if left out
    #[arg(long, value_name = "URL", num_args = 2)]
    postgres: Vec<String>,
    /// How many keys the full database has
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// How many live grants the full database has; at least 1,000
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    grants: u64,
    /// How many refresh families have ended and wait to be removed
    #[arg(long, default_value_t = 60_000)]
    ended: u64,
    /// In how many rounds the servers take turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
}

/// What the almost empty database has.
const FEW: Size = Size { keys: 2_000, grants: 1_000 };

pub(crate) async fn measure(doorward: &Path, folder: &Path, options: &Options) -> Result<()> {
    let mut databases = options.postgres.iter().cloned();
    let many = Size { keys: options.keys.max(FEW.keys), grants: options.grants };
    let few = filled(doorward, &folder.join("few"), databases.next(), FEW).await?;
    let many = filled(doorward, &folder.join("many"), databases.next(), many).await?;
    let mut report = Report::new(&many.site.location, many.size, options.ended);
    report.rounds(&rounds::measure(&few, &many, options.rounds).await?);
    eprintln!("ending");
    let of_few = ending::measure(&few, Duration::ZERO).await?;
    let of_many = ending::measure(&many, ending::WATCHED).await?;
    report.endings(&of_few, &of_many);
    eprintln!("sweeping");
    report.sweeping(&sweeping::measure(&many, options.ended, &of_many).await?, &of_many);
    println!("{report}");
    Ok(())
}

/// A site with a number of rows.
struct Filled {
    site: Site,
    size: Size,
}

impl Filled {
    /// A refresh by a client of the site.
    fn refresh(&self, client: &Credential) -> Target {
        Target {
            path: "/token".into(),
            authorization: client.basic(),
            content_type: "application/x-www-form-urlencoded",
        }
    }
}

async fn filled(doorward: &Path, folder: &Path, postgres: Option<String>, size: Size) -> Result<Filled> {
    eprintln!("filling {} keys and {} grants", size.keys, size.grants);
    let site = Site::create(doorward, folder, postgres).await?;
    let store = site.store().await?;
    fill::fill(&site, &store, size).await?;
    settle(&site, &store).await?;
    store.close().await;
    Ok(Filled { site, size })
}

/// PostgreSQL collects statistics by itself, a minute later.
pub(crate) async fn settle(site: &Site, store: &Store) -> Result<()> {
    if matches!(site.location, Location::Postgres(_)) {
        store.write(Analyze).await?;
    }
    Ok(())
}

#[derive(Clone)]
struct Analyze;

impl Operation for Analyze {
    type Output = ();

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // It takes longer than a statement of a server may.
        tx.execute("SET LOCAL statement_timeout = 0", &[]).await?;
        tx.execute("ANALYZE", &[]).await.map(drop)
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
