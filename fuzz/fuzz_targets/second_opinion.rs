//! What Sequoia says to the same key, signature and data.

use std::time::SystemTime;

use sequoia_openpgp as openpgp;

use openpgp::cert::{Cert, CertParser};
use openpgp::parse::Parse as _;
use openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationHelper,
};
use openpgp::policy::StandardPolicy;
use openpgp::{KeyHandle, Result};

struct Certificates(Vec<Cert>);

impl VerificationHelper for Certificates {
    fn get_certs(&mut self, _: &[KeyHandle]) -> Result<Vec<Cert>> {
        Ok(self.0.clone())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> Result<()> {
        let mut refusals = Vec::new();
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else {
                continue;
            };
            for result in results {
                match result {
                    Ok(_) => return Ok(()),
                    Err(error) => refusals.push(error.to_string()),
                }
            }
        }
        Err(openpgp::anyhow::anyhow!(
            "no good signature: {}",
            refusals.join("; ")
        ))
    }
}

/// Whether one of the signatures is good at that time.
pub(crate) fn verify(key: &[u8], signature: &[u8], data: &[u8], at: SystemTime) -> Result<()> {
    let certificates = CertParser::from_bytes(key)?.flatten().collect();
    let policy = StandardPolicy::at(at);
    DetachedVerifierBuilder::from_bytes(signature)?
        .with_policy(&policy, at, Certificates(certificates))?
        .verify_bytes(data)
}
