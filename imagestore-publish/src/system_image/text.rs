use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// A document as these servers write it: keys sorted, four blanks for each level, a line end at the
/// end. Recoveries find values in `keyring.json` by such lines.
pub(super) fn json(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let mut serializer = Serializer::with_formatter(&mut out, formatter);
    // Values in memory can always be written to memory.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok());
    out.push(b'\n');
    out
}

/// `Mon Dec 18 08:54:59 UTC 2017`.
pub(super) fn date(seconds: u64) -> String {
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // Civil from days, with years that begin in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = (march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} UTC {year}",
        WEEKDAYS[((days + 4) % 7) as usize],
        MONTHS[month as usize],
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_dates_in_the_c_locale() {
        for (seconds, text) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (1_513_587_299, "Mon Dec 18 08:54:59 UTC 2017"),
            (1_583_020_799, "Sat Feb 29 23:59:59 UTC 2020"),
            (1_704_067_200, "Mon Jan 01 00:00:00 UTC 2024"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn writes_json_in_lines_that_recoveries_find() {
        let value = serde_json::json!({"type": "image-signing", "expiry": 7, "devices": {}});
        assert_eq!(
            String::from_utf8(json(&value)).expect("text"),
            "{\n    \"devices\": {},\n    \"expiry\": 7,\n    \"type\": \"image-signing\"\n}\n"
        );
    }
}
