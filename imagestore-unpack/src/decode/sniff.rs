use crate::error::UnpackError;
use crate::escape::escape;
use crate::tar::looks_like_a_header;

/// How an archive is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Packing {
    Gzip,
    Plain,
    Squashfs,
    Xz,
    Zstd,
}

/// Tells the packing by the first bytes: names of files say nothing that was checked.
pub(super) fn sniff(start: &[u8]) -> Result<Packing, UnpackError> {
    if start.is_empty() {
        return Err(UnpackError::malformed("the archive is empty"));
    }
    if start.starts_with(b"\xfd7zXZ\0") {
        return Ok(Packing::Xz);
    }
    if start.starts_with(b"\x1f\x8b") {
        return Ok(Packing::Gzip);
    }
    if start.starts_with(b"\x28\xb5\x2f\xfd") {
        return Ok(Packing::Zstd);
    }
    if start.starts_with(b"hsqs") {
        return Ok(Packing::Squashfs);
    }
    for (magic, name) in FOREIGN {
        if start.starts_with(magic) {
            return Err(UnpackError::unsupported(format!(
                "the archive is in the {name} format; xz, gzip, zstd and plain tar can be unpacked"
            )));
        }
    }
    if looks_like_a_header(start) {
        return Ok(Packing::Plain);
    }
    Err(UnpackError::malformed(format!(
        "not an archive: begins with `{}`; xz, gzip, zstd and plain tar can be unpacked",
        escape(&start[..start.len().min(8)])
    )))
}

/// Bytes of the archive that [`sniff`] needs.
pub(super) const SNIFFED: usize = 512;

const FOREIGN: [(&[u8], &str); 5] = [
    (b"BZh", "bzip2"),
    (b"\x5d\x00\x00", "lzma"),
    (b"QFI\xfb", "qcow2"),
    (b"PK\x03\x04", "zip"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnpackErrorKind;

    #[test]
    fn tells_the_packing_by_the_magic() {
        assert_eq!(sniff(b"\xfd7zXZ\0\0\x04").expect("xz"), Packing::Xz);
        assert_eq!(sniff(b"\x1f\x8b\x08").expect("gzip"), Packing::Gzip);
        assert_eq!(sniff(b"\x28\xb5\x2f\xfd\0").expect("zstd"), Packing::Zstd);
        assert_eq!(sniff(b"hsqs\x07").expect("squashfs"), Packing::Squashfs);
        assert_eq!(sniff(&[0; 512]).expect("an empty archive"), Packing::Plain);
    }

    #[test]
    fn names_what_it_does_not_unpack() {
        for (start, kind, message) in [
            (&b""[..], UnpackErrorKind::Malformed, "the archive is empty"),
            (
                b"BZh91AY",
                UnpackErrorKind::Unsupported,
                "the archive is in the bzip2 format; xz, gzip, zstd and plain tar can be unpacked",
            ),
            (
                b"<html>\n\n",
                UnpackErrorKind::Malformed,
                "not an archive: begins with `<html>\\n\\n`; xz, gzip, zstd and plain tar can be \
                 unpacked",
            ),
        ] {
            let error = sniff(start).expect_err("not ours");
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
    }
}
