use std::time::SystemTime;

use crate::{clock::Utc, fingerprint::Fingerprint};

/// The rule that refused a signature, a key or a keyring, with what was found.
///
/// It is the [`source`](std::error::Error::source) of a [`VerifyError`](crate::VerifyError), which
/// names the key. Rules are numbered as in POLICY.md.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// V2: nothing there.
    #[error("it is empty")]
    Empty,
    /// V3: no armor.
    #[error("it is not armored: no line says `-----BEGIN PGP {wanted}-----`")]
    NoArmor {
        /// The label that was expected.
        wanted: &'static str,
    },
    /// V3: another kind of armor, such as a message or a clear-signed text.
    #[error("line {line} begins a `{found}` block, not a `{wanted}` block")]
    OtherArmor {
        /// Where.
        line: usize,
        /// The label that was found, from a fixed list.
        found: &'static str,
        /// The label that was expected.
        wanted: &'static str,
    },
    /// V3: text before, between or after armor.
    #[error("line {line} is outside the armor and not blank")]
    OutsideArmor {
        /// Where.
        line: usize,
    },
    /// V3: more than one block.
    #[error("line {line} begins a second block")]
    SeveralBlocks {
        /// Where.
        line: usize,
    },
    /// V3: a line in the armor that cannot be there.
    #[error("line {line} of the armor is wrong: {wrong}")]
    ArmorLine {
        /// Where.
        line: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// V4, V5: the packets do not fit together.
    #[error("packet at byte {at} is wrong: {wrong}")]
    Packet {
        /// Where.
        at: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// V4: a packet that has no place there.
    #[error("packet of type {tag} at byte {at} has no place there")]
    StrayPacket {
        /// Where.
        at: usize,
        /// Its type.
        tag: u8,
    },
    /// V4: packets, and no signature among them.
    #[error("it holds no signature packet")]
    NoSignature,
    /// A secret key where public keys belong.
    #[error("it holds a secret key; export the public key only, and treat the secret as lost")]
    SecretKey,
    /// A GnuPG keybox.
    #[error("it is a GnuPG keybox; use the output of `gpg --export FINGERPRINT`")]
    Keybox,
    /// V6: a signature that cannot be read.
    #[error("the signature packet is wrong: {wrong}")]
    BrokenSignature {
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// V8: a version other than 4 and 6, or not that of the key.
    #[error("the signature has version {found}{}", versions(*.key))]
    Version {
        /// The version of the signature.
        found: u8,
        /// The version of the key, when it is the key it does not fit.
        key: Option<u8>,
    },
    /// V9: a type other than 0x00.
    #[error("the signature has type 0x{found:02x}, not 0x00 (binary document)")]
    Type {
        /// The type.
        found: u8,
    },
    /// V10: no creation time that is covered by the signature, or several.
    #[error("the signature has {found} creation times in the hashed area, not one")]
    CreationTimes {
        /// How many.
        found: usize,
    },
    /// V14: a critical subpacket nobody here understands.
    #[error("the signature has a critical subpacket of unknown type {id}")]
    CriticalSubpacket {
        /// Its type.
        id: u8,
    },
    /// V14: a critical notation nobody here understands.
    #[error("the signature has a critical notation")]
    CriticalNotation,
    /// V14, V16: a subpacket that has no meaning on the signature of a document.
    #[error("the signature has a subpacket {name}, which has no place on a document")]
    StraySubpacket {
        /// Its name.
        name: &'static str,
    },
    /// V15: the signature does not say who made it.
    #[error("the signature names no issuer")]
    NoIssuer,
    /// V15: the names of the issuer contradict each other.
    #[error("the signature names two issuers: {one} and {other}")]
    TwoIssuers {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// V17: a digest that can be forged.
    #[error("the digest {name} is not accepted")]
    Digest {
        /// Its name.
        name: &'static str,
    },
    /// V17: an unknown digest.
    #[error("the digest algorithm {id} is unknown")]
    UnknownDigest {
        /// Its number.
        id: u8,
    },
    /// V18: a digest too short for the key.
    #[error("{name} has {found} bits, the key needs {needed}")]
    ShortDigest {
        /// Its name.
        name: &'static str,
        /// Its size.
        found: usize,
        /// What the key needs.
        needed: usize,
    },
    /// V19: a public-key algorithm that is not accepted.
    #[error("keys of type {name} are not accepted")]
    KeyAlgorithm {
        /// Its name.
        name: &'static str,
    },
    /// V19: a key too small or too large.
    #[error("the key has {found} bits, not {least} to {most}")]
    KeySize {
        /// Its size.
        found: usize,
        /// The smallest accepted.
        least: usize,
        /// The largest accepted.
        most: usize,
    },
    /// V19: key material that cannot be right.
    #[error("the key material is wrong: {wrong}")]
    KeyMaterial {
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// V8: the signature says another algorithm than the key has.
    #[error("the signature is made by algorithm {found}, the key has {key}")]
    OtherAlgorithm {
        /// Of the signature.
        found: u8,
        /// Of the key.
        key: u8,
    },
    /// V20: the digest of the data does not begin with the bytes the signature announces.
    #[error("the data has another digest than was signed")]
    DigestPrefix,
    /// V20: the arithmetic of the public key says no.
    #[error("the signature was not made over this data by this key")]
    Arithmetic,
    /// V11: dated in the future.
    #[error("it was signed at {}, and the clock says {}", Utc(*.signed), Utc(*.clock))]
    SignedInFuture {
        /// When it was signed.
        signed: SystemTime,
        /// What the clock says.
        clock: SystemTime,
    },
    /// V11: older than its key.
    #[error("it was signed at {}, before the key was made at {}", Utc(*.signed), Utc(*.created))]
    SignedBeforeKey {
        /// When it was signed.
        signed: SystemTime,
        /// When the key was made.
        created: SystemTime,
    },
    /// V12: the signature expired.
    #[error("the signature expired at {}, and the clock says {}", Utc(*.expired), Utc(*.clock))]
    SignatureExpired {
        /// When it expired.
        expired: SystemTime,
        /// What the clock says.
        clock: SystemTime,
    },
    /// V25: the key expired.
    #[error("the key expired at {}, and was asked to be alive at {}", Utc(*.expired), Utc(*.at))]
    KeyExpired {
        /// When it expired.
        expired: SystemTime,
        /// When it had to be alive.
        at: SystemTime,
    },
    /// V9: a text signature and no digest.
    #[error("a text signature lets line endings change; give the digest as well")]
    TextAlone,
    /// V28: the key was revoked.
    #[error("the key was revoked at {} ({why})", Utc(*.revoked))]
    KeyRevoked {
        /// When.
        revoked: SystemTime,
        /// What the revocation says.
        why: &'static str,
    },
    /// V29: the key is on a blacklist.
    #[error("the key is on the blacklist")]
    Blacklisted,
    /// V22: the certificate is there, and only another of its keys is trusted.
    #[error("the keyring is narrowed to {}", listed(.only))]
    Narrowed {
        /// The only keys that may sign.
        only: Vec<Fingerprint>,
    },
    /// V26: the key may not sign data.
    #[error("the key flags do not allow signing data")]
    KeyFlags,
    /// V24: no self-signature that counts.
    #[error("the key has no valid self-signature")]
    NoSelfSignature,
    /// V24: a version 6 key without a direct key signature.
    #[error("the version 6 key has no valid direct key signature")]
    NoDirectKeySignature,
    /// V30: self-signatures with SHA-1 only.
    #[error("the key is bound by SHA-1 only; pin it by its full fingerprint if you trust it")]
    LegacySelfSignature,
    /// V30: a weak self-signature from after its time.
    #[error(
        "the key is bound by SHA-1 only, of {}; only such of before 2020 do no harm",
        Utc(*.made)
    )]
    YoungLegacySelfSignature {
        /// When it was made.
        made: SystemTime,
    },
    /// V27: the subkey is not bound to its primary key.
    #[error("the subkey has no valid binding by its primary key")]
    Unbound,
    /// V27: the subkey does not confirm its primary key.
    #[error("the subkey has no valid back-signature")]
    NoBackSignature,
    /// V7: a certificate with more self-signatures than anyone needs.
    #[error("the certificate has more than {limit} signatures to check")]
    CertificateTooBusy {
        /// The limit.
        limit: usize,
    },
    /// V7: more attempts than a key gets.
    #[error("more than {limit} signatures claim this key")]
    TooManyAttempts {
        /// The limit.
        limit: usize,
    },
    /// V6: good signatures by fewer keys than asked for.
    #[error("{found} of {needed} keys have signed")]
    Threshold {
        /// Distinct primary keys with a good signature.
        found: usize,
        /// How many the policy asks for.
        needed: usize,
    },
}

fn versions(key: Option<u8>) -> String {
    match key {
        Some(key) => format!(", its key has version {key}"),
        None => ", only 4 and 6 are accepted".to_owned(),
    }
}

fn listed(keys: &[Fingerprint]) -> String {
    let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
    keys.join(", ")
}
