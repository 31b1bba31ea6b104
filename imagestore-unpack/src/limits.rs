/// What an archive may cost; everything beyond is refused with
/// [`TooLarge`](crate::UnpackErrorKind::TooLarge).
///
/// # Defaults
///
/// They let every image of the known image servers through. `Default` gives them; change single
/// fields afterwards.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnpackLimits {
    /// Bytes the archive may decode to; 64 GiB. Free space less a twentieth bounds it as well.
    pub bytes: u64,
    /// Decoded bytes for each packed byte, once `ratio_from` bytes are decoded; 200.
    pub ratio: u64,
    /// Decoded bytes that are free of the ratio; 64 MiB.
    pub ratio_from: u64,
    /// Members of the archive; 2,000,000.
    pub entries: u64,
    /// Bytes of a member's name, and of a link's target; 4,095.
    pub path_bytes: usize,
    /// Components of a member's name; 128.
    pub components: usize,
    /// Bytes of one component; 255.
    pub component_bytes: usize,
    /// Bytes of a PAX or GNU extension header, and of a sparse map; 256 KiB.
    pub extension_bytes: u64,
    /// Bytes of an extended attribute; 64 KiB.
    pub xattr_bytes: usize,
    /// Extended attributes of a member; 64.
    pub xattrs: usize,
    /// Memory of the decoder; 128 MiB, because files of `xz -9` need 65 MiB.
    pub decoder_memory: u64,
    /// Memory up to which blocks are decoded side by side; 256 MiB. Beyond it, one after the other.
    pub parallel_memory: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            ratio: 200,
            ratio_from: 64 << 20,
            entries: 2_000_000,
            path_bytes: 4_095,
            components: 128,
            component_bytes: 255,
            extension_bytes: 256 << 10,
            xattr_bytes: 64 << 10,
            xattrs: 64,
            decoder_memory: 128 << 20,
            parallel_memory: 256 << 20,
        }
    }
}
