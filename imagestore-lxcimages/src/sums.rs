use std::collections::BTreeMap;

use imagestore_core::printable;
use imagestore_verify::Sha256;

use crate::error::ParseError;

/// A list of digests as `sha256sum` writes it: 64 digits, one or two blanks, a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    digests: BTreeMap<Vec<u8>, Sha256>,
}

impl Sums {
    /// The list in these bytes, which must have been checked.
    ///
    /// # Errors
    /// [`ParseError::SumsLine`] for a line that is none, [`ParseError::SumsTwice`] for two digests
    /// of one file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut digests = BTreeMap::new();
        for (n, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = raw.strip_suffix(b"\r").unwrap_or(raw);
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (digest, name) = entry(line).ok_or(ParseError::SumsLine { line: n + 1 })?;
            if digests
                .insert(name.to_vec(), digest)
                .is_some_and(|other| other != digest)
            {
                let name = printable(&String::from_utf8_lossy(name));
                return Err(ParseError::SumsTwice { name });
            }
        }
        Ok(Self { digests })
    }

    /// The digest of the file of this name.
    ///
    /// # Errors
    /// [`ParseError::SumsMissing`] if it is not in the list.
    pub fn digest(&self, name: &str) -> Result<Sha256, ParseError> {
        let missing = || ParseError::SumsMissing {
            name: name.to_owned(),
        };
        self.digests
            .get(name.as_bytes())
            .copied()
            .ok_or_else(missing)
    }
}

fn entry(line: &[u8]) -> Option<(Sha256, &[u8])> {
    let (digits, rest) = line.split_at_checked(64)?;
    let digest = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let name = rest.strip_prefix(b" ")?;
    // A second blank means text, an asterisk binary: the bytes are the same.
    let name = name
        .strip_prefix(b" ")
        .or(name.strip_prefix(b"*"))
        .unwrap_or(name);
    (!name.is_empty() && !name.starts_with(b" ")).then_some((digest, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "c2eed8f2bf4fe70287ba9244161f30aefdb86328f5759d7efcdbf2b8a92288d6";
    const TWO: &str = "54cec9bcbd597fd82c4c81d729938904b4b0351e03849a0b6e518dffcf13478f";

    #[test]
    fn reads_one_blank_two_blanks_and_an_asterisk() {
        for between in ["  ", " ", " *"] {
            let text = format!(
                "{ONE}{between}rootfs.tar.xz\n\n{}{between}meta.tar.xz\r\n",
                TWO.to_uppercase()
            );
            let sums = Sums::parse(text.as_bytes()).expect(&text);
            assert_eq!(
                sums.digest("rootfs.tar.xz")
                    .map(|digest| digest.to_string()),
                Ok(ONE.into())
            );
            assert_eq!(
                sums.digest("meta.tar.xz").map(|digest| digest.to_string()),
                Ok(TWO.into())
            );
        }
        let unterminated = format!("{ONE}  a b\n{ONE}  a b");
        let sums =
            Sums::parse(unterminated.as_bytes()).expect("the same line twice says nothing new");
        assert_eq!(
            sums.digest("meta.tar.xz")
                .map_err(|error| error.to_string()),
            Err("the list of digests does not name `meta.tar.xz`".into())
        );
        assert!(sums.digest("a b").is_ok());
    }

    #[test]
    fn refuses_lines_that_are_none() {
        for line in [
            "<html>",
            ONE,
            &format!("{ONE} "),
            &format!("{ONE}  "),
            &format!("{ONE}\tx"),
            &format!("{ONE}   x"),
            &format!("{}  x", &ONE[1..]),
            &format!("\\{ONE}  x"),
            &format!("{ONE}a  x"),
            "\0\0\0",
        ] {
            let text = format!("{TWO}  first\n{line}\n");
            assert_eq!(
                Sums::parse(text.as_bytes()),
                Err(ParseError::SumsLine { line: 2 }),
                "{line:?}"
            );
        }
        let text = format!("{ONE}  x\x1b\n{TWO} *x\x1b\n");
        let error = Sums::parse(text.as_bytes()).expect_err("two digests");
        assert_eq!(
            error.to_string(),
            "the list of digests names `x\\u{1b}` with two digests"
        );
    }
}
