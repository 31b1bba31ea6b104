//! Packed data that is damaged, cut, or not what it seems.

use std::collections::BTreeMap;
use std::path::PathBuf;

use imagestore_unpack::{
    UnpackError, UnpackErrorKind, UnpackLimits, Unpacked, Unpacker, XzBackend,
};

use crate::archive::Archive;
use crate::scene::{Scene, filter, has, xz};
use crate::snapshot::{Node, snapshot};

fn golden() -> Vec<u8> {
    let text = b"some text that packs well, again and again; ".repeat(40);
    Archive::new()
        .directory("etc")
        .file("etc/hostname", b"one\n")
        .file("text", &text)
        .end()
}

fn tree(unpacker: &Unpacker, archive: &[u8]) -> Result<BTreeMap<PathBuf, Node>, UnpackError> {
    let scene = Scene::new();
    let _: Unpacked = scene.unpack(unpacker, archive)?;
    let mut tree = snapshot(&scene.target());
    // The target's own time is the present.
    tree.remove(&PathBuf::new());
    Ok(tree)
}

/// What is refused or accepted by every decoder that is complete.
fn complete_backends() -> Vec<Unpacker> {
    let all = XzBackend::available().into_iter();
    all.filter(|backend| format!("{backend:?}") != "LzmaRs")
        .map(|backend| Unpacker::new().with_xz(backend))
        .collect()
}

#[track_caller]
fn assert_malformed(archive: &[u8]) {
    for unpacker in complete_backends() {
        let error = tree(&unpacker, archive).expect_err("it must be refused");
        assert_eq!(
            error.kind(),
            UnpackErrorKind::Malformed,
            "{unpacker:?} {error}"
        );
        assert!(error.to_string().contains("xz data"), "{error}");
    }
}

#[test]
fn every_backend_makes_the_same_tree() {
    if !has("xz") {
        return;
    }
    let plain = tree(&Unpacker::new(), &golden()).expect("not packed");
    assert_eq!(plain.len(), 3);
    for backend in XzBackend::available() {
        let unpacker = Unpacker::new().with_xz(backend);
        assert_eq!(
            tree(&unpacker, &xz(&golden())).expect("packed"),
            plain,
            "{backend:?}"
        );
    }
}

#[test]
fn every_check_is_known_and_none_is_enough_for_what_is_verified() {
    if !has("xz") {
        return;
    }
    let plain = tree(&Unpacker::new(), &golden()).expect("not packed");
    for check in ["none", "crc32", "crc64", "sha256"] {
        let check = format!("--check={check}");
        for arguments in [
            vec!["-c", &check],
            vec!["-c", &check, "-T2", "--block-size=1KiB"],
            vec!["-c", &check, "--x86", "--lzma2"],
            vec!["-c", &check, "--delta=dist=4", "--lzma2"],
        ] {
            let packed = filter("xz", &arguments, &golden());
            for unpacker in complete_backends() {
                assert_eq!(
                    tree(&unpacker, &packed).expect("known"),
                    plain,
                    "{arguments:?}"
                );
            }
        }
    }
}

#[test]
fn unknown_checks_are_refused() {
    if !has("xz") {
        return;
    }
    // Several sized blocks, so that the parallel decoder meets it too.
    let large = Archive::new().file("x", &noise(200_000)).end();
    for bytes in [golden(), large] {
        let mut packed = filter("xz", &["-c", "-T2", "--block-size=50KiB"], &bytes);
        let end = packed.len();
        for flags in [7, end - 3] {
            packed[flags] = 5;
        }
        fix_crc(&mut packed, 6..8, 8);
        fix_crc(&mut packed, end - 8..end - 2, end - 12);
        for unpacker in complete_backends() {
            let error = tree(&unpacker, &packed).expect_err("an unknown check");
            assert_eq!(error.kind(), UnpackErrorKind::Malformed);
        }
    }
}

#[test]
fn every_flipped_bit_is_found() {
    if !has("xz") {
        return;
    }
    let packed = xz(&golden());
    let mut flips = 0;
    for unpacker in complete_backends() {
        for bit in (0..packed.len() * 8).step_by(3) {
            let mut flipped = packed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = tree(&unpacker, &flipped).expect_err(&format!("bit {bit} is flipped"));
            let fits = matches!(
                error.kind(),
                UnpackErrorKind::Malformed
                    | UnpackErrorKind::TooLarge
                    | UnpackErrorKind::Unsupported
            );
            assert!(fits, "bit {bit}: {error}");
            flips += 1;
        }
    }
    assert!(flips >= complete_backends().len() * 600, "{flips}");
}

#[test]
fn every_cut_is_found() {
    if !has("xz") {
        return;
    }
    let packed = xz(&golden());
    for length in 1..packed.len() {
        let error = tree(&Unpacker::new(), &packed[..length]).expect_err("it is cut");
        assert_eq!(
            error.kind(),
            UnpackErrorKind::Malformed,
            "{length}: {error}"
        );
    }
    assert_malformed(&packed[..packed.len() - 1]);
    assert_malformed(&packed[..packed.len() - 12]);
    assert_malformed(&packed[..100]);
}

#[test]
fn cuts_and_flips_in_parallel_blocks_are_found() {
    if !has("xz") {
        return;
    }
    let plain = Archive::new().file("x", &noise(400_000)).end();
    let packed = filter("xz", &["-c", "-T2", "--block-size=64KiB"], &plain);
    let good = tree(&Unpacker::new(), &packed).expect("intact");
    assert_eq!(good, tree(&Unpacker::new(), &plain).expect("intact"));
    for place in (0..packed.len()).step_by(packed.len() / 40) {
        let mut flipped = packed.clone();
        flipped[place] ^= 0x10;
        assert!(tree(&Unpacker::new(), &flipped).is_err(), "byte {place}");
        assert!(
            tree(&Unpacker::new(), &packed[..place]).is_err(),
            "cut at {place}"
        );
    }
}

#[test]
fn padding_comes_in_fours() {
    if !has("xz") {
        return;
    }
    let plain = tree(&Unpacker::new(), &golden()).expect("not packed");
    let packed = xz(&golden());
    for padding in 0..9 {
        let padded = [packed.clone(), vec![0; padding]].concat();
        if padding % 4 == 0 {
            for unpacker in complete_backends() {
                assert_eq!(tree(&unpacker, &padded).expect("padding"), plain);
            }
        } else {
            for unpacker in complete_backends() {
                let error = tree(&unpacker, &padded).expect_err("padding that does not fit");
                assert_eq!(error.kind(), UnpackErrorKind::Malformed, "{error}");
            }
        }
    }
}

#[test]
fn streams_are_read_to_the_last() {
    if !has("xz") {
        return;
    }
    let plain = golden();
    let expected = tree(&Unpacker::new(), &plain).expect("not packed");
    let (head, tail) = plain.split_at(700);
    let split = [xz(head), vec![0; 8], xz(tail), xz(b"")].concat();
    for unpacker in complete_backends() {
        assert_eq!(tree(&unpacker, &split).expect("two streams"), expected);
    }
    let hidden = Archive::new().file("hidden", b"evil").end();
    for unpacker in complete_backends() {
        let error = tree(&unpacker, &[xz(&plain), xz(&hidden)].concat()).expect_err("hidden");
        assert_eq!(error.kind(), UnpackErrorKind::Malformed);
        assert!(
            error
                .to_string()
                .starts_with("there is data after the end of the archive at byte")
        );
    }
}

#[test]
fn streams_after_parallel_blocks_are_read_to_the_last() {
    if !has("xz") {
        return;
    }
    let plain = Archive::new().file("x", &noise(300_000)).end();
    let parallel = ["-c", "-T2", "--block-size=64KiB"];
    let (head, tail) = plain.split_at(150_000);
    let split = [filter("xz", &parallel, head), filter("xz", &parallel, tail)].concat();
    let expected = tree(&Unpacker::new(), &plain).expect("not packed");
    assert_eq!(
        tree(&Unpacker::new(), &split).expect("two streams"),
        expected
    );
    let garbage = [
        filter("xz", &parallel, &plain),
        b"garbage, and more of it".to_vec(),
    ]
    .concat();
    let error = tree(&Unpacker::new(), &garbage).expect_err("garbage");
    assert_eq!(error.kind(), UnpackErrorKind::Malformed);
    if cfg!(feature = "liblzma") {
        assert_eq!(
            error.to_string(),
            "something that is not xz follows the xz data"
        );
    }
}

#[test]
fn garbage_after_the_data_is_found() {
    if !has("xz") {
        return;
    }
    for garbage in [&b"garbage that is long"[..], b"x", b"\0\0\0x"] {
        for unpacker in complete_backends() {
            let archive = [xz(&golden()), garbage.to_vec()].concat();
            let error = tree(&unpacker, &archive).expect_err("garbage");
            assert_eq!(error.kind(), UnpackErrorKind::Malformed, "{error}");
        }
    }
}

#[test]
fn legacy_lzma_is_not_xz() {
    if !has("xz") {
        return;
    }
    let packed = filter("xz", &["-c", "--format=lzma"], &golden());
    let error = tree(&Unpacker::new(), &packed).expect_err("not xz");
    assert_eq!(error.kind(), UnpackErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the archive is in the lzma format; xz, gzip, zstd and plain tar can be unpacked"
    );
}

#[test]
fn dictionary_beyond_the_memory_limit() {
    if !has("xz") {
        return;
    }
    let huge = filter("xz", &["-c", "--lzma2=dict=1024KiB"], &golden());
    // A dictionary of 1.5 GiB in the block header, which the decoder reserves at once.
    let mut huge = huge;
    let header = 12;
    let filters = header + 2;
    assert_eq!(&huge[filters..filters + 2], [0x21, 1]);
    huge[filters + 2] = 37;
    let end = header + (usize::from(huge[header]) + 1) * 4 - 4;
    fix_crc(&mut huge, header..end, end);
    for unpacker in complete_backends() {
        let error = tree(&unpacker, &huge).expect_err("too much memory");
        assert_eq!(error.kind(), UnpackErrorKind::TooLarge, "{error}");
    }
    let error = tree(&Unpacker::new(), &huge).expect_err("too much memory");
    assert_eq!(
        error.to_string(),
        "the xz decoder needs more memory than the limit of 134217728 bytes"
    );
    // What `xz -9` asks for fits.
    tree(&Unpacker::new(), &filter("xz", &["-c", "-9"], &golden())).expect("65 MiB");
    let mut limits = UnpackLimits::default();
    limits.decoder_memory = 32 << 20;
    let small = Unpacker::new().with_limits(limits);
    let error = tree(&small, &filter("xz", &["-c", "-9"], &golden())).expect_err("65 MiB");
    assert_eq!(error.kind(), UnpackErrorKind::TooLarge);
}

#[test]
fn sizes_and_reserved_bits_that_lie_are_found() {
    if !has("xz") {
        return;
    }
    let packed = filter("xz", &["-c", "-T2", "--block-size=1KiB"], &golden());
    let header = 12;
    assert_eq!(
        packed[header + 1] & 0xc0,
        0xc0,
        "both sizes are in the header"
    );
    let end = header + (usize::from(packed[header]) + 1) * 4 - 4;
    for (place, change) in [
        (header + 2, 1),
        (header + 4, 1),
        (header + 1, 0x04),
        (end - 1, 1),
    ] {
        let mut lying = packed.clone();
        lying[place] ^= change;
        fix_crc(&mut lying, header..end, end);
        for unpacker in complete_backends() {
            match tree(&unpacker, &lying) {
                Err(error) => assert_eq!(error.kind(), UnpackErrorKind::Malformed, "{error}"),
                // The sizes in block headers are hints to it; what it decodes is still checked.
                Ok(found) if format!("{unpacker:?}").contains("LzmaRust2") => {
                    assert_eq!(found, tree(&unpacker, &packed).expect("intact"));
                }
                Ok(_) => panic!("{place}: accepted by {unpacker:?}"),
            }
        }
    }
    let mut reserved = packed;
    reserved[6] = 1;
    fix_crc(&mut reserved, 6..8, 8);
    for unpacker in complete_backends() {
        let error = tree(&unpacker, &reserved).expect_err("a reserved flag");
        assert_eq!(error.kind(), UnpackErrorKind::Malformed, "{error}");
    }
}

#[test]
fn many_empty_streams_end_soon() {
    if !has("xz") {
        return;
    }
    let empty = xz(b"");
    let archive = [empty.repeat(20_000), xz(&golden())].concat();
    tree(&Unpacker::new(), &archive).expect("odd, and valid");
}

/// Bytes that do not pack, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn fix_crc(bytes: &mut [u8], of: std::ops::Range<usize>, at: usize) {
    let mut crc = u32::MAX;
    for byte in &bytes[of] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    bytes[at..at + 4].copy_from_slice(&(!crc).to_le_bytes());
}
