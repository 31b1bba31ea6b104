//! V19 and V22 to V30: what the certificate of the signer says.

use imagestore_verify::Policy;

use super::{Case, DATA, Keys};
use crate::forge::{Key, Sig, armor};

pub(crate) fn cases(keys: &Keys) -> Vec<Case> {
    let mut cases = super::self_signatures::self_signatures(keys);
    cases.extend(super::revocations::revocations(keys));
    cases.extend(super::subkeys::subkeys(keys));
    cases.extend(super::hidden::hidden(keys));
    cases.extend(super::legacy::legacy());
    cases.extend(super::legacy::strength());
    cases.extend(super::keyrings::shapes(keys));
    cases
}

/// A good document signature by the key, against this certificate.
pub(super) fn signed(
    name: &str,
    rule: &'static str,
    expected: &'static str,
    key: &Key,
    bytes: Vec<u8>,
) -> Case {
    let asc = armor(&Sig::document(key).over(key, DATA));
    Case::new(format!("certificate: {name}"), rule, expected, bytes, asc)
}

pub(super) fn at_signing() -> Policy {
    Policy::default().with_keys_alive_at_signing()
}
