//! Certificates as DER or PEM. Only their bytes count, so nothing of X.509 is read.

/// The DER form of each certificate in the bytes.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    // A DER certificate is a SEQUENCE; no PEM begins with that byte, which is `0`.
    if bytes.first() == Some(&0x30) && !bytes.is_ascii() {
        return Ok(vec![bytes.to_vec()]);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err("neither PEM nor DER");
    };
    let mut found = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let Some((body, _)) = block.split_once(END) else {
            return Err("a PEM certificate without its end");
        };
        if found.len() >= MAX_CERTIFICATES {
            return Err("more than 16 certificates in one file");
        }
        found.push(decode(body).ok_or("a PEM certificate that is not base64")?);
    }
    if found.is_empty() {
        Err("neither PEM nor DER")
    } else {
        Ok(found)
    }
}

fn decode(body: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if digits.is_empty() || !digits.len().is_multiple_of(4) {
        return None;
    }
    let padding = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'=')
        .count();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for digit in digits.get(..digits.len() - padding)? {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    (padding <= 2).then_some(out)
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const MAX_CERTIFICATES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_pem_with_any_padding_and_line_ends() {
        for (body, wanted) in [
            ("MAAB\n", &b"0\0\x01"[..]),
            ("MIIB\r\nAg==\r\n", b"0\x82\x01\x02"),
            ("MIE=", b"0\x81"),
        ] {
            let pem = format!("subject=x\n{BEGIN}\n{body}{END}\n");
            assert_eq!(
                certificates(pem.as_bytes()),
                Ok(vec![wanted.to_vec()]),
                "{body:?}"
            );
        }
        let two = format!("{BEGIN}MAAB{END}\n{BEGIN}MAAC{END}");
        assert_eq!(certificates(two.as_bytes()).map(|found| found.len()), Ok(2));
    }

    #[test]
    fn takes_der_as_it_is() {
        assert_eq!(
            certificates(b"\x30\x82\x01\x02"),
            Ok(vec![b"\x30\x82\x01\x02".to_vec()])
        );
    }

    #[test]
    fn says_what_is_no_certificate() {
        let cases = [
            (String::new(), "neither PEM nor DER"),
            ("<html>".into(), "neither PEM nor DER"),
            (format!("{BEGIN}MAAB"), "a PEM certificate without its end"),
            (
                format!("{BEGIN}MA*B{END}"),
                "a PEM certificate that is not base64",
            ),
            (
                format!("{BEGIN}MAABA{END}"),
                "a PEM certificate that is not base64",
            ),
            (
                format!("{BEGIN}===={END}"),
                "a PEM certificate that is not base64",
            ),
            (
                format!("{BEGIN}{END}"),
                "a PEM certificate that is not base64",
            ),
            (
                format!("{BEGIN}MAAB{END}").repeat(17),
                "more than 16 certificates in one file",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(certificates(text.as_bytes()), Err(wanted), "{text}");
        }
    }
}
