//! The fields of `Verified` are private, so no literal makes one.

use imagestore_verify::{Proof, Verified};

fn main() {
    let proofs: Vec<Proof> = Vec::new();
    let _by_fields = Verified { value: "data", proofs: proofs.into() };
}
