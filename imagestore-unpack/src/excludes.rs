/// Patterns of members to leave out, as `tar --anchored --exclude` reads them.
///
/// A pattern is compared with the member's name as it is in the archive, from its start: `dev/null`
/// does not match `./dev/null`. `*` and `?` match `/` too, `[…]` is a set, `\` takes the next byte
/// literally. A pattern that matches a directory leaves out all below it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Excludes {
    patterns: Vec<Vec<u8>>,
}

impl Excludes {
    /// The given patterns; empty ones are ignored.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let patterns = patterns.into_iter().map(Into::into);
        Self {
            patterns: patterns
                .filter(|pattern: &Vec<u8>| !pattern.is_empty())
                .collect(),
        }
    }

    /// The lines of an `excludes-user` file. Blank lines, carriage returns before the end of a
    /// line and a missing last newline mean nothing.
    #[must_use]
    pub fn from_lines(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self::new(lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// Whether there are no patterns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a member of this name is left out.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        let slashes = name.iter().rev().take_while(|byte| **byte == b'/').count();
        let name = &name[..name.len() - slashes];
        self.patterns
            .iter()
            .any(|pattern| matches_start(pattern, name))
    }
}

/// Whether a pattern matches a name or one of its leading directories.
///
/// `*` matches everything, so going back to the last one is enough: no input takes more than
/// pattern times name steps.
fn matches_start(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    loop {
        if at == pattern.len() && (place == name.len() || name[place] == b'/') {
            return true;
        }
        if pattern.get(at) == Some(&b'*') {
            last_star = Some((at + 1, place));
            at += 1;
            continue;
        }
        let step = name.get(place).and_then(|byte| one(&pattern[at..], *byte));
        match (step, last_star) {
            (Some(length), _) => {
                at += length;
                place += 1;
            }
            (None, Some((after, from))) if from < name.len() => {
                last_star = Some((after, from + 1));
                at = after;
                place = from + 1;
            }
            _ => return false,
        }
    }
}

/// How many bytes of the pattern match this byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match set(&pattern[1..], byte) {
            Some((length, true)) => Some(length + 1),
            Some((_, false)) => None,
            // A bracket that is never closed is a bracket.
            None => (byte == b'[').then_some(1),
        },
        b'\\' => (*pattern.get(1)? == byte).then_some(2),
        literal => (literal == byte).then_some(1),
    }
}

/// The length of a set up to its bracket, and whether it holds the byte.
fn set(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let inverted = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(inverted);
    let mut at = start;
    let mut found = false;
    loop {
        let (low, length) = match *pattern.get(at)? {
            b']' if at > start => return Some((at + 1, found != inverted)),
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let name = &pattern[at + 2..];
                let end = name.windows(2).position(|pair| pair == b":]")?;
                found |= in_class(&name[..end], byte)?;
                at += end + 4;
                continue;
            }
            b'\\' => (*pattern.get(at + 1)?, 2),
            low => (low, 1),
        };
        at += length;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|end| *end != b']') {
            let escaped = usize::from(pattern[at + 1] == b'\\');
            high = *pattern.get(at + 1 + escaped)?;
            at += 2 + escaped;
        }
        found |= (low..=high).contains(&byte);
    }
}

fn in_class(name: &[u8], byte: u8) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_file_the_server_writes_when_there_is_nothing_to_exclude() {
        assert!(Excludes::from_lines(b"\n").is_empty());
        assert_eq!(
            Excludes::from_lines(b"./dev/null\r\n\n./dev/z*"),
            Excludes::new(["./dev/null", "./dev/z*"])
        );
    }

    #[test]
    fn many_stars_end_soon() {
        let excludes = Excludes::new(["*a".repeat(500) + "b"]);
        assert!(!excludes.matches(&[b'a'; 4000]));
    }
}
