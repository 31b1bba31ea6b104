use std::{fmt, time::SystemTime};

use crate::{
    bindings::Bindings,
    clock::{Utc, from_seconds},
    fingerprint::Fingerprint,
    keyring::{Anchor, Keyring},
    policy::{Beside, Moment, Policy},
    semantics,
};

/// One certificate of a keyring, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedCertificate {
    /// The fingerprint of its primary key.
    pub fingerprint: Fingerprint,
    /// Its algorithm and size, such as `RSA-4096`.
    pub algorithm: String,
    /// The user ids with a self-signature that can be believed.
    pub user_ids: Vec<String>,
    /// When the primary key was made.
    pub created: SystemTime,
    /// When the primary key expires, if it does.
    pub expires: Option<SystemTime>,
    /// Why no key of it can sign today; `None` when one can.
    pub unusable: Option<String>,
}

impl Keyring {
    /// The certificates, as the default policy sees them now.
    #[must_use]
    pub fn certificates(&self) -> Vec<ListedCertificate> {
        self.certificates_under(&Policy::default())
    }

    /// The certificates, as a policy sees them at its time.
    #[must_use]
    pub fn certificates_under(&self, policy: &Policy) -> Vec<ListedCertificate> {
        let moment = policy.moment(Beside::Nothing);
        self.anchors
            .iter()
            .map(|anchor| listed(anchor, &moment))
            .collect()
    }
}

impl fmt::Display for ListedCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} created {}",
            self.fingerprint,
            self.algorithm,
            Utc(self.created)
        )?;
        if let Some(expires) = self.expires {
            write!(formatter, " expires {}", Utc(expires))?;
        }
        for user_id in &self.user_ids {
            write!(formatter, " <{user_id}>")?;
        }
        match &self.unusable {
            Some(reason) => write!(formatter, " unusable: {reason}"),
            None => Ok(()),
        }
    }
}

fn listed(anchor: &Anchor, moment: &Moment) -> ListedCertificate {
    let certificate = &anchor.certificate;
    let primary = &certificate.primary;
    let bindings = certificate
        .bindings
        .get_or_init(|| Bindings::of(certificate));
    let mut reasons = Vec::new();
    for key in certificate.keys() {
        let judged = key
            .check_strength()
            .map_err(|reason| reason.to_string())
            .and_then(|()| {
                semantics::may_sign_at(anchor, &key.fingerprint, moment.now, moment)
                    .map_err(|reason| reason.to_string())
            });
        reasons.push(judged.err());
    }
    // The primary key's reason is the one people can act on.
    let unusable = match reasons.iter().any(Option::is_none) {
        true => None,
        false => reasons.swap_remove(0),
    };
    ListedCertificate {
        fingerprint: primary.fingerprint,
        algorithm: primary.algorithm_name(),
        user_ids: bindings.user_ids.clone(),
        created: from_seconds(primary.created),
        expires: semantics::expiry(anchor, moment).map(from_seconds),
        unusable,
    }
}
