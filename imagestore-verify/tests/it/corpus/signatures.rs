//! V7 to V21: one signature by an ordinary key.

use super::{Case, Keys};

pub(crate) fn cases(keys: &Keys) -> Vec<Case> {
    let mut cases = super::algorithms::algorithms(keys);
    cases.extend(super::algorithms::brainpool());
    cases.extend(super::times::types(keys));
    cases.extend(super::claims::subpackets(keys));
    cases.extend(super::times::times(keys));
    cases.extend(super::claims::issuers(keys));
    cases.extend(super::algorithms::values(keys));
    cases
}
