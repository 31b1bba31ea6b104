use std::fmt::Write;

/// Bytes from an archive, made fit for one line of a message.
///
/// A name may hold terminal control sequences or right-to-left overrides: none of them reaches
/// the reader's terminal.
pub(crate) fn escape(bytes: &[u8]) -> String {
    // Each byte makes at least one character, so more of them would only be cut again.
    let shown = &bytes[..bytes.len().min(4 * LONGEST)];
    let mut line = String::new();
    for chunk in shown.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_plain(character) {
                line.push(character);
            } else {
                line.extend(character.escape_default());
            }
        }
        for byte in chunk.invalid() {
            // Writing to a `String` cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn is_plain(character: char) -> bool {
    let overrides = matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    );
    !character.is_control() && !overrides && character != '\\'
}

const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        for (bytes, line) in [
            (&b"usr/bin/env"[..], "usr/bin/env"),
            ("straße".as_bytes(), "straße"),
            (b"a\x1b[2Jb\n", "a\\u{1b}[2Jb\\n"),
            ("\u{202e}gpj".as_bytes(), "\\u{202e}gpj"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"back\\slash", "back\\\\slash"),
        ] {
            assert_eq!(escape(bytes), line);
        }
    }

    #[test]
    fn cuts_long_names() {
        let line = escape(&[b'a'; 5000]);
        assert_eq!(line.chars().count(), LONGEST + 1);
        assert!(line.ends_with('…'));
        assert_eq!(escape(&[b'a'; LONGEST]).len(), LONGEST);
    }
}
