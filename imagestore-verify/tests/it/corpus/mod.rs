//! The corpus of signature cases: what must be refused is refused, by the right rule, and what
//! must be accepted is accepted. The verdicts of gpgv and sqv stand beside ours in
//! `tests/data/verdicts.tsv`.

mod algorithms;
mod certificates;
mod claims;
mod framing;
mod gnupg;
mod hidden;
mod keyrings;
mod legacy;
mod oracles;
mod revocations;
mod self_signatures;
mod several;
mod signatures;
mod subkeys;
mod times;

use bytes::Bytes;
use imagestore_verify::{
    DetachedSignature, Framing, Keyring, Policy, Sha256, Spool, StreamingCheck, Unverified,
    Verifier, VerifyError,
};

use crate::forge::{self, Key, Kind, armor, now, plain};

pub(crate) const DATA: &[u8] = b"first line\nsecond line\n";

/// One signature, the keys it is checked against, and what must come out.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rule: &'static str,
    pub(crate) keyring: Vec<u8>,
    pub(crate) asc: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// `accept`, or the kind of the refusal.
    pub(crate) expected: &'static str,
    pub(crate) policy: Policy,
    pub(crate) framing: Framing,
    pub(crate) pin: bool,
    /// Whether the digest of the data is checked as well.
    pub(crate) digest: bool,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        rule: &'static str,
        expected: &'static str,
        keyring: Vec<u8>,
        asc: Vec<u8>,
    ) -> Self {
        Self {
            name: name.into(),
            rule,
            keyring,
            asc,
            data: DATA.to_vec(),
            expected,
            policy: Policy::default(),
            framing: Framing::default(),
            pin: false,
            digest: false,
        }
    }

    pub(crate) fn under(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    pub(crate) fn pinned(mut self) -> Self {
        self.pin = true;
        self
    }

    pub(crate) fn beside_a_digest(mut self) -> Self {
        self.digest = true;
        self
    }

    pub(crate) fn over(mut self, data: impl AsRef<[u8]>) -> Self {
        self.data = data.as_ref().to_vec();
        self
    }

    fn check(&self) -> Result<(), VerifyError> {
        let mut keyring = Keyring::from_bytes(&self.keyring)?;
        if self.pin {
            let first = keyring.fingerprints()[0];
            keyring = keyring.pinned(&first)?;
        }
        let asc = Unverified::new(Bytes::copy_from_slice(&self.asc));
        let signature = DetachedSignature::parse_framed(&asc, self.framing)?;
        let verifier = Verifier::new(keyring, self.policy.clone());
        let data = Bytes::copy_from_slice(&self.data);
        if self.digest {
            let check = StreamingCheck::new()
                .with_digest(Sha256::of(&data))
                .with_signature(verifier, signature);
            check.check_beforehand()?;
            let mut spool = Spool::new(tempfile::tempfile()?, check);
            spool.write(&Unverified::new(data))?;
            return spool.finish().map(drop);
        }
        verifier
            .check(Unverified::new(data.clone()), &signature)
            .map(|opened| {
                assert_eq!(*opened, data, "{}: other data came out", self.name);
            })
    }
}

/// A word for the outcome.
pub(crate) fn outcome(result: &Result<(), VerifyError>) -> &'static str {
    match result {
        Ok(()) => "accept",
        Err(VerifyError::BadKey { .. }) => "bad key",
        Err(VerifyError::BadSignature { .. }) => "bad signature",
        Err(VerifyError::EmptyKeyring) => "empty keyring",
        Err(VerifyError::Malformed { .. }) => "malformed",
        Err(VerifyError::MissingKey { .. }) => "missing key",
        Err(VerifyError::NotAlive { .. }) => "not alive",
        Err(VerifyError::Threshold { .. }) => "threshold",
        Err(VerifyError::TooMany { .. }) => "too many",
        Err(VerifyError::WeakAlgorithm { .. }) => "weak",
        Err(VerifyError::WrongClock { .. }) => "wrong clock",
        Err(other) => panic!("no word for: {other}"),
    }
}

/// Keys that many cases share; making them takes long.
pub(crate) struct Keys {
    pub(crate) ed: Key,
    pub(crate) other: Key,
    pub(crate) rsa: Key,
    pub(crate) rsa_3072: Key,
    pub(crate) ed_new: Key,
    pub(crate) ed448: Key,
    pub(crate) p256: Key,
    pub(crate) p384: Key,
    pub(crate) p521: Key,
    pub(crate) secp256k1: Key,
    pub(crate) v6: Key,
}

impl Keys {
    fn make() -> Self {
        let created = now() - 400 * forge::DAY;
        let key = |kind| Key::new(kind, created);
        Self {
            ed: key(Kind::Ed25519Legacy),
            other: key(Kind::Ed25519Legacy),
            rsa: key(Kind::Rsa(2_048)),
            rsa_3072: key(Kind::Rsa(3_072)),
            ed_new: key(Kind::Ed25519),
            ed448: key(Kind::Ed448),
            p256: key(Kind::P256),
            p384: key(Kind::P384),
            p521: key(Kind::P521),
            secp256k1: key(Kind::Secp256k1),
            v6: Key::of_version(6, Kind::Ed25519, created),
        }
    }
}

/// A case about the ordinary certificate of a key and a signature packet sequence.
pub(crate) fn case(
    name: impl Into<String>,
    rule: &'static str,
    expected: &'static str,
    key: &Key,
    packets: &[u8],
) -> Case {
    Case::new(name, rule, expected, plain(key), armor(packets))
}

fn all() -> Vec<Case> {
    let keys = Keys::make();
    let mut cases = framing::cases(&keys);
    cases.extend(several::cases(&keys));
    cases.extend(signatures::cases(&keys));
    cases.extend(certificates::cases(&keys));
    cases.extend(gnupg::cases());
    cases
}

#[test]
fn every_case_has_its_verdict() {
    let cases = all();
    let mut wrong = Vec::new();
    for case in &cases {
        let result = case.check();
        let found = outcome(&result);
        if found != case.expected {
            let why = result.err().map(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                format!("{error}: {}", cause.unwrap_or_default())
            });
            wrong.push(format!(
                "{}: {found} instead of {} ({})",
                case.name,
                case.expected,
                why.unwrap_or_default()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let refused = cases
        .iter()
        .filter(|case| case.expected != "accept")
        .count();
    eprintln!("{} cases, {refused} of them refused", cases.len());
    assert!(cases.len() >= 150, "only {} cases", cases.len());
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    oracles::compare(&cases);
}
