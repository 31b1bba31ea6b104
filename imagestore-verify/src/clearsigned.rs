//! Clear-signed documents (RFC 9580 §7): a text and its signature in one file.
//!
//! What is given out is built from the lines that are hashed, and nothing else, so that no reader
//! can see more or less than what was signed.

use bytes::Bytes;

use crate::{
    certificate::kind, error::VerifyError, policy::Beside, proof::Proof, reason::Reason,
    signature::DetachedSignature, unverified::Unverified, verified::Verified, verifier::Verifier,
    warning::Warning,
};

impl Verifier {
    /// Checks a clear-signed document and gives out the text that was signed: without dash
    /// escapes, without spaces and tabs at the ends of lines, with lines that end in CR LF and none
    /// behind the last. The document is one text and one block of signatures, with nothing before
    /// and at most blank lines behind.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Malformed`] for anything else, and those of [`check`](Self::check).
    pub fn check_clear_signed(
        &self,
        document: Unverified<Bytes>,
    ) -> Result<Verified<Bytes>, VerifyError> {
        let (text, signature) =
            split(document.peek()).map_err(|reason| VerifyError::Malformed {
                what: "clear-signed document",
                reason,
            })?;
        let signature = Bytes::copy_from_slice(signature);
        let signature = DetachedSignature::parse(&Unverified::new(signature))?;
        // A signature over a file that was never meant as text must not be passed off as one over
        // a document.
        let of_text = |kind| kind == kind::TEXT;
        if !signature
            .signatures
            .iter()
            .flatten()
            .all(|s| of_text(s.kind))
        {
            return Err(VerifyError::Malformed {
                what: "clear-signed document",
                reason: wrong(1, "it is signed as a file, not as a text"),
            });
        }
        // What is given out is what was hashed, to the byte.
        let mut check = self.for_text().begin(&signature, Beside::Digest);
        if let Some(error) = check.hopeless() {
            return Err(error);
        }
        check.update(&text);
        let mut proofs = check.finish()?;
        for proof in &mut proofs {
            // The line endings that were signed are those that are given out.
            proof.warnings.retain(|warning| *warning != Warning::Text);
        }
        let proofs = proofs.into_iter().map(Proof::Signature).collect();
        Ok(Verified::proven(Bytes::from(text), proofs))
    }
}

/// The text as it was signed, and the armor behind it.
fn split(document: &[u8]) -> Result<(Vec<u8>, &[u8]), Reason> {
    let mut lines = Lines {
        rest: document,
        number: 0,
    };
    if lines.next()? != Some(BEGIN) {
        return Err(wrong(1, "it does not begin a clear-signed text"));
    }
    for found in 0.. {
        match lines.next()? {
            Some(b"") => break,
            Some(header) if header.starts_with(b"Hash: ") && found < MAX_HEADERS => {}
            Some(_) => {
                return Err(wrong(
                    lines.number,
                    "neither a Hash header nor the blank line",
                ));
            }
            None => return Err(wrong(lines.number, CUT)),
        }
    }
    let mut text = Vec::with_capacity(lines.rest.len());
    let mut first = true;
    loop {
        let armor = lines.rest;
        let line = match lines.next()? {
            Some(SIGNATURE) => return Ok((text, armor)),
            Some([b'-', b' ', line @ ..]) => line,
            Some([b'-', ..]) => {
                let why = "it begins with a dash that is not escaped";
                return Err(wrong(lines.number, why));
            }
            Some(line) => line,
            None => return Err(wrong(lines.number, CUT)),
        };
        if !std::mem::take(&mut first) {
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(line);
    }
}

/// The lines of a document, without their ends and what is not signed before them.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, Reason> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        while let [kept @ .., b' ' | b'\t'] = line {
            line = kept;
        }
        // Some programs end a line there, and would see another text.
        if line.contains(&b'\r') {
            return Err(wrong(self.number, "it holds a carriage return"));
        }
        Ok(Some(line))
    }
}

fn wrong(line: usize, wrong: &'static str) -> Reason {
    Reason::ArmorLine { line, wrong }
}

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const CUT: &str = "it is cut off before the signature";
const MAX_HEADERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n";
    const TAIL: &str = "-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n";

    #[test]
    fn gives_out_what_is_hashed() {
        for (body, wanted) in [
            ("one\ntwo\n", "one\r\ntwo"),
            ("one \t\r\ntwo\r\n", "one\r\ntwo"),
            ("- -dash\n- From\n- - x\n", "-dash\r\nFrom\r\n- x"),
            (
                "- -----BEGIN PGP SIGNATURE-----\n",
                "-----BEGIN PGP SIGNATURE-----",
            ),
            ("\n\n", "\r\n"),
            ("", ""),
        ] {
            let document = format!("{HEAD}{body}{TAIL}");
            let (text, armor) = split(document.as_bytes()).expect(body);
            assert_eq!(String::from_utf8_lossy(&text), wanted);
            assert_eq!(armor, TAIL.as_bytes());
        }
    }

    #[test]
    fn refuses_other_forms() {
        for (document, line, why) in [
            (
                format!("x\n{HEAD}{TAIL}"),
                1,
                "it does not begin a clear-signed text",
            ),
            (
                format!("\n{HEAD}{TAIL}"),
                1,
                "it does not begin a clear-signed text",
            ),
            (String::new(), 1, "it does not begin a clear-signed text"),
            (
                format!("{HEAD}-x\n{TAIL}"),
                4,
                "it begins with a dash that is not escaped",
            ),
            (
                format!("{HEAD}{HEAD}{TAIL}"),
                4,
                "it begins with a dash that is not escaped",
            ),
            (
                format!("{HEAD}a\rb\n{TAIL}"),
                4,
                "it holds a carriage return",
            ),
            (format!("{HEAD}x\n"), 4, CUT),
            (
                HEAD.replace("Hash: SHA512", "NotDashEscaped: You need GnuPG") + TAIL,
                2,
                "neither a Hash header nor the blank line",
            ),
        ] {
            assert_eq!(
                split(document.as_bytes()),
                Err(wrong(line, why)),
                "{document:?}"
            );
        }
    }
}
