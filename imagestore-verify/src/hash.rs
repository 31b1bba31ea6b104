use sha2::Digest as _;

/// The digest algorithms of OpenPGP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashAlgorithm {
    Md5,
    Ripemd160,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_256,
    Sha3_512,
}

impl HashAlgorithm {
    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            1 => Self::Md5,
            2 => Self::Sha1,
            3 => Self::Ripemd160,
            8 => Self::Sha256,
            9 => Self::Sha384,
            10 => Self::Sha512,
            11 => Self::Sha224,
            12 => Self::Sha3_256,
            14 => Self::Sha3_512,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Ripemd160 => "RIPEMD160",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
            Self::Sha3_256 => "SHA3-256",
            Self::Sha3_512 => "SHA3-512",
        }
    }

    pub(crate) fn bits(self) -> usize {
        match self {
            Self::Md5 => 128,
            Self::Ripemd160 | Self::Sha1 => 160,
            Self::Sha224 => 224,
            Self::Sha256 | Self::Sha3_256 => 256,
            Self::Sha384 => 384,
            Self::Sha512 | Self::Sha3_512 => 512,
        }
    }

    /// The length of the salt in a version 6 signature (RFC 9580, Table 23).
    pub(crate) fn salt_length(self) -> Option<usize> {
        match self {
            Self::Sha224 | Self::Sha256 | Self::Sha3_256 => Some(16),
            Self::Sha384 => Some(24),
            Self::Sha512 | Self::Sha3_512 => Some(32),
            Self::Md5 | Self::Ripemd160 | Self::Sha1 => None,
        }
    }

    /// Strong against collisions, the only kind a signature of ours may rest on.
    pub(crate) fn is_strong(self) -> bool {
        self.bits() >= 256
    }
}

/// A running digest. It can be cloned, which is how a check is kept to go back to.
#[derive(Clone, Debug)]
pub(crate) enum Hasher {
    /// Looks for the marks of collision attacks on the way.
    Sha1(Box<sha1_checked::Sha1>),
    Sha224(sha2::Sha224),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Sha3_256(sha3::Sha3_256),
    Sha3_512(sha3::Sha3_512),
}

impl Hasher {
    /// `None` for the algorithms that are never accepted for data, under any policy.
    pub(crate) fn new(algorithm: HashAlgorithm) -> Option<Self> {
        Some(match algorithm {
            HashAlgorithm::Sha1 => Self::Sha1(Box::default()),
            HashAlgorithm::Sha224 => Self::Sha224(sha2::Sha224::new()),
            HashAlgorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            HashAlgorithm::Sha384 => Self::Sha384(sha2::Sha384::new()),
            HashAlgorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            HashAlgorithm::Sha3_256 => Self::Sha3_256(sha3::Sha3_256::new()),
            HashAlgorithm::Sha3_512 => Self::Sha3_512(sha3::Sha3_512::new()),
            HashAlgorithm::Md5 | HashAlgorithm::Ripemd160 => return None,
        })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => sha2::Digest::update(&mut **hasher, bytes),
            Self::Sha224(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha3_256(hasher) => hasher.update(bytes),
            Self::Sha3_512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest; `None` when the input carries the marks of a collision attack on SHA-1.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Sha1(hasher) => match hasher.try_finalize() {
                sha1_checked::CollisionResult::Ok(digest) => digest.to_vec(),
                _ => return None,
            },
            Self::Sha224(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha384(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
            Self::Sha3_256(hasher) => hasher.finalize().to_vec(),
            Self::Sha3_512(hasher) => hasher.finalize().to_vec(),
        })
    }
}
