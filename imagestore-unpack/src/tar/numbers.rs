use super::entry::Time;
use crate::error::UnpackError;
use crate::escape::escape;

/// A number of a header field; `None` for a field that is all NUL or blank.
///
/// Octal with leading blanks, ended by NUL, blank or the field, as all writers since 1979 make
/// it; or base-256 as GNU tar writes it for what octal cannot hold.
pub(super) fn field(field: &[u8], what: &str) -> Result<Option<i128>, UnpackError> {
    match field.first() {
        Some(0x80) => positive_base_256(&field[1..])
            .map(Some)
            .ok_or_else(|| broken(field, what)),
        Some(0xff) => negative_base_256(&field[1..])
            .map(Some)
            .ok_or_else(|| broken(field, what)),
        _ => octal(field).ok_or_else(|| broken(field, what)),
    }
}

/// A decimal number of a PAX record: digits and nothing else.
pub(super) fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 20 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A time of a PAX record: seconds with an optional sign and fraction.
pub(super) fn time(value: &[u8]) -> Option<Time> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let whole = i64::try_from(decimal(&digits[..point.unwrap_or(digits.len())])?).ok()?;
    let mut nanoseconds = 0;
    let mut beyond = false;
    if let Some(point) = point {
        let fraction = &digits[point + 1..];
        if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for place in 0..9 {
            let digit = fraction
                .get(place)
                .map_or(0, |digit| u32::from(digit - b'0'));
            nanoseconds = nanoseconds * 10 + digit;
        }
        beyond = fraction.iter().skip(9).any(|digit| *digit != b'0');
    }
    if !negative {
        return Some(Time {
            seconds: whole,
            nanoseconds,
        });
    }
    // Times before 1970 count nanoseconds forward from the second before.
    let nanoseconds = nanoseconds + u32::from(beyond);
    if nanoseconds == 0 {
        return Some(Time {
            seconds: -whole,
            nanoseconds,
        });
    }
    let seconds = (-whole).checked_sub(1)?;
    Some(Time {
        seconds,
        nanoseconds: 1_000_000_000 - nanoseconds,
    })
}

fn octal(field: &[u8]) -> Option<Option<i128>> {
    let field = field.trim_ascii_start();
    let digits = field
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    let (digits, rest) = field.split_at(digits);
    if !rest.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return None;
    }
    if digits.is_empty() {
        return Some(None);
    }
    // The longest field has twelve bytes: 36 bits.
    Some(Some(digits.iter().fold(0, |value, digit| {
        value * 8 + i128::from(digit - b'0')
    })))
}

fn positive_base_256(bytes: &[u8]) -> Option<i128> {
    let value = bytes
        .iter()
        .fold(0_i128, |value, byte| value << 8 | i128::from(*byte));
    (value <= i128::from(u64::MAX)).then_some(value)
}

fn negative_base_256(bytes: &[u8]) -> Option<i128> {
    let value = bytes
        .iter()
        .fold(-1_i128, |value, byte| value << 8 | i128::from(*byte));
    (value >= i128::from(i64::MIN)).then_some(value)
}

fn broken(field: &[u8], what: &str) -> UnpackError {
    UnpackError::malformed(format!(
        "the {what} field holds `{}`, not a number",
        escape(field)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_historic_form_of_octal() {
        for (bytes, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"000644 \0", Some(0o644)),
            (b"    644 ", Some(0o644)),
            (b"77777777", Some(0o7777_7777)),
            (b"\0\0\0\0\0\0\0\0", None),
            (b"        ", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
        ] {
            assert_eq!(
                field(bytes, "mode").expect("historically valid"),
                value,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for bytes in [
            &b"00x0644\0"[..],
            b"0644\0 7\0",
            b"-000001\0",
            b"+AAAAAAA",
            b"\x84\0\0\0\0\0\0\0",
            b"8\0",
        ] {
            let error = field(bytes, "mode").expect_err("not a number");
            assert!(
                error.to_string().starts_with("the mode field holds `"),
                "{error}"
            );
        }
        let all_ones = [0xff; 12];
        assert_eq!(field(&all_ones, "size").expect("minus one"), Some(-1));
        let mut huge = [0; 12];
        huge[0] = 0x80;
        huge[1] = 4;
        assert!(field(&huge, "size").is_err());
    }

    #[test]
    fn reads_times_before_and_after_1970() {
        for (value, seconds, nanoseconds) in [
            (&b"0"[..], 0, 0),
            (b"1700000000.123456789", 1_700_000_000, 123_456_789),
            (b"1700000000.5", 1_700_000_000, 500_000_000),
            (b"1.0000000009", 1, 0),
            (b"-1.25", -2, 750_000_000),
            (b"-3", -3, 0),
            (b"-0.0000000001", -1, 999_999_999),
        ] {
            assert_eq!(
                time(value),
                Some(Time {
                    seconds,
                    nanoseconds
                }),
                "{value:?}"
            );
        }
        for value in [
            &b""[..],
            b"-",
            b"1.",
            b".5",
            b"1e9",
            b"+1",
            b"1.5 ",
            b"99999999999999999999",
        ] {
            assert_eq!(time(value), None, "{value:?}");
        }
    }
}
