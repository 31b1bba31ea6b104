//! The two kinds of dates in these trees: serials, which name versions, and `updated`.

use std::cmp::Ordering;

/// When a version was made, in seconds since 1970 UTC, if its serial begins with a day that exists:
/// `20240102`, `20240102_03:42`, `202401020342`, `20240102.1`.
pub(crate) fn of_serial(serial: &str) -> Option<u64> {
    let number = |range| digits(serial.get::<std::ops::Range<usize>>(range)?);
    let day = seconds(number(0..4)?, number(4..6)?, number(6..8)?)?;
    let time = match serial.get(8..)?.as_bytes() {
        [b'_', hour @ .., b':', m1, m2] if hour.len() == 2 => [hour, &[*m1, *m2]].concat(),
        [b'_', rest @ ..] | rest if rest.len() == 4 => rest.to_vec(),
        _ => return Some(day),
    };
    let clock = std::str::from_utf8(&time).ok().and_then(|time| {
        let (hour, minute) = (digits(time.get(..2)?)?, digits(time.get(2..)?)?);
        (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60)
    });
    Some(day + clock.unwrap_or(0))
}

/// Which of two serials is the newer one: by day, then by their numbers, so that `20240102.10`
/// comes after `20240102.9`. Those that are no date are older than those that are.
pub(crate) fn compare_serials(one: &str, other: &str) -> Ordering {
    let day = |serial: &str| of_serial(serial.get(..8).unwrap_or(serial));
    day(one)
        .cmp(&day(other))
        .then_with(|| runs(one).cmp(&runs(other)))
        .then_with(|| one.cmp(other))
}

/// Seconds since 1970 UTC of a date such as `Thu, 28 Aug 2014 21:36:56 +0000` (RFC 2822).
pub(crate) fn of_mail(text: &str) -> Option<u64> {
    let text = text
        .split_once(',')
        .map_or(text, |(_, behind)| behind)
        .trim();
    let mut words = text.split_ascii_whitespace();
    let day = digits(words.next()?)?;
    let month = words.next()?;
    let month = MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(month))?;
    let year = words.next().filter(|year| year.len() == 4)?;
    let start = seconds(digits(year)?, u64::try_from(month).ok()? + 1, day)?;
    let mut clock = words.next()?.splitn(3, ':');
    let (hour, minute) = (digits(clock.next()?)?, digits(clock.next()?)?);
    let second = clock.next().map_or(Some(0), digits)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = start + hour * 3600 + minute * 60 + second;
    let zone = words.next().unwrap_or("+0000");
    let (sign, offset) = zone.split_at_checked(1)?;
    let offset = match (sign, offset.len()) {
        ("+" | "-", 4) => digits(offset.get(..2)?)? * 3600 + digits(offset.get(2..)?)? * 60,
        _ if ["GMT", "UT", "UTC", "Z"].contains(&zone) => 0,
        _ => return None,
    };
    match sign {
        "-" => local.checked_add(offset),
        _ => local.checked_sub(offset),
    }
}

/// The seconds since 1970 of a day that exists.
pub(crate) fn seconds(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = |month: u64| match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    if day > length(month) {
        return None;
    }
    let before = year - 1;
    let leaps = before / 4 - before / 100 + before / 400 - LEAPS_BEFORE_1970;
    let days = (year - 1970) * 365 + leaps + (1..month).map(length).sum::<u64>() + day - 1;
    Some(days * 86_400)
}

fn digits(text: &str) -> Option<u64> {
    let fine = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

/// The runs of digits and of other characters; digits by value.
fn runs(serial: &str) -> Vec<Run<'_>> {
    serial
        .as_bytes()
        .chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit())
        .map(|run| {
            if !run.first().is_some_and(u8::is_ascii_digit) {
                return Run::Text(run);
            }
            let zeros = run.iter().take_while(|digit| **digit == b'0').count();
            let number = run.get(zeros..).unwrap_or_default();
            Run::Number(number.len(), number)
        })
        .collect()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Run<'a> {
    Number(usize, &'a [u8]),
    Text(&'a [u8]),
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const LEAPS_BEFORE_1970: u64 = 1969 / 4 - 1969 / 100 + 1969 / 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_of_all_forms_have_a_time() {
        for (serial, wanted) in [
            ("20150427_03:49", Some(1_430_106_540)),
            ("201504270349", Some(1_430_106_540)),
            ("20150427_0349", Some(1_430_106_540)),
            ("20150427", Some(1_430_092_800)),
            ("20150427.1", Some(1_430_092_800)),
            ("20150427_24:00", Some(1_430_092_800)),
            ("20240229", Some(1_709_164_800)),
            ("20230229", None),
            ("2015042", None),
            ("latest-1", None),
            ("", None),
            ("２０１５０４２７", None),
        ] {
            assert_eq!(of_serial(serial), wanted, "{serial}");
        }
    }

    #[test]
    fn newer_serials_are_greater() {
        let sorted = [
            "",
            "1.9",
            "1.10",
            "beta",
            "20231231_23:59",
            "20240101",
            "20240101.9",
            "20240101.10",
            "20240102_03:42",
            "20240102_13:42",
        ];
        let mut found = sorted;
        found.reverse();
        found.sort_by(|one, other| compare_serials(one, other));
        assert_eq!(found, sorted);
    }

    #[test]
    fn reads_dates_of_any_offset() {
        for (text, wanted) in [
            ("Wed, 20 Mar 2013 17:56:57 +0000", Some(1_363_802_217)),
            ("Tue, 15 Sep 2015 16:15:24 -0400", Some(1_442_348_124)),
            ("15 Sep 2015 16:15:24 +0530", Some(1_442_313_924)),
            ("Mon, 12 Dec 2016 20:48:38 GMT", Some(1_481_575_718)),
            ("Thu, 1 Jan 1970 00:00:00 +0100", None),
            ("Mon, 30 Feb 2016 20:48:38 GMT", None),
            ("Mon, 12 Dec 2016 25:48:38 GMT", None),
            ("Mon, 12 Dec 16 20:48:38 GMT", None),
            ("2016-12-12T20:48:38Z", None),
            ("", None),
        ] {
            assert_eq!(of_mail(text), wanted, "{text}");
        }
    }
}
