//! What the worst `.asc` may cost against the largest keyring. One test in a process of its own, for memory is counted
//! over all threads.

#[path = "../it/forge/mod.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod forge;

use std::time::Duration;

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Framing, Keyring, Policy, Unverified, Verifier, VerifyError,
};

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

use crate::forge::{
    DAY, Key, Kind, Sig, armor,
    brainpool::{POINT, on_brainpool},
    now, packet, plain,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const DATA: &[u8] = b"data";

/// 64 certificates with the slowest arithmetic there is.
fn keys() -> Vec<Key> {
    let kinds = [Kind::P521, Kind::Ed448, Kind::P384, Kind::Ed25519];
    (0..64)
        .map(|index| Key::new(kinds[index % 4], now() - 400 * DAY))
        .collect()
}

fn bad(key: &Key) -> Vec<u8> {
    let mut signature = Sig::document(key).hash(forge::SHA512);
    signature.flip_value = true;
    signature.over(key, DATA)
}

fn check(verifier: &Verifier, asc: &[u8]) -> Result<(), VerifyError> {
    let asc = Unverified::new(Bytes::copy_from_slice(asc));
    let signature = DetachedSignature::parse_framed(&asc, Framing::default())?;
    verifier
        .check(Unverified::new(Bytes::from_static(DATA)), &signature)
        .map(drop)
}

/// The least time of several runs, for the machine may be busy; and the most memory of them.
fn cost(verifier: &Verifier, asc: &[u8]) -> (Duration, usize) {
    let held = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let runs = (0..25).map(|_| {
        let before = spent();
        assert!(check(verifier, asc).is_err(), "nothing in it is good");
        spent().saturating_sub(before)
    });
    let time = runs.min().unwrap_or_default();
    (time, ALLOCATOR.peak_usage().saturating_sub(held))
}

/// The processor time of this thread.
fn spent() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).expect("counted from zero")
}

#[test]
fn no_signature_file_costs_more_than_50_ms_and_8_mib_against_64_certificates() {
    let keys = keys();
    let slow: Vec<&Key> = keys
        .iter()
        .filter(|key| key.algorithm == 19)
        .take(16)
        .collect();
    let sixteen: Vec<u8> = slow.iter().flat_map(|key| bad(key)).collect();
    let one_key: Vec<u8> = bad(slow[0]).repeat(16);
    let mut notes = Sig::document(slow[0]);
    for _ in 0..200 {
        notes = notes.with(false, 20, [0; 16]);
    }
    let notes: Vec<u8> = notes.over(slow[0], b"other").repeat(9);
    let ids: Vec<u8> = packet(2, &[4]).repeat(16);
    let markers = [packet(10, b"PGP").repeat(4_000), bad(slow[0])].concat();
    let cases = [
        ("16 bad signatures by 16 keys", armor(&sixteen)),
        ("16 bad signatures by one key", armor(&one_key)),
        ("9 signatures with 200 notations each", armor(&notes)),
        ("16 empty signatures", armor(&ids)),
        ("4000 markers", armor(&markers)),
        ("64 KiB of line ends", vec![b'\n'; 65_536]),
        ("64 KiB of dashes", vec![b'-'; 65_536]),
        (
            "64 KiB of begin lines",
            b"-----BEGIN PGP SIGNATURE-----\n".repeat(2_184),
        ),
        (
            "64 KiB of text before",
            [vec![b'\n'; 1], b"x\n".repeat(30_000)].concat(),
        ),
    ];
    let certificates: Vec<u8> = keys.iter().flat_map(plain).collect();
    for (name, asc) in cases {
        judge(name, &certificates, &asc);
    }
    let keys: Vec<Key> = (0..64)
        .map(|index| on_brainpool(now() - 400 * DAY - index, POINT))
        .collect();
    let certificates: Vec<u8> = keys.iter().flat_map(plain).collect();
    let sixteen: Vec<u8> = keys[..16].iter().flat_map(bad).collect();
    judge("16 by 16 brainpool keys", &certificates, &armor(&sixteen));
}

fn judge(name: &str, certificates: &[u8], asc: &[u8]) {
    assert!(asc.len() <= 65_536, "{name}: {} bytes", asc.len());
    let keyring = Keyring::from_bytes(certificates).expect("64 certificates");
    assert_eq!(keyring.fingerprints().len(), 64);
    let verifier = Verifier::new(keyring, Policy::default());
    // The first use of a certificate checks its own signatures, once. That has to fit as well.
    let held = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    assert!(check(&verifier, asc).is_err());
    let first = ALLOCATOR.peak_usage().saturating_sub(held);

    let (time, memory) = cost(&verifier, asc);
    eprintln!("{name}: {time:?}, {first} bytes at first, then {memory}");
    assert!(time < Duration::from_millis(50), "{name}: {time:?}");
    assert!(first.max(memory) < 8 << 20, "{name}: {first}, {memory}");
}
