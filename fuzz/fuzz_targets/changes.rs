//! Changes to bytes, as many as the input has.

/// Makes the changes that the input names, four bytes each: where and how, twice a place, and a byte.
pub(crate) fn apply(input: &[u8], parts: &mut [Vec<u8>]) {
    for change in input.chunks_exact(4) {
        let (which, how) = (
            usize::from(change[0]) % parts.len(),
            change[0] / parts.len() as u8,
        );
        let part = &mut parts[which];
        let at = usize::from(u16::from_be_bytes([change[1], change[2]])) % (part.len() + 1);
        match how % 4 {
            0 | 1 if at < part.len() => part[at] ^= change[3],
            2 if at < part.len() => drop(part.remove(at)),
            _ => part.insert(at, change[3]),
        }
    }
}
