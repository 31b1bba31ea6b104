use std::time::Duration;

use bytes::Bytes;

/// A way to misbehave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Close the connection instead of answering.
    Close,
    /// Close the connection after this many bytes of the body.
    CutBody {
        /// How many bytes are sent.
        after: u64,
        /// How the head announced the body.
        framing: Framing,
    },
    /// Send two `Content-Length` fields: the true one and this one.
    DoubleLength(u64),
    /// Send this body for ever, under chunked framing.
    Endless(u8),
    /// Change every bit of the byte at this place of the whole file.
    FlipByte(u64),
    /// Send the body compressed, whether that was asked for or not.
    Gzip,
    /// Answer 200 with the page of a captive portal.
    Html,
    /// Answer 200 with the whole file, whatever range was asked for.
    IgnoreRange,
    /// Send this many interim answers (status 103) before the final one.
    Interim(usize),
    /// Send `Content-Length` and chunked framing at once.
    LengthAndChunked,
    /// Send one field with a value of this many bytes.
    LongField(usize),
    /// Send this many fields.
    ManyFields(usize),
    /// Send as many zero bytes as the file is long.
    NulBody,
    /// Redirect to this place.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location` field as it is sent.
        location: String,
    },
    /// Redirect this many times, from `/x` to `/x?1`, `/x?2` and so on, and then answer.
    RedirectChain(usize),
    /// Redirect to itself.
    RedirectLoop,
    /// Answer 416 to every range.
    RefuseRange,
    /// After this answer the file has this content.
    ReplaceAfterwards(Bytes),
    /// Send this many bytes of the body and then nothing, with the connection open.
    Stall {
        /// How many bytes are sent.
        after: u64,
    },
    /// Send nothing at all, with the connection open.
    StallBeforeAnswer,
    /// Answer with this status and these fields, and with the status as body.
    Status {
        /// The status.
        status: u16,
        /// Further fields, such as `Retry-After`.
        fields: Vec<(String, String)>,
    },
    /// Send the body in small pieces with pauses.
    Trickle {
        /// How many bytes at a time.
        bytes: usize,
        /// The pause after each.
        every: Duration,
    },
    /// Answer ranges with 206 and something wrong.
    WrongRange(WrongRange),
}

impl Fault {
    /// This status without further fields.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            fields: Vec::new(),
        }
    }

    /// A redirect (302) to this place.
    #[must_use]
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::Redirect {
            status: 302,
            location: location.into(),
        }
    }
}

/// How the end of a body is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By a last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
    /// By `Content-Length`.
    Length,
}

/// What can be wrong with an answer to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongRange {
    /// `Content-Range` and the body begin this many bytes too late.
    Begin(u64),
    /// There is no `Content-Range`.
    NoField,
    /// `Content-Range` is right, the body is the whole file.
    WholeBody,
    /// `Content-Range` names this total.
    Total(u64),
}
