//! ASCII armor, under any label.

pub(crate) fn armor(packets: &[u8]) -> Vec<u8> {
    armor_as("SIGNATURE", "", packets)
}

pub(crate) fn armor_as(label: &str, headers: &str, packets: &[u8]) -> Vec<u8> {
    let body = base64(packets);
    let lines = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ascii"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let checksum = base64(&crc24(packets).to_be_bytes()[1..]);
    format!(
        "-----BEGIN PGP {label}-----\n{headers}\n{lines}\n={checksum}\n-----END PGP {label}-----\n"
    )
    .into()
}

/// Optional today; GnuPG 2.2 wants it where the last group is full.
fn crc24(bytes: &[u8]) -> u32 {
    let mut crc = 0x00b7_04ce_u32;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    crc & 0x00ff_ffff
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for index in 0..4 {
            let digit = (bits >> (18 - 6 * index) & 63) as usize;
            text.push(if index <= group.len() {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    text
}
