use crate::error::ParseError;

/// One setting in the container config of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigLine {
    /// The key: `lxc.include`, `lxc.arch`, …
    pub key: String,
    /// The value, without quotes and with tokens as they stand in the image.
    pub value: Vec<u8>,
    /// Whether it may be used without asking.
    pub standing: Standing,
}

/// Whether a setting of an image may be used without asking the person whose machine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can run programs, mount or weaken the container: hooks, mounts, capabilities, includes of
    /// other files, and everything that is not known to be harmless.
    NeedsConsent,
    /// The architecture, or an include of a file that came with LXC.
    Plain,
}

/// The settings in a container config, by the grammar of LXC.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<ConfigLine>, ParseError> {
    let mut settings = Vec::new();
    for (n, raw) in lines(bytes).enumerate() {
        let line = raw.trim_ascii();
        // LXC ignores whatever does not begin with `lxc.`.
        if !line.starts_with(b"lxc.") {
            continue;
        }
        let error = || ParseError::ConfigLine { line: n + 1 };
        let at = line
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or_else(error)?;
        let (key, value) = line.split_at(at);
        let key = std::str::from_utf8(key.trim_ascii())
            .map_err(|_| error())?
            .to_owned();
        let value = unquoted(value.get(1..).unwrap_or_default().trim_ascii());
        let standing = standing(&key, value);
        settings.push(ConfigLine {
            key,
            value: value.to_vec(),
            standing,
        });
    }
    Ok(settings)
}

/// The lines of a text file: LF or CRLF, the last one with or without an end.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        _ => value,
    }
}

fn standing(key: &str, value: &[u8]) -> Standing {
    let word = |text: &[u8]| {
        !text.is_empty()
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(byte))
    };
    let plain = match key {
        "lxc.arch" => word(value),
        "lxc.include" => value
            .strip_prefix(b"LXC_TEMPLATE_CONFIG/")
            .is_some_and(|file| word(file) && !file.starts_with(b".")),
        _ => false,
    };
    if plain {
        Standing::Plain
    } else {
        Standing::NeedsConsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<(String, String)> {
        let text_of = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let parsed = parse(text.as_bytes()).expect(text);
        parsed
            .into_iter()
            .map(|line| (line.key, text_of(&line.value)))
            .collect()
    }

    #[test]
    fn reads_the_grammar_of_lxc() {
        for (text, key, value) in [
            ("lxc.arch = armv7l", "lxc.arch", "armv7l"),
            ("  lxc.arch=armv7l\t\r\n", "lxc.arch", "armv7l"),
            ("lxc.arch = \"armv7l\"", "lxc.arch", "armv7l"),
            ("lxc.arch = 'armv7l'", "lxc.arch", "armv7l"),
            ("lxc.arch = 'armv7l\"", "lxc.arch", "'armv7l\""),
            ("lxc.arch = \"", "lxc.arch", "\""),
            ("lxc.environment = A=B = C", "lxc.environment", "A=B = C"),
            ("lxc.cap.drop =", "lxc.cap.drop", ""),
        ] {
            assert_eq!(
                settings(text),
                [(key.to_owned(), value.to_owned())],
                "{text:?}"
            );
        }
        assert_eq!(settings("\n# lxc.arch = x\n \t\narch = x\n#\n"), []);
        assert_eq!(settings("lxc.arch = a\n\nlxc.arch = b").len(), 2);
    }

    #[test]
    fn keeps_bytes_that_are_no_text() {
        let parsed = parse(b"lxc.arch = \xff\xfe\n").expect("a value of bytes");
        assert_eq!(parsed[0].value, b"\xff\xfe");
        assert_eq!(parsed[0].standing, Standing::NeedsConsent);
    }

    #[test]
    fn names_the_line_without_a_value() {
        assert_eq!(
            parse(b"lxc.arch = x\n\nlxc.arch\n"),
            Err(ParseError::ConfigLine { line: 3 })
        );
        assert_eq!(
            parse(b"lxc.\xff = x\n"),
            Err(ParseError::ConfigLine { line: 1 })
        );
    }

    #[test]
    fn only_what_is_known_to_be_harmless_needs_no_consent() {
        for text in [
            "lxc.arch = linux32",
            "lxc.include = LXC_TEMPLATE_CONFIG/common.conf",
            "lxc.include = LXC_TEMPLATE_CONFIG/ubuntu.common.conf",
        ] {
            assert_eq!(
                parse(text.as_bytes()).expect(text)[0].standing,
                Standing::Plain,
                "{text}"
            );
        }
        for text in [
            "lxc.include = /etc/passwd",
            "lxc.include = LXC_TEMPLATE_CONFIG/../x",
            "lxc.include = LXC_TEMPLATE_CONFIG/..",
            "lxc.include = LXC_TEMPLATE_CONFIG/",
            "lxc.include = x",
            "lxc.hook.pre-start = /bin/sh",
            "lxc.mount.entry = / mnt none bind 0 0",
            "lxc.mount = fstab",
            "lxc.mount.auto = proc:rw",
            "lxc.cap.drop =",
            "lxc.apparmor.profile = unconfined",
            "lxc.arch =",
            "lxc.arch = a b",
            "lxc.new = 1",
            "lxc.arch = x\0y",
            "lxc. = x",
        ] {
            assert_eq!(
                parse(text.as_bytes()).expect(text)[0].standing,
                Standing::NeedsConsent,
                "{text}"
            );
        }
    }
}
