use bytes::Bytes;

use crate::{
    armor::{self, Around},
    error::VerifyError,
    packet::{Packets, tag},
    reason::Reason,
    signature_packet::SignaturePacket,
    unverified::Unverified,
};

/// A detached signature, parsed and not judged: the contents of an `.asc`.
#[derive(Clone, Debug)]
pub struct DetachedSignature {
    /// V6: those that cannot be read are kept as the reason, to be named when no other is good.
    pub(crate) signatures: Vec<Result<SignaturePacket, Reason>>,
}

/// What may be around and instead of the one armored block.
///
/// # Defaults
///
/// Nothing: exactly one block `PGP SIGNATURE` and blank lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framing {
    around: Around,
    binary: bool,
}

impl DetachedSignature {
    /// Reads an `.asc`: one armored signature block, with at most blank lines around it.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Malformed`] for anything else, among it messages, clear-signed texts, keys,
    /// binary signatures and web pages; [`VerifyError::TooMany`] above 64 KiB or 16 signatures.
    pub fn parse(asc: &Unverified<Bytes>) -> Result<Self, VerifyError> {
        Self::parse_framed(asc, Framing::default())
    }

    /// Reads an `.asc` with a looser frame.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), less what the frame allows.
    pub fn parse_framed(asc: &Unverified<Bytes>, framing: Framing) -> Result<Self, VerifyError> {
        let bytes = asc.peek();
        if bytes.len() > MAX_ASC {
            let (what, found) = ("bytes in one signature file", bytes.len());
            return Err(VerifyError::TooMany {
                what,
                limit: MAX_ASC,
                found,
            });
        }
        let binary = bytes.first().is_some_and(|first| first & 0x80 != 0);
        if framing.binary && binary {
            return Self::from_packets(bytes);
        }
        let decoded = armor::decode(bytes, "SIGNATURE", framing.around).map_err(malformed)?;
        Self::from_packets(&decoded)
    }

    fn from_packets(bytes: &[u8]) -> Result<Self, VerifyError> {
        let mut signatures = Vec::new();
        for packet in Packets::new(bytes, MAX_ASC) {
            let packet = packet.map_err(malformed)?;
            match packet.tag {
                tag::SIGNATURE => signatures.push(SignaturePacket::parse(packet.body)),
                tag::MARKER if packet.body == b"PGP" => {}
                tag::PADDING | tag::FIRST_NON_CRITICAL.. => {}
                tag => return Err(malformed(Reason::StrayPacket { at: packet.at, tag })),
            }
            let found = signatures.len();
            if found > MAX_SIGNATURES {
                let what = "signatures in one file";
                return Err(VerifyError::TooMany {
                    what,
                    limit: MAX_SIGNATURES,
                    found,
                });
            }
        }
        if signatures.is_empty() {
            return Err(malformed(Reason::NoSignature));
        }
        Ok(Self { signatures })
    }
}

impl Framing {
    /// Accepts signatures that are not armored.
    ///
    /// Lost: a file of another kind is told from a signature by its packets alone.
    #[must_use]
    pub fn with_binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// Accepts several armored blocks, one after the other; their signatures count together.
    ///
    /// Lost: tools disagree which of the blocks they read.
    #[must_use]
    pub fn with_several_blocks(mut self) -> Self {
        self.around.several_blocks = true;
        self
    }

    /// Accepts text before, between and after the armored blocks; it is not looked at.
    ///
    /// Lost: what a person sees on opening the file need not be what was checked.
    #[must_use]
    pub fn with_text_around(mut self) -> Self {
        self.around.text = true;
        self
    }
}

fn malformed(reason: Reason) -> VerifyError {
    VerifyError::Malformed {
        what: "signature",
        reason,
    }
}

const MAX_ASC: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 16;
