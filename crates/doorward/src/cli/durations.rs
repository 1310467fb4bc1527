//! Durations on the command line: `30s`, `15m`, `12h`, `90d`, `1y`.

use std::time::Duration;

pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or("add a unit: s, m, h, d or y")?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| "write a whole number and a unit, such as 90d".to_owned())?;
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => return Err(format!("{unit:?} is not a unit: use s, m, h, d or y")),
    };
    let secs = number.checked_mul(secs).filter(|secs| *secs <= 100 * 365 * 86_400);
    secs.map(Duration::from_secs).ok_or_else(|| "at most 100 years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(parse("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(parse("15m"), Ok(Duration::from_secs(900)));
        for bad in ["90", "d", "-1d", "1.5h", "1w", "", "999999999999y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
