/// Public keys as `keyring.gpg` holds them, without their subkeys.
///
/// The phone compares the fingerprint of whoever signed with those of the primary keys, so a
/// signature by a subkey counts nowhere in this protocol. Without the subkeys nobody can take one
/// for good by mistake.
///
/// # Errors
/// What is wrong, if these are no OpenPGP packets.
pub(crate) fn without_subkeys(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut below_subkey = false;
    while !rest.is_empty() {
        let Packet { tag, header, whole } = first(rest)?;
        below_subkey = match tag {
            PUBLIC_SUBKEY => true,
            SIGNATURE | TRUST => below_subkey,
            _ => false,
        };
        // A revocation of the primary key may stand at the end, where people append it.
        let revokes = tag == SIGNATURE && rest[header..whole].get(1) == Some(&KEY_REVOCATION);
        if !below_subkey || revokes {
            kept.extend_from_slice(&rest[..whole]);
        }
        rest = &rest[whole..];
    }
    Ok(kept)
}

struct Packet {
    tag: u8,
    /// The bytes of the header.
    header: usize,
    /// The bytes of header and body.
    whole: usize,
}

fn first(bytes: &[u8]) -> Result<Packet, &'static str> {
    let at = |place: usize| bytes.get(place).copied().map(usize::from).ok_or(CUT);
    let number = |from: usize, count: usize| {
        (from..from + count).try_fold(0_usize, |sum, place| at(place).map(|byte| sum << 8 | byte))
    };
    let head = bytes[0];
    let (tag, header, body) = match head & 0xc0 {
        0xc0 => {
            let length = at(1)?;
            let (header, body) = match length {
                0..192 => (2, length),
                192..224 => (3, ((length - 192) << 8) + at(2)? + 192),
                255 => (6, number(2, 4)?),
                _ => return Err("a key has a packet of unknown length"),
            };
            (head & 0x3f, header, body)
        }
        0x80 => {
            let bytes = match head & 3 {
                0 => 1,
                1 => 2,
                2 => 4,
                _ => return Err("a key has a packet of unknown length"),
            };
            (head >> 2 & 0xf, 1 + bytes, number(1, bytes)?)
        }
        _ => return Err("it does not consist of OpenPGP packets"),
    };
    let whole = header + body;
    if bytes.len() < whole {
        return Err(CUT);
    }
    Ok(Packet { tag, header, whole })
}

const CUT: &str = "it ends within a packet";
// The type of a signature stands behind its version.
const KEY_REVOCATION: u8 = 0x20;
const SIGNATURE: u8 = 2;
const TRUST: u8 = 12;
const PUBLIC_SUBKEY: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_subkeys_and_their_signatures_out() {
        let primary = [0x98, 1, 4, 0xcd, 1, b'u', 0x88, 1, 4, 0xb0, 1, 0];
        let subkey = [0xb8, 1, 4, 0x89, 0, 1, 4, 0xcc, 1, 0];
        let revocation = [0x88, 3, 4, 0x20, 1];
        let second = [0xc6, 1, 4, 0xcd, 0];
        let all = [&primary[..], &subkey, &revocation, &second].concat();
        let left = [&primary[..], &revocation, &second].concat();
        assert_eq!(without_subkeys(&all), Ok(left));
        assert_eq!(without_subkeys(b""), Ok(Vec::new()));
    }

    #[test]
    fn refuses_what_are_no_packets() {
        for bytes in [
            &b"-----BEGIN PGP"[..],
            &[0x98],
            &[0x98, 2, 4],
            &[0x9b, 0],
            &[0xc6, 0xe1, 0],
            &[0xc6, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(without_subkeys(bytes).is_err(), "{bytes:?}");
        }
    }
}
