use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use imagestore_core::{Admission, Body, Error, ErrorKind, Get, Result, Transport, async_trait};
use imagestore_verify::Sha256;
use url::Url;

use crate::secret::Secret;

/// Makes secrets: the host itself, where it trusts another caller, or a peer that passes them on.
///
/// [`Lxd`](crate::Lxd) is one, for a remote that trusts this caller.
#[async_trait]
pub trait Secrets: fmt::Debug + Send + Sync {
    /// A new secret for the image of this fingerprint, which nobody has used.
    ///
    /// It is asked for one at each look-up, and again for each attempt at a download that comes
    /// later than a secret lives.
    async fn secret(&self, fingerprint: &Sha256) -> Result<Secret>;
}

/// By what a host shows an image to this caller that it does not show to everybody.
#[derive(Clone, Debug, Default)]
pub(crate) enum Key {
    /// By nothing.
    #[default]
    None,
    /// By one secret, which begins to die when it is used first.
    One {
        secret: Secret,
        used: Arc<OnceLock<Instant>>,
    },
    /// By as many secrets as it takes.
    Source(Arc<dyn Secrets>),
}

impl Key {
    pub(crate) fn one(secret: Secret) -> Self {
        Self::One {
            secret,
            used: Arc::default(),
        }
    }

    /// What opens an image, of which a source of secrets has to know the whole fingerprint.
    pub(crate) fn opening(&self, fingerprint: Option<&Sha256>) -> Option<Arc<Opening>> {
        let fingerprint = fingerprint.copied();
        match (self, fingerprint) {
            (Self::None, _) | (Self::Source(_), None) => None,
            _ => Some(Arc::new(Opening {
                key: self.clone(),
                fingerprint,
                current: Mutex::default(),
            })),
        }
    }

    /// What "not found" means to a caller who has this.
    pub(crate) fn missing(&self) -> Option<Error> {
        let not_found = |message: &str| Some(Error::new(ErrorKind::NotFound, message));
        match self {
            Self::None => None,
            Self::One { used, .. } => match used.get().map(Instant::elapsed) {
                Some(age) if age > LIFE => Some(
                    Error::new(
                        ErrorKind::Refused,
                        format!(
                            "the secret was first used {} seconds ago, and a host lets it live for {}",
                            age.as_secs(),
                            LIFE.as_secs()
                        ),
                    )
                    .with_remedy("ask for a new one"),
                ),
                _ => not_found("no such image, or its secret is used up or older than five seconds"),
            },
            Self::Source(_) => not_found("no such image, or a secret made for it does not open it"),
        }
    }
}

/// What opens one image, request by request.
#[derive(Debug)]
pub(crate) struct Opening {
    key: Key,
    fingerprint: Option<Sha256>,
    current: Mutex<Option<Current>>,
}

/// A secret, and since when it is dying.
#[derive(Clone, Debug)]
struct Current {
    secret: Secret,
    since: Instant,
}

/// Whether a request before this one named a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Age {
    #[default]
    New,
    Used,
}

impl Opening {
    /// The answer to a request, with a secret added that should be alive.
    pub(crate) async fn ask(&self, transport: &dyn Transport, request: Get<'_>) -> Result<Body> {
        let kept = match &self.key {
            Key::Source(_) => self.young(),
            _ => None,
        };
        let mut age = kept.as_ref().map(|_| Age::Used).unwrap_or_default();
        let mut secret = match kept {
            Some(secret) => secret,
            None => self.another().await?,
        };
        let mut renewed = 0;
        loop {
            let url = opened(request.url, &secret);
            let sent = Instant::now();
            match transport.get(request.with_url(&url)).await {
                Ok(body) => return Ok(body.with_url(request.url.clone())),
                Err(error) => {
                    let may_live = error.kind() != ErrorKind::NotFound
                        || !self.may_have_died(age, sent.elapsed());
                    if may_live || renewed == MOST_RENEWED {
                        return Err(error);
                    }
                    secret = self.another().await?;
                    age = Age::New;
                    renewed += 1;
                }
            }
        }
    }

    /// Whether another secret may open what one did not that was asked with for so long: a
    /// transport may have tried more than once.
    fn may_have_died(&self, age: Age, asked: Duration) -> bool {
        matches!(self.key, Key::Source(_)) && (age == Age::Used || asked > YOUTH)
    }

    /// The secret of the last request, if it will live for a while.
    fn young(&self) -> Option<Secret> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let young = |current: &&Current| current.since.elapsed() < YOUTH;
        current.as_ref().filter(young).map(|it| it.secret.clone())
    }

    /// A secret nobody has used; the only one, where there is one.
    async fn another(&self) -> Result<Secret> {
        let secret = match (&self.key, &self.fingerprint) {
            (Key::Source(source), Some(fingerprint)) => source.secret(fingerprint).await?,
            (Key::One { secret, used }, _) => {
                used.get_or_init(Instant::now);
                return Ok(secret.clone());
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "there is no secret for an image whose fingerprint is not known",
                ));
            }
        };
        let current = Current {
            secret: secret.clone(),
            since: Instant::now(),
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
        Ok(secret)
    }
}

#[async_trait]
impl Admission for Opening {
    async fn get(&self, transport: &dyn Transport, request: Get<'_>) -> Result<Body> {
        let answer = self.ask(transport, request).await;
        answer.map_err(|error| match self.key.missing() {
            Some(missing) if error.kind() == ErrorKind::NotFound => {
                let missing = match &self.fingerprint {
                    Some(fingerprint) => missing.with_subject(format_args!("image {fingerprint}")),
                    None => missing,
                };
                missing.with_source(error)
            }
            _ => error,
        })
    }
}

fn opened(url: &Url, secret: &Secret) -> Url {
    let mut opened = url.clone();
    opened
        .query_pairs_mut()
        .append_pair("secret", secret.reveal());
    opened
}

/// How long hosts let a secret live from the first request that names it.
const LIFE: Duration = Duration::from_secs(5);
/// How old it may be when another request is sent: the way takes time too.
const YOUTH: Duration = Duration::from_secs(3);
/// How often one request is sent with another secret.
const MOST_RENEWED: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_a_secret_has_died_or_may_have() {
        assert!(Key::None.missing().is_none());
        let secret = Secret::new(&"5ec7e7".repeat(8)).expect("a secret");
        let key = Key::one(secret);
        let missing = key.missing().expect("an error");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let Key::One { used, .. } = &key else {
            panic!("another key");
        };
        let long_ago = Instant::now().checked_sub(Duration::from_secs(6));
        used.set(long_ago.expect("the machine runs for longer"))
            .expect("unused");
        let missing = key.missing().expect("an error");
        assert_eq!(missing.kind(), ErrorKind::Refused);
        assert_eq!(
            missing.to_string(),
            "the secret was first used 6 seconds ago, and a host lets it live for 5; ask for a new one"
        );
        assert!(!format!("{key:?}").contains("5ec7e7"));
    }

    #[test]
    fn takes_another_secret_only_where_the_first_may_have_died() {
        #[derive(Debug)]
        struct Nobody;

        #[async_trait]
        impl Secrets for Nobody {
            async fn secret(&self, _: &Sha256) -> Result<Secret> {
                Err(Error::new(ErrorKind::Network, "is not asked here"))
            }
        }
        let fingerprint = Sha256::of(b"x");
        let many = Key::Source(Arc::new(Nobody)).opening(Some(&fingerprint));
        let many = many.expect("opens");
        let one = Key::one(Secret::new(&"5ec7e7".repeat(8)).expect("a secret")).opening(None);
        let one = one.expect("opens");
        for (age, seconds, died) in [
            (Age::New, 0, false),
            (Age::New, 3, false),
            (Age::New, 4, true),
            (Age::Used, 0, true),
        ] {
            let asked = Duration::from_secs(seconds);
            assert_eq!(many.may_have_died(age, asked), died, "{age:?} {seconds}");
            assert!(!one.may_have_died(age, asked), "there is no other");
        }
    }

    #[test]
    fn takes_a_secret_for_young_for_three_seconds() {
        let secret = Secret::new(&"5ec7e7".repeat(8)).expect("a secret");
        let opening = Key::one(secret.clone()).opening(None).expect("opens");
        for (age, young) in [(0, true), (2, true), (3, false), (6, false)] {
            let since = Instant::now().checked_sub(Duration::from_secs(age));
            *opening.current.lock().expect("not poisoned") = Some(Current {
                secret: secret.clone(),
                since: since.expect("the machine runs for longer"),
            });
            assert_eq!(opening.young().is_some(), young, "{age}");
        }
    }
}
