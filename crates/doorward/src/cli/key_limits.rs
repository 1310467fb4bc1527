//! The limits of a key on the command line.

use clap::Args;
use doorward_core::key_limits::{Per, Quota, RateLimit};
use doorward_server::manage::keys::{KeySettings, KeyView};

use super::durations;

/// Of a new key.
#[derive(Args, Debug)]
pub(super) struct NewLimits {
    /// At most so many uses at once, refilled evenly over a time, as 100/1m; each server counts by itself
    #[arg(long, value_name = "USES/TIME", value_parser = rate_limit)]
    pub(super) rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month of UTC, as 10000/day
    #[arg(long, value_name = "USES/PERIOD", value_parser = quota)]
    pub(super) quota: Option<Quota>,
    /// At most so many uses in all
    #[arg(long, value_name = "N")]
    pub(super) uses: Option<u64>,
}

/// Of a key that is changed.
#[derive(Args, Debug)]
pub(super) struct ChangedLimits {
    /// At most so many uses at once, refilled evenly over a time, as 100/1m; no limit with ""
    #[arg(long, value_name = "USES/TIME", value_parser = or_none(rate_limit))]
    rate_limit: Option<Changed<RateLimit>>,
    /// At most so many uses in a day or month of UTC, as 10000/day; no quota with ""
    #[arg(long, value_name = "USES/PERIOD", value_parser = or_none(quota))]
    quota: Option<Changed<Quota>>,
    /// How many uses are left from now on; any number with ""
    #[arg(long, value_name = "N", value_parser = or_none(number))]
    uses: Option<Changed<u64>>,
}

/// What a limit becomes.
#[derive(Clone, Copy, Debug)]
struct Changed<T>(Option<T>);

impl ChangedLimits {
    /// The settings with the limits that are named.
    pub(super) fn apply(&self, settings: KeySettings) -> KeySettings {
        KeySettings {
            rate_limit: self.rate_limit.map_or(settings.rate_limit, |changed| changed.0),
            quota: self.quota.map_or(settings.quota, |changed| changed.0),
            uses: self.uses.map_or(settings.uses, |changed| changed.0),
            ..settings
        }
    }
}

/// The limits of a key with what is left of them, each with its name.
pub(super) fn shown(key: &KeyView) -> [(&'static str, String); 3] {
    let left = |left: Option<u64>| left.map(|left| format!("{left} left")).unwrap_or_default();
    let rate = key.rate_limit.map(|RateLimit { requests, seconds }| format!("{requests} in {seconds} s"));
    let quota = key.quota.map(|Quota { requests, per }| {
        let per = match per {
            Per::Day => "day",
            Per::Month => "month",
        };
        format!("{requests} a {per}, {}", left(key.quota_left))
    });
    [("rate limit", rate.unwrap_or_default()), ("quota", quota.unwrap_or_default()), ("uses", left(key.uses_left))]
}

fn or_none<T>(
    parse: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<Changed<T>, String> + Clone + Send + Sync + 'static
where
    T: 'static,
{
    move |text| match text {
        "" => Ok(Changed(None)),
        text => parse(text).map(|limit| Changed(Some(limit))),
    }
}

fn rate_limit(text: &str) -> Result<RateLimit, String> {
    let parse = || {
        let (requests, time) = text.split_once('/')?;
        let seconds = durations::parse(time).ok().filter(|time| time.subsec_nanos() == 0)?.as_secs();
        Some(RateLimit { requests: requests.parse().ok()?, seconds: seconds.try_into().ok()? })
    };
    parse().ok_or_else(|| "a number and a time such as 100/1m".to_owned())
}

fn quota(text: &str) -> Result<Quota, String> {
    let parse = || {
        let (requests, per) = text.split_once('/')?;
        let per = match per {
            "day" => Per::Day,
            "month" => Per::Month,
            _ => return None,
        };
        Some(Quota { requests: requests.parse().ok()?, per })
    };
    parse().ok_or_else(|| "a number and a period such as 10000/day or 100000/month".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_a_number_and_a_time() {
        assert_eq!(rate_limit("100/1m"), Ok(RateLimit { requests: 100, seconds: 60 }));
        assert_eq!(quota("10000/day"), Ok(Quota { requests: 10_000, per: Per::Day }));
        assert_eq!(quota("5/month"), Ok(Quota { requests: 5, per: Per::Month }));
        for bad in ["", "100", "/1m", "100/", "-1/1m", "100/0.5s", "100/1m/1m", "5/week", "5/ day"] {
            assert!(rate_limit(bad).is_err(), "{bad}");
            assert!(quota(bad).is_err(), "{bad}");
        }
        assert!(or_none(quota)("").is_ok_and(|changed| changed.0.is_none()));
        assert!(or_none(number)("x").is_err());
    }
}
