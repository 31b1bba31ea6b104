//! The subpackets of a signature: split here, given their meaning in `signature_packet`.

/// One subpacket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subpacket {
    pub(crate) critical: bool,
    pub(crate) id: u8,
    pub(crate) body: Vec<u8>,
}

pub(crate) mod id {
    pub(crate) const CREATION_TIME: u8 = 2;
    pub(crate) const EXPIRATION_TIME: u8 = 3;
    pub(crate) const EXPORTABLE: u8 = 4;
    pub(crate) const TRUST: u8 = 5;
    pub(crate) const REGEX: u8 = 6;
    pub(crate) const KEY_EXPIRATION_TIME: u8 = 9;
    pub(crate) const REVOCATION_KEY: u8 = 12;
    pub(crate) const ISSUER_KEY_ID: u8 = 16;
    pub(crate) const NOTATION: u8 = 20;
    pub(crate) const KEY_FLAGS: u8 = 27;
    pub(crate) const REVOCATION_REASON: u8 = 29;
    pub(crate) const SIGNATURE_TARGET: u8 = 31;
    pub(crate) const EMBEDDED_SIGNATURE: u8 = 32;
    pub(crate) const ISSUER_FINGERPRINT: u8 = 33;
    pub(crate) const INTENDED_RECIPIENT: u8 = 35;

    /// Whether RFC 9580 gives the type a meaning; an unknown one may not be critical.
    pub(crate) fn is_known(id: u8) -> bool {
        matches!(id, 2..=7 | 9 | 11 | 12 | 16 | 20..=33 | 35 | 39)
    }
}

/// Splits an area into its subpackets.
pub(crate) fn split(mut area: &[u8]) -> Result<Vec<Subpacket>, &'static str> {
    let mut found = Vec::new();
    while let Some((first, rest)) = area.split_first() {
        let (length, rest) = match (*first, rest) {
            (short @ 0..=191, rest) => (usize::from(short), rest),
            (long @ 192..=254, [low, rest @ ..]) => (
                ((usize::from(long) - 192) << 8) + usize::from(*low) + 192,
                rest,
            ),
            (255, [a, b, c, d, rest @ ..]) => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err("the length of a subpacket is cut off"),
        };
        let (head, tail) = rest
            .split_at_checked(length)
            .ok_or("a subpacket is cut off")?;
        let (kind, body) = head.split_first().ok_or("a subpacket has no type")?;
        found.push(Subpacket {
            critical: kind & 0x80 != 0,
            id: kind & 0x7f,
            body: body.to_vec(),
        });
        area = tail;
    }
    Ok(found)
}
