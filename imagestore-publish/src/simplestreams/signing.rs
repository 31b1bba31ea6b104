use std::time::SystemTime;

use imagestore_verify::signing::SigningKey;

use crate::error::PublishError;

/// A clear-signed document, as GnuPG reads it.
///
/// # Errors
/// [`PublishError::Field`] if a line is so long that GnuPG cuts it and calls the signature bad.
pub(super) fn sign_clear(
    key: &SigningKey,
    text: &str,
    at: SystemTime,
) -> Result<String, PublishError> {
    match text.lines().find(|line| line.len() > MAX_LINE) {
        Some(line) => Err(PublishError::field(
            "a line",
            "is longer than the 19995 bytes that GnuPG reads in clear-signed text",
            line,
        )),
        None => Ok(key.sign_clear(text, at)),
    }
}

// GnuPG's buffer is of 20,000 bytes; some are for the end of the line and the escape of a dash.
const MAX_LINE: usize = 19_995;

#[cfg(test)]
mod tests {
    use imagestore_testkit::keys;

    use super::*;

    #[test]
    fn refuses_a_line_that_gnupg_cuts() {
        let at = keys::at(keys::SIGNED);
        let text = |length: usize| format!("{{\n{}\n}}\n", "x".repeat(length));
        let signed = sign_clear(keys::images(), &text(MAX_LINE), at).expect("fits");
        assert!(signed.contains(&text(MAX_LINE)));
        let error = sign_clear(keys::images(), &text(MAX_LINE + 1), at).expect_err("too long");
        assert_eq!(
            error.to_string(),
            format!(
                "a line is longer than the 19995 bytes that GnuPG reads in clear-signed text: `{}`",
                "x".repeat(200)
            )
        );
    }
}
