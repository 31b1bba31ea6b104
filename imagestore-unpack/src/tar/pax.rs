use crate::error::UnpackError;
use crate::escape::escape;

/// One `length key=value` line of a PAX extension header.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// The records of an extension header; every byte belongs to one.
pub(super) fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, UnpackError> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) =
            record(bytes).map_err(|what| UnpackError::malformed(format!("a PAX record {what}")))?;
        all.push(record);
        bytes = rest;
    }
    Ok(all)
}

fn record(bytes: &[u8]) -> Result<(Record<'_>, &[u8]), String> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let shown = || escape(&bytes[..bytes.len().min(16)]);
    if digits == 0 || digits > 9 || bytes[0] == b'0' {
        return Err(format!("has no length: begins with `{}`", shown()));
    }
    let length = bytes[..digits]
        .iter()
        .fold(0, |value, digit| value * 10 + usize::from(digit - b'0'));
    let Some(line) = bytes.get(..length) else {
        return Err(format!(
            "is {length} bytes long, of which {} are there",
            bytes.len()
        ));
    };
    let Some(line) = line.get(digits..).and_then(|line| line.strip_prefix(b" ")) else {
        return Err(format!(
            "has no blank after its length: begins with `{}`",
            shown()
        ));
    };
    let Some(line) = line.strip_suffix(b"\n") else {
        return Err(format!(
            "does not end in a newline: begins with `{}`",
            shown()
        ));
    };
    match line.iter().position(|byte| *byte == b'=') {
        None => Err(format!("has no `=`: begins with `{}`", shown())),
        Some(0) => Err(format!("has no key: begins with `{}`", shown())),
        Some(equals) => {
            let record = Record {
                key: &line[..equals],
                value: &line[equals + 1..],
            };
            Ok((record, &bytes[length..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_values_with_newlines_and_equals() {
        let all = records(b"12 path=abc\n24 SCHILY.xattr.a=x=y\n\n\n").expect("well formed");
        assert_eq!(
            all,
            [
                Record {
                    key: b"path",
                    value: b"abc"
                },
                Record {
                    key: b"SCHILY.xattr.a",
                    value: b"x=y\n\n"
                },
            ]
        );
    }

    #[test]
    fn refuses_every_malformed_record() {
        for (bytes, message) in [
            (
                &b"path=abc\n"[..],
                "a PAX record has no length: begins with `path=abc\\n`",
            ),
            (
                b"012 path=abc\n",
                "a PAX record has no length: begins with `012 path=abc\\n`",
            ),
            (
                b"99 path=abc\n",
                "a PAX record is 99 bytes long, of which 12 are there",
            ),
            (
                b"11 path=abc\n",
                "a PAX record does not end in a newline: begins with `11 path=abc\\n`",
            ),
            (
                b"8 pathx\n",
                "a PAX record has no `=`: begins with `8 pathx\\n`",
            ),
            (
                b"7 =abc\n",
                "a PAX record has no key: begins with `7 =abc\\n`",
            ),
            (
                b"3path=\n",
                "a PAX record has no blank after its length: begins with `3path=\\n`",
            ),
            (
                b"12 path=abc\n\0",
                "a PAX record has no length: begins with `\\u{0}`",
            ),
            (
                b"1 ",
                "a PAX record has no blank after its length: begins with `1 `",
            ),
        ] {
            assert_eq!(records(bytes).expect_err("malformed").to_string(), message);
        }
    }
}
