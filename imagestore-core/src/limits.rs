/// How much may be asked of this machine. Every limit names the attack it stops.
///
/// # Defaults
/// Those of [`Limits::default`], given at each field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of an index: 32 MiB, or less where the protocol needs less. A body that never ends.
    pub index_bytes: u64,
    /// Bytes of a detached signature: 64 KiB. Thousands of signatures to check.
    pub signature_bytes: u64,
    /// Bytes of a file of keys or certificates: 256 KiB. The same.
    pub key_bytes: u64,
    /// Bytes of an image file: 64 GiB. A body that fills the disk.
    pub file_bytes: u64,
    /// Referrals on the way to one image: 4. Registries that refer in a circle.
    pub hops: usize,
    /// Entries of one index: 1,000,000. An index that fills the memory.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            index_bytes: 32 << 20,
            signature_bytes: 64 << 10,
            key_bytes: 256 << 10,
            file_bytes: 64 << 30,
            hops: 4,
            entries: 1_000_000,
        }
    }
}
