//! What a host does for a caller it trusts.

use std::time::{Duration, Instant};

use imagestore_core::{Change, Error, ErrorKind, Event, Result, async_trait};
use imagestore_verify::{Sha256, Verified};
use serde::de::IgnoredAny;

use crate::ask::Said;
use crate::error::ParseError;
use crate::operation::{Operation, OperationClass, OperationId, OperationStatus};
use crate::pull::{Pull, Pulled};
use crate::reply;
use crate::secret::Secret;
use crate::secrets::Secrets;
use crate::source::Lxd;

impl Lxd {
    /// A new secret for an image of the host, to be given to somebody it does not trust.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if the host does not trust this caller, [`ErrorKind::NotFound`] if
    /// there is no such image, [`ErrorKind::Untrusted`] or [`ErrorKind::Malformed`] if the answer
    /// is not to be believed, and those of the transport.
    pub async fn create_secret(&self, fingerprint: &Sha256) -> Result<Secret> {
        let ask = self.ask();
        let url = ask.secret(fingerprint)?;
        let change = Change::post(ask.remote, &url, b"{}");
        let token = ask.change(change, Operation::parse_begun).await?;
        match (&token.class, &token.secret) {
            (OperationClass::Token, Some(secret)) => Ok(secret.clone()),
            _ => Err(Error::new(
                ErrorKind::Malformed,
                "asked for a secret, answered with an operation that holds none",
            )
            .with_subject(url)),
        }
    }

    /// Makes the host fetch an image from elsewhere, and waits until it has.
    ///
    /// What the host says about its progress is told as [`Event::Working`].
    ///
    /// Dropping the future stops the waiting, not the host: telling it takes a request, and there
    /// is nobody left to wait for it. Who may want to cancel begins with [`Lxd::start_pull`], and
    /// calls [`Lxd::cancel`] when [`Lxd::follow`] was dropped.
    ///
    /// # Errors
    /// Those of [`Lxd::start_pull`] and [`Lxd::follow`]; [`ErrorKind::Malformed`] if the host has
    /// fetched another image.
    pub async fn pull(&self, pull: &Pull) -> Result<Verified<Pulled>> {
        let begun = self.start_pull(pull).await?;
        let ended = self.follow(&begun.id).await?;
        ended.try_map(|ended| {
            let fingerprint = ended.fingerprint.ok_or_else(|| {
                Error::new(
                    ErrorKind::Malformed,
                    "the host has fetched an image and does not say which",
                )
                .with_subject(format_args!("operation {}", ended.id))
            })?;
            match pull.fingerprint() {
                Some(asked) if *asked != fingerprint => Err(ParseError::OtherImage {
                    asked: asked.to_string(),
                    found: fingerprint.to_string(),
                }
                .into()),
                _ => Ok(Pulled {
                    fingerprint,
                    size: ended.size,
                }),
            }
        })
    }

    /// Makes the host begin to fetch an image from elsewhere.
    ///
    /// The request is sent once: if its answer is lost, the host may have begun.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if the host does not trust this caller, [`ErrorKind::Untrusted`] or
    /// [`ErrorKind::Malformed`] if the answer is not to be believed, and those of the transport.
    /// What the host says about it is the cause.
    pub async fn start_pull(&self, pull: &Pull) -> Result<Verified<Operation>> {
        let ask = self.ask();
        let url = ask.new_images()?;
        let json = pull.json();
        let change = Change::post(ask.remote, &url, &json);
        ask.change(change, Operation::parse_begun).await
    }

    /// How far an operation is. Hosts forget one some seconds after its end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the host knows no such operation, [`ErrorKind::Untrusted`] or
    /// [`ErrorKind::Malformed`] if the answer is not to be believed, and those of the transport.
    pub async fn operation(&self, id: &OperationId) -> Result<Verified<Operation>> {
        let ask = self.ask();
        ask.value(&ask.operation(id)?, |bytes| about(id, bytes))
            .await
    }

    /// The operation at its end, which it waits for.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] with the words of the host as its cause if the operation failed,
    /// [`ErrorKind::Canceled`] if it was cancelled, or failed after this source or a clone of it
    /// had cancelled it; and those of [`Lxd::operation`].
    pub async fn follow(&self, id: &OperationId) -> Result<Verified<Operation>> {
        let ask = self.ask();
        let url = ask.wait(id, WAIT_SECONDS)?;
        let mut told = None;
        let mut hasty = 0;
        loop {
            let asked = Instant::now();
            let operation = match ask.value(&url, |bytes| about(id, bytes)).await {
                Ok(operation) => operation,
                // The end of the wait, on hosts that call it a failure.
                Err(error) if error.kind() == ErrorKind::Malformed => self.operation(id).await?,
                Err(error) => return Err(error),
            };
            if operation.status.is_final() {
                let was_cancelled = self.cancelled().contains(id);
                return ended(operation, was_cancelled);
            }
            if operation.progress.is_some() && operation.progress != told {
                told.clone_from(&operation.progress);
                self.context().tell(Event::Working {
                    what: &operation.description,
                    progress: told.as_deref().unwrap_or_default(),
                });
            }
            // A host that does not wait must not be asked without end.
            if asked.elapsed() < SHORTEST_WAIT {
                hasty += 1;
                if hasty > MOST_HASTY {
                    return Err(Error::new(
                        ErrorKind::Network,
                        "the host says at once that it has waited",
                    )
                    .with_subject(url));
                }
            }
        }
    }

    /// Ends an operation, if it [can be](Operation::may_cancel).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the host knows no such operation, [`ErrorKind::Refused`] if the
    /// host does not trust this caller, and those of the transport. What the host says about it is
    /// the cause.
    pub async fn cancel(&self, id: &OperationId) -> Result<()> {
        let ask = self.ask();
        let url = ask.operation(id)?;
        let change = Change::delete(ask.remote, &url);
        let parse = |bytes: &[u8]| reply::parse::<IgnoredAny>(bytes).map(drop);
        // Before it is sent: who follows the operation may see its end before the answer is here.
        self.cancelled().insert(id);
        let told = ask.change(change, parse).await;
        told.map(drop).inspect_err(|_| self.cancelled().remove(id))
    }
}

#[async_trait]
impl Secrets for Lxd {
    async fn secret(&self, fingerprint: &Sha256) -> Result<Secret> {
        self.create_secret(fingerprint).await
    }
}

/// The operation in an answer, if it is the one that was asked about.
fn about(id: &OperationId, bytes: &[u8]) -> Result<Operation, ParseError> {
    let operation = Operation::parse(bytes)?;
    if operation.id == *id {
        return Ok(operation);
    }
    Err(ParseError::Json {
        what: format!(
            "asked about operation {id}, answered about {}",
            operation.id
        ),
    })
}

fn ended(operation: Verified<Operation>, was_cancelled: bool) -> Result<Verified<Operation>> {
    let (kind, message) = match operation.status {
        OperationStatus::Failure if !was_cancelled => {
            (ErrorKind::Network, "the host could not do it")
        }
        OperationStatus::Failure | OperationStatus::Cancelled => {
            (ErrorKind::Canceled, "the host was told to stop")
        }
        _ => return Ok(operation),
    };
    let error = Error::new(kind, message)
        .with_subject(format_args!("{} ({})", operation.description, operation.id));
    Err(match &operation.error {
        Some(reason) => error.with_source(Said::new(reason)),
        None => error,
    })
}

/// So that progress is told about once a second, and well below the time after which a transport
/// gives up on an answer.
const WAIT_SECONDS: u32 = 1;
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const MOST_HASTY: u32 = 50;
