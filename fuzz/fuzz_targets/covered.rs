//! What the digest of a signature covers, apart from what it does not.

/// The signature packets of a file, each with the uncovered subpackets of the original in place of its own; what is no
/// whole signature is left out. `None` where that cannot be told.
pub(crate) fn with_uncovered_of(file: &[u8], original: &[u8]) -> Option<Vec<u8>> {
    let (_, body, _) = packet(original)?;
    let [_, uncovered, _] = areas(body)?;
    let mut out = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let (tag, body, behind) = packet(rest)?;
        rest = behind;
        if tag == SIGNATURE {
            // One that cannot be read drops out alone here (V6); Sequoia refuses the file for it.
            let Some([covered, _, values]) = areas(body) else {
                continue;
            };
            let body = [covered, uncovered, values].concat();
            out.extend([0xc0 | SIGNATURE, 0xff]);
            out.extend(u32::try_from(body.len()).ok()?.to_be_bytes());
            out.extend(body);
        }
    }
    Some(out)
}

/// The tag and body of the first packet, and what follows it (RFC 9580, 4.2).
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (tag, width, length, rest) = if first & 0x40 == 0 {
        let width = 1_usize.checked_shl(u32::from(first & 3))?;
        let (length, rest) = number(rest, width)?;
        (first >> 2 & 15, width, length, rest)
    } else {
        let (length, rest) = match *rest.first()? {
            0xff => number(&rest[1..], 4)?,
            high @ 192..224 => {
                let low = usize::from(*rest.get(1)?);
                ((usize::from(high) - 192) * 256 + low + 192, &rest[2..])
            }
            224.. => return None,
            length => (usize::from(length), &rest[1..]),
        };
        (first & 63, 4, length, rest)
    };
    let (body, behind) = rest.split_at_checked(length)?;
    (width <= 4).then_some((tag, body, behind))
}

/// A signature up to its hashed subpackets, its other subpackets with their length, and the values
/// (RFC 9580, 5.2.3).
fn areas(body: &[u8]) -> Option<[&[u8]; 3]> {
    let width = if *body.first()? == 6 { 4 } else { 2 };
    let (hashed, behind) = number(body.get(4..)?, width)?;
    let covered = 4 + width + hashed;
    let (unhashed, _) = number(behind.get(hashed..)?, width)?;
    let end = covered + width + unhashed;
    Some([&body[..covered], body.get(covered..end)?, body.get(end..)?])
}

fn number(bytes: &[u8], width: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(width)?;
    let value = digits
        .iter()
        .fold(0, |value, digit| value << 8 | usize::from(*digit));
    Some((value, rest))
}

const SIGNATURE: u8 = 2;
