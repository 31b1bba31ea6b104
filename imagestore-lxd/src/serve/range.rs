/// What of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing that there is.
    Beyond,
    /// From this byte to that one, both of them included.
    Bytes {
        first: u64,
        last: u64,
    },
    Whole,
}

impl Part {
    /// The part of a file of this length that a `Range` field names.
    ///
    /// Several ranges, other units and what is no range are as if not asked for (RFC 9110, 14.2):
    /// whoever asks must accept all of the file at any time.
    pub(super) fn of(range: &str, length: u64) -> Self {
        let Some((unit, range)) = range.split_once('=') else {
            return Self::Whole;
        };
        let Some((first, last)) = range.split_once('-') else {
            return Self::Whole;
        };
        if !unit.eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let (first, last) = match (bound(first), bound(last)) {
            (Bound::At(first), Bound::At(last)) if first <= last => (first, last),
            (Bound::At(first), Bound::Open) => (first, u64::MAX),
            (Bound::Open, Bound::At(0)) => return Self::Beyond,
            (Bound::Open, Bound::At(count)) => (length.saturating_sub(count), u64::MAX),
            _ => return Self::Whole,
        };
        if first >= length {
            return Self::Beyond;
        }
        let last = last.min(length - 1);
        Self::Bytes { first, last }
    }
}

enum Bound {
    At(u64),
    None,
    Open,
}

fn bound(text: &str) -> Bound {
    if text.is_empty() {
        return Bound::Open;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Bound::None;
    }
    // Digits that do not fit are a place behind every file.
    Bound::At(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_one_part_at_most() {
        let bytes = |first, last| Part::Bytes { first, last };
        let huge = "99999999999999999999999";
        for (text, wanted) in [
            ("bytes=0-", bytes(0, 9)),
            ("bytes=9-", bytes(9, 9)),
            ("bytes=10-", Part::Beyond),
            ("bytes=1-2", bytes(1, 2)),
            ("bytes=0-0", bytes(0, 0)),
            ("bytes=1-10", bytes(1, 9)),
            ("bytes=10-12", Part::Beyond),
            ("bytes=2-1", Part::Whole),
            ("bytes=-2", bytes(8, 9)),
            ("bytes=-10", bytes(0, 9)),
            ("bytes=-11", bytes(0, 9)),
            ("bytes=-0", Part::Beyond),
            ("Bytes=1-2", bytes(1, 2)),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes", Part::Whole),
            ("", Part::Whole),
            ("bytes=+1-", Part::Whole),
            ("bytes=1-+2", Part::Whole),
            ("bytes=--2", Part::Whole),
            ("bytes=0x1-", Part::Whole),
            ("bytes=1-2,4-5", Part::Whole),
            ("bytes=1-,4-", Part::Whole),
            ("bytes 1-2", Part::Whole),
            ("lines=1-", Part::Whole),
            (&format!("bytes={huge}-"), Part::Beyond),
            (&format!("bytes=1-{huge}"), bytes(1, 9)),
            (&format!("bytes=-{huge}"), bytes(0, 9)),
        ] {
            assert_eq!(Part::of(text, 10), wanted, "{text}");
        }
    }
}
