use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::error::PublishError;

/// When a build was made, as image servers write it: `YYYYMMDD_HH:MM` in UTC.
///
/// # Examples
/// ```
/// use std::time::{Duration, SystemTime};
/// use imagestore_publish::BuildId;
///
/// let build: BuildId = "20150427_03:49".parse()?;
/// assert_eq!(build.time(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_430_106_540));
/// assert_eq!(BuildId::at(build.time()), build);
/// # Ok::<(), imagestore_publish::PublishError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    minutes: u64,
}

impl BuildId {
    /// The id of a build made at this time. Seconds are dropped; times before 1970 and after 9999 are cut to that.
    #[must_use]
    pub fn at(time: SystemTime) -> Self {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            minutes: (since.as_secs() / 60).min(LAST_MINUTE),
        }
    }

    /// When it was made.
    #[must_use]
    pub fn time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.minutes * 60)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of(self.minutes / MINUTES_A_DAY);
        let (hour, minute) = (self.minutes / 60 % 24, self.minutes % 60);
        write!(f, "{year:04}{month:02}{day:02}_{hour:02}:{minute:02}")
    }
}

impl FromStr for BuildId {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let wrong = || PublishError::field("a build id", "is not of the form YYYYMMDD_HH:MM", text);
        let shaped = text.len() == 14
            && text.bytes().enumerate().all(|(n, byte)| match n {
                8 => byte == b'_',
                11 => byte == b':',
                _ => byte.is_ascii_digit(),
            });
        let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
        let (Some(year), Some(month), Some(day), Some(hour), Some(minute)) = (
            number(0, 4),
            number(4, 6),
            number(6, 8),
            number(9, 11),
            number(12, 14),
        ) else {
            return Err(wrong());
        };
        if !shaped || year < 1970 || hour > 23 || minute > 59 {
            return Err(wrong());
        }
        let date = Date { year, month, day };
        let days = date
            .days()
            .filter(|days| Date::of(*days) == date)
            .ok_or_else(wrong)?;
        Ok(Self {
            minutes: days * MINUTES_A_DAY + hour * 60 + minute,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// The day so many days after 1970-01-01.
    fn of(days: u64) -> Self {
        // Years that begin in March put the leap day at the end.
        let shifted = days + DAYS_TO_1970;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = (march_month + 2) % 12 + 1;
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }

    /// The days since 1970-01-01; something else if there is no such day.
    fn days(self) -> Option<u64> {
        let year = if self.month <= 2 {
            self.year.checked_sub(1)?
        } else {
            self.year
        };
        let march_month = (self.month + 9) % 12;
        let day_of_year = (153 * march_month + 2) / 5 + self.day.checked_sub(1)?;
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era).checked_sub(DAYS_TO_1970)
    }
}

const DAYS_TO_1970: u64 = 719_468;
const MINUTES_A_DAY: u64 = 24 * 60;
/// 9999-12-31 23:59.
const LAST_MINUTE: u64 = 253_402_300_799 / 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverse() {
        for text in [
            "19700101_00:00",
            "20150427_03:49",
            "20240229_23:59",
            "99991231_23:59",
        ] {
            assert_eq!(text.parse::<BuildId>().expect(text).to_string(), text);
        }
        for days in (0..120_000).step_by(7) {
            let build = BuildId {
                minutes: days * MINUTES_A_DAY + 61,
            };
            assert_eq!(
                build.to_string().parse::<BuildId>().expect("printed"),
                build
            );
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "20150427",
            "2015-04-27",
            "20150427_03:60",
            "20150427_24:00",
            "20150431_00:00",
            "20230229_00:00",
            "20151301_00:00",
            "20150400_00:00",
            "19691231_23:59",
            "20150427_03:4",
            "20150427_+3:49",
            "20150427 03:49",
            "２0150427_03:4",
        ] {
            assert_eq!(
                text.parse::<BuildId>().expect_err(text).to_string(),
                format!("a build id is not of the form YYYYMMDD_HH:MM: `{text}`")
            );
        }
    }

    #[test]
    fn later_builds_are_greater() {
        let builds = ["20091231_23:59", "20100101_00:00", "20100101_00:01"];
        let parsed = builds.map(|text| text.parse::<BuildId>().expect(text));
        assert!(parsed.is_sorted());
    }
}
