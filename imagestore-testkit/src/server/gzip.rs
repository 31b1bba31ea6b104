/// The bytes as a gzip file, in stored blocks: what an obliging proxy makes of a body.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = data.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(data).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Tool;

    #[test]
    fn sums_as_the_standard_says() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn writes_what_gzip_reads() {
        let Some(tool) = Tool::find("gzip") else {
            return;
        };
        for data in [Vec::new(), b"image".to_vec(), vec![7; 200_000]] {
            let read = tool.command().args(["-d", "-c"]).input(gzip(&data)).run();
            assert!(read.success(), "{}", read.stderr_text());
            assert_eq!(read.stdout, data);
        }
    }
}
