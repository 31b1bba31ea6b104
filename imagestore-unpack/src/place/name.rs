use crate::error::UnpackError;
use crate::escape::escape;
use crate::limits::UnpackLimits;

/// A member's name in its one form: components joined by single slashes; empty for the root.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct MemberPath {
    path: Vec<u8>,
    split: Option<usize>,
}

impl MemberPath {
    /// Checks a name as it is in an archive.
    ///
    /// `.` and empty components mean nothing; `..` and a leading slash are refused, not resolved.
    pub(crate) fn parse(name: &[u8], limits: &UnpackLimits) -> Result<Self, UnpackError> {
        if name.len() > limits.path_bytes {
            return Err(UnpackError::too_large(format!(
                "a name has {} bytes, over the limit of {}",
                name.len(),
                limits.path_bytes
            )));
        }
        if name.iter().all(|byte| *byte == b'/') {
            return Err(UnpackError::malformed(format!(
                "a member is named `{}`",
                escape(name)
            )));
        }
        if name.starts_with(b"/") {
            return Err(UnpackError::refused("the name is absolute"));
        }
        let mut path = Vec::with_capacity(name.len());
        let mut components = 0;
        for component in name.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(UnpackError::refused("the name leaves the target")),
                _ => {}
            }
            if component.len() > limits.component_bytes {
                return Err(UnpackError::too_large(format!(
                    "a component of a name has {} bytes, over the limit of {}",
                    component.len(),
                    limits.component_bytes
                )));
            }
            components += 1;
            if components > limits.components {
                return Err(UnpackError::too_large(format!(
                    "a name has more components than the limit of {}",
                    limits.components
                )));
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        Ok(Self::new(path))
    }

    fn new(path: Vec<u8>) -> Self {
        let split = path.iter().rposition(|byte| *byte == b'/');
        Self { path, split }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.path.is_empty()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.path
    }

    pub(crate) fn parent(&self) -> &[u8] {
        self.split.map_or(b"", |split| &self.path[..split])
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.split
            .map_or(&self.path, |split| &self.path[split + 1..])
    }

    /// Whether the root is the parent.
    pub(crate) fn is_top(&self) -> bool {
        !self.is_root() && self.split.is_none()
    }

    /// The path below `subtree`; `None` outside of it.
    pub(crate) fn below(&self, subtree: &Self) -> Option<Self> {
        if subtree.is_root() {
            return Some(self.clone());
        }
        match self.path.strip_prefix(subtree.bytes())? {
            b"" => Some(Self::new(Vec::new())),
            rest => rest.strip_prefix(b"/").map(|rest| Self::new(rest.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnpackErrorKind;

    fn parse(name: &[u8]) -> Result<MemberPath, UnpackError> {
        MemberPath::parse(name, &UnpackLimits::default())
    }

    #[test]
    fn one_path_has_one_form() {
        for (name, path, parent, last) in [
            (
                &b"./etc/hostname"[..],
                &b"etc/hostname"[..],
                &b"etc"[..],
                &b"hostname"[..],
            ),
            (b"etc//./hostname", b"etc/hostname", b"etc", b"hostname"),
            (b"./", b"", b"", b""),
            (b".", b"", b"", b""),
            (b"usr/", b"usr", b"", b"usr"),
            (b"...", b"...", b"", b"..."),
            (b"-rf\n\xff", b"-rf\n\xff", b"", b"-rf\n\xff"),
        ] {
            let parsed = parse(name).expect("harmless");
            assert_eq!(
                (parsed.bytes(), parsed.parent(), parsed.name()),
                (path, parent, last)
            );
        }
    }

    #[test]
    fn refuses_names_that_leave() {
        for (name, kind, message) in [
            (
                &b"../x"[..],
                UnpackErrorKind::Unsafe,
                "the name leaves the target",
            ),
            (
                b"d/../../x",
                UnpackErrorKind::Unsafe,
                "the name leaves the target",
            ),
            (
                b"d/..",
                UnpackErrorKind::Unsafe,
                "the name leaves the target",
            ),
            (b"/etc/x", UnpackErrorKind::Unsafe, "the name is absolute"),
            (b"/", UnpackErrorKind::Malformed, "a member is named `/`"),
            (b"", UnpackErrorKind::Malformed, "a member is named ``"),
        ] {
            let error = parse(name).expect_err("it leaves");
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
    }

    #[test]
    fn finds_the_path_below_a_subtree() {
        let subtree = parse(b"rootfs/").expect("a name");
        let below = |name: &[u8]| parse(name).expect("a name").below(&subtree);
        assert_eq!(
            below(b"./rootfs/etc"),
            Some(MemberPath::new(b"etc".to_vec()))
        );
        assert_eq!(below(b"rootfs"), Some(MemberPath::new(Vec::new())));
        assert_eq!(below(b"rootfs.img"), None);
        assert_eq!(below(b"metadata.yaml"), None);
    }
}
