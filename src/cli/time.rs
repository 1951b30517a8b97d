//! Formats times for people: how long ago, and the date in UTC.

use std::time::Duration;

use time::OffsetDateTime;

/// A time in seconds since 1970, like "5 minutes ago (2026-11-23 15:29 UTC)".
pub(super) fn told(time: u64, now: u64) -> String {
    format!("{} ({})", relative(time, now), date(time))
}

/// Like "5 minutes ago".
pub(super) fn relative(time: u64, now: u64) -> String {
    let apart = time.abs_diff(now);
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let Some((size, unit)) = units.into_iter().find(|(size, _)| apart >= *size) else {
        return if time > now { "in a moment".to_owned() } else { "just now".to_owned() };
    };
    let count = apart / size;
    let plural = if count == 1 { "" } else { "s" };
    if time > now { format!("in {count} {unit}{plural}") } else { format!("{count} {unit}{plural} ago") }
}

/// Like "12 hours": in the largest unit of which it is a multiple.
pub(super) fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) =
        units.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// ISO 8601 to the minute, in UTC. A time beyond the calendar, which only a corrupt file contains,
/// is given in seconds.
pub(super) fn date(time: u64) -> String {
    let known = i64::try_from(time).ok().and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
    known.map_or_else(
        || format!("{time} s after 1970"),
        |at| {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", at.hour(), at.minute())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_whole_units() {
        for (seconds, told) in
            [(1, "1 second"), (90, "90 seconds"), (120, "2 minutes"), (43_200, "12 hours"), (86_400, "1 day")]
        {
            assert_eq!(lasting(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn dates_are_what_date_1_says() {
        for (time, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_795_447_783, "2026-11-23 15:29 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(time), text);
        }
        assert_eq!(date(u64::MAX), "18446744073709551615 s after 1970");
    }

    #[test]
    fn how_long_ago_is_said_in_one_unit() {
        for (time, text) in [
            (1_000_000, "just now"),
            (1_000_001, "in a moment"),
            (1_000_900, "in 15 minutes"),
            (999_940, "1 minute ago"),
            (992_800, "2 hours ago"),
            (0, "11 days ago"),
        ] {
            assert_eq!(relative(time, 1_000_000), text);
        }
    }
}
