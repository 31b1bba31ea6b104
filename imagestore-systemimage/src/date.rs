/// The UNIX seconds of `Mon Dec 18 08:54:59 UTC 2017`, the form of `generated_at`.
///
/// Only the C locale and UTC: anything else would be a guess, and the time decides what is older.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    let [weekday, month, day, time, "UTC", year] = parts[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let day = number(day, 2)?;
    let year = number(year, 4).filter(|year| (1970..=9999).contains(year))?;
    let mut clock = time.split(':');
    let (hour, minute, second) = (
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
    );
    // 60 is a leap second.
    let fits = clock.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    if !fits || day == 0 || day > days_in(year, month) {
        return None;
    }
    let days =
        days_before(year) + (0..month).map(|month| days_in(year, month)).sum::<u64>() + day - 1;
    // 1970 began on a Thursday.
    if WEEKDAYS.get(((days + 4) % 7) as usize) != Some(&weekday) {
        return None;
    }
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Seconds since 1970 as `2017-12-18 08:54:59 UTC`.
pub(crate) fn show(seconds: u64) -> String {
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    // Past any date that means something, the number says as much.
    if days > 3_000_000 {
        return format!("second {seconds}");
    }
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 0;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!(
        "{year:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC",
        month + 1,
        days + 1
    )
}

fn number(text: &str, most: usize) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn days_before(year: u64) -> u64 {
    (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum()
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        1 if leap(year) => 29,
        1 => 28,
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_dates_that_servers_write() {
        for (text, seconds) in [
            ("Mon Dec 18 08:54:59 UTC 2017", 1_513_587_299),
            ("Mon Apr 29 18:45:27 UTC 2013", 1_367_261_127),
            ("Thu Jan  1 00:00:00 UTC 1970", 0),
            ("Sat Feb 29 23:59:59 UTC 2020", 1_583_020_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn shows_times_for_people() {
        assert_eq!(show(1_513_587_299), "2017-12-18 08:54:59 UTC");
        assert_eq!(show(1_583_020_799), "2020-02-29 23:59:59 UTC");
        assert_eq!(show(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(show(u64::MAX), format!("second {}", u64::MAX));
    }

    #[test]
    fn refuses_dates_that_are_none() {
        for text in [
            "",
            "Mon Dec 18 08:54:59 2017",
            "Mon Dec 18 08:54:59 CET 2017",
            "Mo Dez 18 08:54:59 UTC 2017",
            "Tue Dec 18 08:54:59 UTC 2017",
            "Thu Feb 30 08:54:59 UTC 2017",
            "Wed Dec 31 23:59:59 UTC 1969",
            "Mon Dec 18 24:54:59 UTC 2017",
            "Mon Dec 18 08:54:59 UTC 2017 x",
            "Mon Dec 18 08:54:59:00 UTC 2017",
            "2017-12-18T08:54:59Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
