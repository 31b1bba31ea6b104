use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Shows a time as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc(pub(crate) SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = seconds(self.0);
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Civil date from days since 1970-03-01 shifted to eras of 400 years (Hinnant).
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 {
            month_index + 3
        } else {
            month_index - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Whole seconds since 1970, rounded down; a time beyond all calendars is the last that fits.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(LAST).min(LAST),
        Err(before) => -i64::try_from(before.duration().as_secs())
            .unwrap_or(LAST)
            .min(LAST),
    }
}

pub(crate) fn from_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LAST as u64))
}

// The end of the year 9999: no sum below can overflow and every time can be shown.
const LAST: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_times_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_788_000_000, "2026-08-29T10:40:00Z"),
            (4_294_967_295, "2106-02-07T06:28:15Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, shown) in cases {
            assert_eq!(Utc(from_seconds(seconds)).to_string(), shown);
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Utc(before).to_string(), "1969-12-31T23:59:59Z");
    }
}
