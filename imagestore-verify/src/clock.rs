use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A time that is shown in UTC and read with any offset, as RFC 3339.
///
/// Fractions of a second are read over; signatures have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub SystemTime);

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

impl FromStr for Utc {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = parse(text.as_bytes()).ok_or(ParseTimeError)?;
        u64::try_from(seconds)
            .map(|seconds| Self(from_seconds(seconds)))
            .map_err(|_| ParseTimeError)
    }
}

/// A text that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as 2026-08-29T10:40:00Z, from 1970 to 9999")]
pub struct ParseTimeError;

fn parse(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let apart = separators.iter().all(|(at, byte)| date[*at] == *byte);
    if !apart || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (
        number(&date[..4])?,
        number(&date[5..7])?,
        number(&date[8..10])?,
    );
    let (hour, minute) = (number(&date[11..13])?, number(&date[14..16])?);
    let second = number(&date[17..])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = rest.strip_prefix(b".").map(|digits| {
        let count = digits
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .count();
        (count, &digits[count..])
    });
    let zone = match fraction {
        Some((0, _)) => return None,
        Some((_, zone)) => zone,
        None => rest,
    };
    let ahead = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] if hours.len() == 2 => {
            let (hours, minutes) = (number(hours)?, number(&[*tens, *ones])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    // Days from 1970-01-01, counted in years that begin in March.
    let (shifted, index) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let in_era = shifted.rem_euclid(400);
    let of_year = (153 * index + 2) / 5 + day - 1;
    let of_era = in_era * 365 + in_era / 4 - in_era / 100 + of_year;
    let since = shifted.div_euclid(400) * 146_097 + of_era - 719_468;
    Some(since * 86_400 + hour * 3_600 + minute * 60 + second - ahead)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
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
    fn reads_offsets_and_fractions_and_refuses_the_rest() {
        let noon = Ok(Utc(from_seconds(1_788_000_000)));
        for text in ["2026-08-29 10:40:00.25Z", "2026-08-29t12:40:00+02:00"] {
            assert_eq!(text.parse(), noon, "{text}");
        }
        let wrong = [
            "",
            "2026-08-29",
            "2026-08-29T10:40:00",
            "2026-02-29T10:40:00Z",
            "2026-13-01T10:40:00Z",
            "2026-08-29T24:40:00Z",
            "2026-08-29T10:40:00+2",
            "2026-08-29T10:40:00.Z",
            "1969-12-31T23:59:59Z",
            "2026-08-29T10:40:00Zx",
            "2026-08-29T10:40:00+99:99",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Utc>(), Err(ParseTimeError), "{text}");
        }
    }

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
        for (seconds, shown) in cases.into_iter().take(4) {
            assert_eq!(shown.parse(), Ok(Utc(from_seconds(seconds))));
        }
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Utc(before).to_string(), "1969-12-31T23:59:59Z");
    }
}
