//! Signing keys that exist for one process, and the clock they go by.
//!
//! Each is made once a process, so that tests in one binary share it. They are ed25519 keys without an expiry,
//! created at [`KEYS_CREATED`]; sign between then and the time the test goes by.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use imagestore_verify::Keyring;
use imagestore_verify::signing::SigningKey;

/// The key of a registry.
#[must_use]
pub fn registry() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| new("registry"))
}

/// The key of an image server.
#[must_use]
pub fn images() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| new("images"))
}

/// The key of another image server, for registries that name several.
#[must_use]
pub fn other_images() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| new("other images"))
}

/// A key nobody trusts.
#[must_use]
pub fn stranger() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| new("stranger"))
}

/// A new key with this name in its user id.
#[must_use]
pub fn new(name: &str) -> SigningKey {
    let user_id = format!(
        "{name} (made for a test) <{}@example.org>",
        name.replace(' ', "-")
    );
    SigningKey::generate_ed25519(&user_id, at(KEYS_CREATED))
}

/// The public half of a key, as a keyring.
#[must_use]
pub fn keyring(key: &SigningKey) -> Keyring {
    Keyring::from_bytes(key.certificate().as_bytes()).expect("the certificate of a new key")
}

/// A detached signature over these bytes, as it lies beside a file.
#[must_use]
pub fn sign(key: &SigningKey, data: &[u8], at: SystemTime) -> String {
    key.sign_detached(data, at)
}

/// A time by its UNIX seconds.
#[must_use]
pub fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// When the keys were created: 2024-01-01 00:00:00 UTC.
pub const KEYS_CREATED: u64 = 1_704_067_200;
/// A time at which to sign: 2024-06-01 00:00:00 UTC.
pub const SIGNED: u64 = 1_717_200_000;
/// A time to go by, a day after [`SIGNED`].
pub const NOW: u64 = SIGNED + 86_400;
