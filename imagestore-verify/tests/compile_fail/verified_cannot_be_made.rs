//! Only a check makes a `Verified`: it has no constructor and no public field.

use imagestore_verify::{Proof, Verified};

fn main() {
    let proofs: Vec<Proof> = Vec::new();
    let _by_call = Verified::proven("data", proofs.clone());
    let _by_new = Verified::new("data");
}
