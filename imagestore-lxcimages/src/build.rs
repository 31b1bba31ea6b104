//! Build ids. They are opaque; only those of a known form have a time.

/// The form of a build id that is a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `2024-03-13`
    Dashes,
    /// `20150427`
    Day,
    /// `20150427_03:49`
    Minute,
}

/// The form of a build id, if it is a known one. The date need not exist.
pub(crate) fn form(build: &str) -> Option<Form> {
    let shaped = |shape: &str| {
        build.len() == shape.len()
            && build
                .bytes()
                .zip(shape.bytes())
                .all(|(found, wanted)| match wanted {
                    b'0' => found.is_ascii_digit(),
                    mark => found == mark,
                })
    };
    [
        (Form::Dashes, "0000-00-00"),
        (Form::Day, "00000000"),
        (Form::Minute, "00000000_00:00"),
    ]
    .into_iter()
    .find_map(|(form, shape)| shaped(shape).then_some(form))
}

/// When a build was made, in seconds since 1970 UTC, if its id is a date that exists.
pub(crate) fn seconds(build: &str) -> Option<u64> {
    form(build)?;
    let digits: Vec<u64> = build
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|digit| u64::from(digit - b'0'))
        .collect();
    let number = |range| {
        digits
            .get::<std::ops::Range<usize>>(range)
            .map(|some| some.iter().fold(0, |n, d| n * 10 + d))
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute) = (number(8..10).unwrap_or(0), number(10..12).unwrap_or(0));
    if year < 1970 || hour > 23 || minute > 59 || day < 1 || day > days_in(year, month)? {
        return None;
    }
    let days: u64 = (1970..year)
        .map(|year| if is_leap(year) { 366 } else { 365 })
        .sum::<u64>()
        + (1..month)
            .filter_map(|month| days_in(year, month))
            .sum::<u64>()
        + day
        - 1;
    Some((days * 24 + hour) * 3600 + minute * 60)
}

fn days_in(year: u64, month: u64) -> Option<u64> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return None,
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_of_a_known_form_has_a_time() {
        for (build, wanted, at) in [
            ("19700101", Form::Day, Some(0)),
            ("20150427_03:49", Form::Minute, Some(1_430_106_540)),
            ("2024-03-13", Form::Dashes, Some(1_710_288_000)),
            ("20240229", Form::Day, Some(1_709_164_800)),
            ("20000229", Form::Day, Some(951_782_400)),
            ("20230229", Form::Day, None),
            ("21000229", Form::Day, None),
            ("20150431_00:00", Form::Minute, None),
            ("20151301", Form::Day, None),
            ("20150427_24:00", Form::Minute, None),
            ("0000-00-00", Form::Dashes, None),
        ] {
            assert_eq!(form(build), Some(wanted), "{build}");
            assert_eq!(seconds(build), at, "{build}");
        }
    }

    #[test]
    fn other_builds_have_none() {
        for build in [
            "",
            "1",
            "2015042",
            "20150427_0349",
            "20150427_03:49:00",
            "2015-4-27",
            "default",
            "２０１５０４２７",
        ] {
            assert_eq!(form(build), None, "{build}");
            assert_eq!(seconds(build), None, "{build}");
        }
    }
}
