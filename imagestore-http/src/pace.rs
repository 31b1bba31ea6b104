use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use imagestore_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout};

use crate::errors::{Way, caused};
use crate::options::HttpOptions;

/// A body on its way in, which must neither stall nor trickle nor end early.
///
/// Only time spent waiting for the server counts: a slow disk is not its fault.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) response: reqwest::Response,
    pub(crate) way: Way,
    /// The place in the whole at which the next bytes belong.
    pub(crate) at: u64,
    /// The place at which it must end, if that was announced.
    pub(crate) end: Option<u64>,
    /// When all of it must be here.
    pub(crate) deadline: Option<Instant>,
    pub(crate) pace: Pace,
}

impl Arriving {
    /// The pieces as they come.
    pub(crate) fn pieces(self) -> impl Stream<Item = Result<Bytes>> + Send {
        stream::try_unfold(self, |mut body| async move {
            let piece = body.piece().await?;
            Ok(piece.map(|piece| (piece, body)))
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        let asked = Instant::now();
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(asked));
        let patience = left.map_or(self.pace.idle, |left| left.min(self.pace.idle));
        let Ok(piece) = timeout(patience, self.response.chunk()).await else {
            let why = match left {
                Some(left) if left <= self.pace.idle => "did not arrive in time".to_owned(),
                _ => format!("sent nothing for {:?}", self.pace.idle),
            };
            return Err(self.cut(&why));
        };
        let piece = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) if self.end.is_none_or(|end| end == self.at) => return Ok(None),
            Ok(None) => return Err(self.cut("ended early")),
            Err(error) => return Err(caused(self.cut("broke off"), &error)),
        };
        self.at += piece.len() as u64;
        match self.pace.passed(piece.len() as u64, asked.elapsed()) {
            Some(rate) => {
                let lowest = self.pace.lowest_rate;
                Err(self.cut(&format!(
                    "came at {rate} bytes a second, at least {lowest} are wanted"
                )))
            }
            None => Ok(Some(piece)),
        }
    }

    fn cut(&self, how: &str) -> Error {
        let length = self
            .end
            .map_or_else(String::new, |end| format!(" of {end}"));
        let message = format!("the body {how}, after {}{length} bytes", self.at);
        self.way.error(ErrorKind::Network, message)
    }
}

/// How fast a body comes.
#[derive(Debug)]
pub(crate) struct Pace {
    idle: Duration,
    lowest_rate: u64,
    window: Duration,
    bytes: u64,
    waited: Duration,
}

impl Pace {
    pub(crate) fn new(options: &HttpOptions) -> Self {
        Self {
            idle: options.idle,
            lowest_rate: options.lowest_rate,
            window: options.rate_window,
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// Counts a piece; the rate in bytes a second, if it is too low.
    fn passed(&mut self, bytes: u64, waited: Duration) -> Option<u64> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.waited += waited;
        if self.waited < self.window {
            return None;
        }
        let rate = (self.bytes as f64 / self.waited.as_secs_f64()) as u64;
        (self.bytes, self.waited) = (0, Duration::ZERO);
        (rate < self.lowest_rate).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_only_time_spent_waiting() {
        let mut pace = Pace::new(&HttpOptions::default());
        let second = Duration::from_secs(1);
        for _ in 0..59 {
            assert_eq!(pace.passed(10, second), None);
        }
        assert_eq!(pace.passed(10, second), Some(10));
        for _ in 0..59 {
            assert_eq!(pace.passed(4096, second), None);
        }
        assert_eq!(pace.passed(4096, second), None);
        assert_eq!(pace.passed(1, Duration::ZERO), None);
    }
}
