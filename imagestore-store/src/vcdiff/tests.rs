use imagestore_testkit::oracle::Tool;

use super::*;

fn applied(delta: &[u8], base: &[u8]) -> io::Result<Vec<u8>> {
    let (made, done) = applied_up_to(delta, base, u64::MAX);
    done.map(|()| made)
}

/// What a delta makes of a file until something is wrong, and what that is.
fn applied_up_to(delta: &[u8], base: &[u8], limit: u64) -> (Vec<u8>, io::Result<()>) {
    let mut made = Vec::new();
    let done = apply(delta, &InMemory(base), limit, |piece| {
        made.extend(piece);
        Ok(())
    });
    (made, done)
}

/// A window that adds these bytes, at most 17.
fn adding(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u8;
    let instructions: &[u8] = match length {
        0 => &[],
        _ => &[length + 1],
    };
    let body = [
        &[length, 0, length, instructions.len() as u8, 0],
        bytes,
        instructions,
    ]
    .concat();
    [&[0, body.len() as u8], &body[..]].concat()
}

const HEADER: &[u8] = b"\xd6\xc3\xc4\0\0";

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
fn copies_from_where_no_file_reaches_are_malformed() {
    // As above, but the source begins where the largest file ends.
    let delta = b"\xd6\xc3\xc4\0\0\x01\x04\xff\xff\xff\xff\xff\xff\xff\xff\x7f\
        \x0b\x0b\0\x01\x03\x02x\x02\x14\x16\0\x07";
    let error = applied(delta, b"abcd").expect_err("nowhere");
    assert_eq!(error.to_string(), "the delta copies from nowhere");
}

#[test]
fn runs_each_window_before_it_reads_the_next() {
    let delta = [HEADER, &adding(b"one"), &adding(b"two"), &[0, 99]].concat();
    let (made, done) = applied_up_to(&delta, &[], 100);
    assert_eq!(done.expect_err("cut").to_string(), "the delta is cut");
    assert_eq!(made, b"onetwo");
}

#[test]
fn windows_that_make_nothing_are_refused_but_for_an_empty_file() {
    let (empty, some) = (adding(b""), adding(b"some"));
    let one = [HEADER, &empty].concat();
    assert_eq!(applied(&one, &[]).expect("empty"), b"");
    for windows in [[&empty, &empty], [&empty, &some], [&some, &empty]] {
        let delta = [HEADER, windows[0], windows[1]].concat();
        let error = applied(&delta, &[]).expect_err("nothing is made");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(
            error.to_string(),
            "the delta has a window that makes nothing"
        );
    }
}

#[test]
fn a_window_that_makes_too_much_is_not_run() {
    let delta = [HEADER, &adding(b"one"), &adding(b"two")].concat();
    let (made, done) = applied_up_to(&delta, &[], 6);
    done.expect("fits");
    assert_eq!(made, b"onetwo");
    let (made, done) = applied_up_to(&delta, &[], 5);
    assert_eq!(
        done.expect_err("too much").to_string(),
        "the delta makes more bytes than the index says"
    );
    assert_eq!(made, b"one");
}

/// What xdelta3 makes of two files.
fn delta_by(xdelta3: &Tool, options: &[&str], base: &[u8], new: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("old"), base).expect("written");
    std::fs::write(path("new"), new).expect("written");
    let run = xdelta3.command().args(["-e", "-f"]).args(options);
    let run = run
        .args(["-s"])
        .args([path("old"), path("new"), path("delta")]);
    drop(run.run().expect_success());
    std::fs::read(path("delta")).expect("made")
}

#[test]
fn makes_an_empty_file_as_xdelta3_does() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let base = noise(1, 100_000);
    let delta = delta_by(&xdelta3, &[], &base, b"");
    assert_eq!(applied(&delta, &base).expect("applies"), b"");
}

#[test]
fn makes_what_xdelta3_makes_with_and_without_compression() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let base = noise(1, 3_000_000);
    let mut new = base.clone();
    new.splice(1_000_000..1_100_000, noise(2, 70_000));
    new.splice(
        10..10,
        b"and some text, and some text, and some text".repeat(40),
    );
    new.extend(vec![0; 500_000]);
    new.extend_from_slice(&base[5_000..400_000]);
    for options in [
        &["-S", "lzma"][..],
        &["-S", "none"],
        &["-W", "65536"],
        &["-9"],
    ] {
        let delta = delta_by(&xdelta3, options, &base, &new);
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

#[test]
fn what_is_wrong_with_a_delta_is_not_blamed_on_the_disk() {
    let Some(xdelta3) = Tool::find("xdelta3") else {
        return;
    };
    let base = b"some text, and some more of it; ".repeat(40);
    let new: Vec<u8> = (0..90)
        .flat_map(|n| format!("{n}: {n:x} text, ").into_bytes())
        .collect();
    let delta = delta_by(&xdelta3, &["-S", "lzma"], &base, &new);
    applied(&delta, &base).expect("applies");
    for (n, change) in (0..delta.len()).flat_map(|n| [1, 0x10, 0x80].map(|change| (n, change))) {
        let mut spoiled = delta.clone();
        spoiled[n] ^= change;
        if let Err(error) = applied(&spoiled, &base) {
            let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            assert!(kinds.contains(&error.kind()), "{n}, {change}: {error:?}");
        }
    }
}
