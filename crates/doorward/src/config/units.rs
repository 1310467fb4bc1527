//! Durations and sizes as people write them: `90s`, `1h30m`, `30d`; `64KiB`, `1MiB`.
//!
//! A number without a unit is no duration, and `KB` is no size: both mean different things to different readers.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
const SIZE_UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `5m`, `30d` or `1h30m`: whole numbers, each with `s`, `m`, `h` or `d`, the larger unit first, each once.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    let mut smaller = DURATION_UNITS.as_slice();
    while !rest.is_empty() {
        let (number, tail) = leading_number(rest)?;
        let at = smaller.iter().position(|(unit, _)| tail.starts_with(unit))?;
        let (unit, factor) = smaller[at];
        seconds = seconds.checked_add(number.checked_mul(factor)?)?;
        rest = &tail[unit.len()..];
        smaller = &smaller[at + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// Writes a duration in its largest whole unit.
pub(super) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let whole = |(_, factor): &&(&str, u64)| seconds > 0 && seconds.is_multiple_of(*factor);
    DURATION_UNITS
        .iter()
        .find(whole)
        .map_or_else(|| format!("{seconds}s"), |(unit, by)| format!("{}{unit}", seconds / by))
}

/// Reads `64KiB`, `1MiB`, `512B` or a plain number of bytes.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = leading_number(text)?;
    let factor = match unit {
        "" => 1,
        unit => SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    usize::try_from(number).ok()?.checked_mul(factor)
}

/// Writes a size in its largest whole unit.
pub(super) fn format_size(bytes: usize) -> String {
    let whole = |(_, factor): &&(&str, usize)| bytes > 0 && bytes.is_multiple_of(*factor);
    SIZE_UNITS.iter().find(whole).map_or_else(|| format!("{bytes}B"), |(unit, by)| format!("{}{unit}", bytes / by))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_in_their_units() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5_400)));
    }

    #[test]
    fn duration_without_unit_or_in_odd_order_is_rejected() {
        for text in ["", "5", "5 m", "m", "5m5m", "30m1h", "-5m", "1.5h", "5w", "99999999999999999999d", "5mm"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_in_their_units() {
        for (text, bytes) in [("64KiB", 65_536), ("1MiB", 1_048_576), ("513B", 513), ("0B", 0)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("512"), Some(512));
    }

    #[test]
    fn size_in_an_ambiguous_unit_is_rejected() {
        for text in ["", "64KB", "64k", "KiB", "1 MiB", "-1", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
