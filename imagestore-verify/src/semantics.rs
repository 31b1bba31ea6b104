//! Every judgement about signatures and keys, in the order of cost. POLICY.md is its table.

mod claim;
mod key;

pub(crate) use claim::{Claim, judge_claim, read_claim, warn};
pub(crate) use key::{expiry, judge_key, may_sign_at};

const YEAR: u64 = 365 * 24 * 60 * 60;
