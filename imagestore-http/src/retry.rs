use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use imagestore_core::Error;

use crate::options::HttpOptions;

/// A try that came to nothing, and whether another one may help.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// After this time, as the server asks.
    After(Duration),
    /// No: the answer would be the same.
    No,
    /// After a pause.
    Soon,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            again: Again::No,
        }
    }
}

/// The tries of one request.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    options: &'a HttpOptions,
    done: u32,
    waited: Duration,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(options: &'a HttpOptions) -> Self {
        Self {
            options,
            done: 0,
            waited: Duration::ZERO,
        }
    }

    /// The pause before the next try, if there is to be one.
    pub(crate) fn next(&mut self, again: Again) -> Option<Duration> {
        self.done += 1;
        if self.done >= self.options.tries {
            return None;
        }
        let left = self.options.longest_wait.saturating_sub(self.waited);
        let pause = match again {
            Again::No => return None,
            Again::After(pause) => pause,
            Again::Soon => with_jitter(self.options.back_off * 2u32.pow((self.done - 1).min(16))),
        };
        let pause = pause.min(left);
        self.waited += pause;
        Some(pause)
    }

    /// How many there were.
    pub(crate) fn done(&self) -> u32 {
        self.done
    }
}

/// What a `Retry-After` field asks for; what cannot be understood is a pause of our own.
pub(crate) fn retry_after(field: Option<&str>, now: SystemTime) -> Again {
    let Some(field) = field.map(str::trim) else {
        return Again::Soon;
    };
    if !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit()) {
        return Again::After(Duration::from_secs(field.parse().unwrap_or(u64::MAX)));
    }
    match parse_date(field).map(|date| date.duration_since(now)) {
        Some(Ok(pause)) => Again::After(pause),
        Some(Err(_)) | None => Again::Soon,
    }
}

fn with_jitter(pause: Duration) -> Duration {
    // The keys of a new state are random: enough for a jitter, and no dependency.
    let part = RandomState::new().hash_one(0u8) % 512;
    pause + pause.mul_f64(part as f64 / 1024.0)
}

/// A date as in `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still generated.
pub(crate) fn parse_date(text: &str) -> Option<SystemTime> {
    let mut words = text.strip_suffix(" GMT")?.split(' ').skip(1);
    let day: u64 = number(words.next()?, 1..=31)?;
    let month = words.next()?;
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let year: u64 = number(words.next()?, 1970..=9999)?;
    let mut clock = words.next()?.split(':');
    let hour = number(clock.next()?, 0..=23)?;
    let minute = number(clock.next()?, 0..=59)?;
    let second = number(clock.next()?, 0..=60)?;
    if words.next().is_some() || clock.next().is_some() {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(DAYS_BEFORE_1970)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| digits && range.contains(number))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

// From 1 March of the year 0 to 1 January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_what_servers_ask_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let after = |seconds| Again::After(Duration::from_secs(seconds));
        let cases = [
            (None, Again::Soon),
            (Some("7"), after(7)),
            (Some("0"), after(0)),
            (Some("999999999"), after(999_999_999)),
            (Some("99999999999999999999999"), after(u64::MAX)),
            (Some("-5"), Again::Soon),
            (Some("soon"), Again::Soon),
            (Some(""), Again::Soon),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), after(0)),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), after(30)),
            (
                Some("Tue, 29 Feb 2000 00:00:00 GMT"),
                after(951_782_400 - 784_111_777),
            ),
            (
                Some("Wed, 31 Dec 2098 23:59:59 GMT"),
                after(4_070_908_799 - 784_111_777),
            ),
            (Some("Thu, 01 Jan 1970 00:00:00 GMT"), Again::Soon),
            (Some("Sun, 06 Nov 1994 08:49:37 CET"), Again::Soon),
            (Some("Sun, 99 Nov 1994 08:49:37 GMT"), Again::Soon),
        ];
        for (field, wanted) in cases {
            assert_eq!(retry_after(field, now), wanted, "{field:?}");
        }
    }

    #[test]
    fn waits_longer_each_time_but_never_longer_than_allowed() {
        let options = HttpOptions {
            tries: 5,
            ..HttpOptions::default()
        };
        let mut tries = Tries::new(&options);
        for shortest in [500, 1000, 2000] {
            let pause = tries.next(Again::Soon).expect("a pause").as_millis();
            assert!((shortest..=shortest * 3 / 2).contains(&pause), "{pause}");
        }
        let pause = tries
            .next(Again::After(Duration::from_secs(u64::MAX)))
            .expect("a pause");
        assert_eq!(tries.waited, options.longest_wait);
        assert!(pause < options.longest_wait);
        assert_eq!(tries.next(Again::Soon), None);
        assert_eq!(tries.done(), 5);
        assert_eq!(Tries::new(&options).next(Again::No), None);
    }
}
