//! RFC 3339, as Go writes it.

use std::time::{Duration, SystemTime};

/// A time a host gives; the two by which it says that there is none are none.
///
/// Go's zero time is of year 1, and what simplestreams leaves out becomes the first second of 1970.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let seconds = seconds(text)?;
    (seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// A time as hosts write it; what is before 1970 is none.
#[cfg(feature = "serve")]
pub(crate) fn format(time: Option<SystemTime>) -> String {
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let seconds = match since.map(|since| since.as_secs()) {
        Some(seconds) if (1..LAST_SECOND).contains(&seconds) => seconds,
        _ => return "0001-01-01T00:00:00Z".to_owned(),
    };
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let mut month = 1;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds since 1970, fractions cut off.
fn seconds(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (
        number(date.next()?, 4)?,
        number(date.next()?, 2)?,
        number(date.next()?, 2)?,
    );
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(at);
    let time = match time.split_once('.') {
        Some((time, fraction))
            if !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()) =>
        {
            time
        }
        Some(_) => return None,
        None => time,
    };
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) = (
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
        number(time.next()?, 2)?,
    );
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !valid {
        return None;
    }
    let local = (days_before(year, month) + day - 1) * 86_400 + hour * 3600 + minute * 60 + second;
    match zone {
        "Z" | "z" => Some(local),
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if zone.starts_with('+') {
                local.checked_sub(offset)
            } else {
                Some(local + offset)
            }
        }
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_before(year: u64, month: u64) -> u64 {
    let years: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum();
    years + (1..month).map(|month| days_in(year, month)).sum::<u64>()
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

// The end of year 9999.
#[cfg(feature = "serve")]
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, wanted) in [
            ("2014-03-19T13:09:49Z", Some(1_395_234_589)),
            ("2014-03-19T14:09:49+01:00", Some(1_395_234_589)),
            ("2014-03-19T08:09:49-05:00", Some(1_395_234_589)),
            ("2026-11-23T18:53:40.187944544Z", Some(1_795_460_020)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("0001-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("2023-02-29T00:00:00Z", None),
            ("2014-03-19T13:09:49", None),
            ("2014-03-19T13:09:49.Z", None),
            ("2014-03-19", None),
            ("", None),
            ("２０１４-03-19T13:09:49Z", None),
            ("99999-03-19T13:09:49Z", None),
            ("2014-03-19T13:09:49+é:00", None),
        ] {
            let found = parse(text).map(|time| {
                let since = time.duration_since(SystemTime::UNIX_EPOCH);
                since.expect("after 1970").as_secs()
            });
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[cfg(feature = "serve")]
    #[test]
    fn writes_what_it_reads() {
        for text in [
            "2014-03-19T13:09:49Z",
            "2024-02-29T23:59:59Z",
            "2000-12-31T00:00:00Z",
            "1970-01-01T00:00:01Z",
        ] {
            assert_eq!(format(parse(text)), text);
        }
        assert_eq!(format(None), "0001-01-01T00:00:00Z");
    }
}
