use imagestore_testkit::oracle::Tool;

use super::*;

impl Base for Vec<u8> {
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| malformed("x"))?;
        let found = self.get(start..start + buffer.len());
        buffer.copy_from_slice(found.ok_or_else(|| malformed("reads past the end"))?);
        Ok(())
    }
}

fn applied(delta: &[u8], base: &Vec<u8>) -> io::Result<Vec<u8>> {
    let mut made = Vec::new();
    apply(delta, base, |piece| {
        made.extend(piece);
        Ok(())
    })?;
    Ok(made)
}

fn noise(mut seed: u32, length: usize) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn follows_instructions_that_repeat_what_they_make() {
    let base = b"abcd".to_vec();
    // A window of 11 bytes from a source of 4: data `x`; ADD 1, COPY 4, COPY 6; from 0, from 4 + 3.
    let delta = b"\xd6\xc3\xc4\0\0\x01\x04\0\x0b\x0b\0\x01\x03\x02x\x02\x14\x16\0\x07";
    assert_eq!(applied(delta, &base).expect("whole"), b"xabcdcdcdcd");
    for cut in 0..delta.len() {
        if cut != 5 {
            applied(&delta[..cut], &base).expect_err("cut");
        }
    }
}

#[test]
fn makes_what_xdelta3_makes_with_and_without_compression() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name);
    let base = noise(1, 3_000_000);
    let mut new = base.clone();
    new.splice(1_000_000..1_100_000, noise(2, 70_000));
    new.splice(
        10..10,
        b"and some text, and some text, and some text".repeat(40),
    );
    new.extend(vec![0; 500_000]);
    new.extend_from_slice(&base[5_000..400_000]);
    std::fs::write(path("old"), &base).expect("written");
    std::fs::write(path("new"), &new).expect("written");
    for options in [
        &["-S", "lzma"][..],
        &["-S", "none"],
        &["-W", "65536"],
        &["-9"],
    ] {
        let run = xdelta3
            .command()
            .args(["-e", "-f"])
            .args(options)
            .args(["-s"])
            .args([path("old"), path("new"), path("delta")]);
        drop(run.run().expect_success());
        let delta = std::fs::read(path("delta")).expect("made");
        assert!(delta.len() < 200_000, "{options:?}: {}", delta.len());
        let made = applied(&delta, &base).expect("applies");
        assert!(made == new, "{options:?}");
        // No spoiled delta does more than end in an error or in other bytes.
        for n in (0..delta.len()).step_by(delta.len() / 40 + 1) {
            let mut spoiled = delta.clone();
            spoiled[n] ^= 0x55;
            drop(applied(&spoiled, &base));
        }
    }
}
