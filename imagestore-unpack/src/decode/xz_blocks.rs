use super::packed::Packed;
use super::pipe::unreadable;
use crate::error::UnpackError;

/// How many bytes the largest block decodes to, by the chunk headers inside; nothing is decoded.
///
/// The sizes in block headers and in the index are optional and could lie; those of the chunks
/// are what the decoder obeys.
pub(super) fn largest_block(packed: &Packed<'_>) -> Result<u64, UnpackError> {
    let mut largest = 0;
    let mut at = STREAM_HEADER;
    let check_bytes = match byte(packed, 7)? & 0x0f {
        0 => 0,
        1 => 4,
        4 => 8,
        10 => 32,
        check => {
            return Err(UnpackError::malformed(format!(
                "the xz data uses the unknown check {check}"
            )));
        }
    };
    loop {
        let size = byte(packed, at)?;
        if size == 0 {
            return Ok(largest);
        }
        if byte(packed, at + 1)? & 0x03 != 0 {
            return Err(UnpackError::unsupported(
                "the xz data uses filters other than LZMA2, which lzma-rs does not know",
            ));
        }
        let (end, decoded) = measure_chunks(packed, at + (u64::from(size) + 1) * 4, at)?;
        largest = largest.max(decoded);
        at = end + check_bytes;
    }
}

/// Where the chunks of a block end, with padding, and what they decode to.
fn measure_chunks(packed: &Packed<'_>, start: u64, block: u64) -> Result<(u64, u64), UnpackError> {
    let mut at = start;
    let mut decoded = 0;
    loop {
        let mut header = [0; 5];
        // The end marker is one byte, and something always follows it.
        header[0] = byte(packed, at)?;
        match header[0] {
            0 => {
                let padding = (4 - (at + 1 - block) % 4) % 4;
                return Ok((at + 1 + padding, decoded));
            }
            1 | 2 => {
                fill(packed, at, &mut header[..3])?;
                let size = u64::from(u16::from_be_bytes([header[1], header[2]])) + 1;
                decoded += size;
                at += 3 + size;
            }
            0x80.. => {
                fill(packed, at, &mut header)?;
                let high = u64::from(header[0] & 0x1f) << 16;
                decoded += high + u64::from(u16::from_be_bytes([header[1], header[2]])) + 1;
                let size = u64::from(u16::from_be_bytes([header[3], header[4]])) + 1;
                let properties = u64::from(header[0] & 0x40 != 0);
                at += 5 + properties + size;
            }
            control => {
                return Err(UnpackError::malformed(format!(
                    "the xz data holds the unknown chunk {control:#x}"
                )));
            }
        }
    }
}

fn byte(packed: &Packed<'_>, at: u64) -> Result<u8, UnpackError> {
    let mut byte = [0];
    fill(packed, at, &mut byte)?;
    Ok(byte[0])
}

fn fill(packed: &Packed<'_>, at: u64, into: &mut [u8]) -> Result<(), UnpackError> {
    if packed.peek_at(into, at).map_err(unreadable)? < into.len() {
        return Err(UnpackError::malformed("the xz data is cut short"));
    }
    Ok(())
}

const STREAM_HEADER: u64 = 12;
