use std::collections::BTreeMap;

/// A word in the files of an image that stands for something of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Token {
    /// `LXC_NAME`: the name of the container.
    Name,
    /// `LXC_PATH`: the directory of the container.
    Path,
    /// `LXC_ROOTFS`: the directory of its root file system.
    Rootfs,
    /// `LXC_TEMPLATE_CONFIG`: where LXC keeps the config files that images include.
    TemplateConfig,
    /// `LXC_HOOK_DIR`: where LXC keeps its hooks.
    HookDir,
}

impl Token {
    /// The word as it stands in the files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "LXC_NAME",
            Self::Path => "LXC_PATH",
            Self::Rootfs => "LXC_ROOTFS",
            Self::TemplateConfig => "LXC_TEMPLATE_CONFIG",
            Self::HookDir => "LXC_HOOK_DIR",
        }
    }
}

/// What the tokens stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    values: BTreeMap<Token, Vec<u8>>,
}

impl Tokens {
    /// No token stands for anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `token` stands for `value`.
    ///
    /// # Errors
    /// [`TokenError`] if the value holds a line end or another control character: it would say more
    /// in a config than was meant.
    pub fn with(mut self, token: Token, value: impl Into<Vec<u8>>) -> Result<Self, TokenError> {
        let value = value.into();
        if value.iter().any(u8::is_ascii_control) {
            return Err(TokenError { token });
        }
        self.values.insert(token, value);
        Ok(self)
    }

    /// The text with every token replaced that stands for something.
    ///
    /// # Deviation
    /// The LXC template edits with `sed`, one token after the other, so that `#`, `&` and `\` in a
    /// value break it and a token inside a value is replaced as well. Here values are put in as
    /// they are.
    #[must_use]
    pub fn substitute(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.first() {
            let found = self.values.iter().find_map(|(token, value)| {
                Some((value, rest.strip_prefix(token.word().as_bytes())?))
            });
            match found {
                Some((value, behind)) => {
                    out.extend_from_slice(value);
                    rest = behind;
                }
                None => {
                    out.push(*first);
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        out
    }
}

/// A value that cannot stand in a config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of {} holds a control character", .token.word())]
pub struct TokenError {
    token: Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_literally_and_once() {
        let tokens = Tokens::new()
            .with(Token::Name, "a&b#c\\1")
            .and_then(|tokens| tokens.with(Token::Rootfs, "/var/lib/LXC_NAME/rootfs"))
            .and_then(|tokens| tokens.with(Token::TemplateConfig, "/usr/share/lxc/config"))
            .expect("plain values");
        for (text, wanted) in [
            ("LXC_NAME", "a&b#c\\1"),
            ("127.0.1.1 LXC_NAME.LXC_NAME", "127.0.1.1 a&b#c\\1.a&b#c\\1"),
            ("LXC_ROOTFS", "/var/lib/LXC_NAME/rootfs"),
            (
                "LXC_TEMPLATE_CONFIG/common.conf",
                "/usr/share/lxc/config/common.conf",
            ),
            (
                "LXC_HOOK_DIR LXC_PATH LXC_NAM",
                "LXC_HOOK_DIR LXC_PATH LXC_NAM",
            ),
            ("LXC_LXC_NAME", "LXC_a&b#c\\1"),
            ("", ""),
        ] {
            assert_eq!(
                tokens.substitute(text.as_bytes()),
                wanted.as_bytes(),
                "{text}"
            );
        }
        assert_eq!(tokens.substitute(b"\xff LXC_NAME\n"), b"\xff a&b#c\\1\n");
    }

    #[test]
    fn refuses_values_that_would_be_more_than_one_line() {
        let error = Tokens::new()
            .with(Token::Path, "/x\nlxc.hook.start = /y")
            .expect_err("a line");
        assert_eq!(
            error.to_string(),
            "the value of LXC_PATH holds a control character"
        );
    }
}
