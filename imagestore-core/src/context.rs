use std::sync::Arc;
use std::time::SystemTime;

use imagestore_verify::Policy;

use crate::freshness::{Forgetful, Memory};
use crate::limits::Limits;
use crate::progress::{Event, Progress, Silent};
use crate::remote::RemoteConfig;
use crate::transport::Transport;

/// What every source works with: how to ask, how much to accept, what was seen before, and whom to
/// tell.
///
/// # Defaults
/// Default [`Limits`] and [`Policy`], the system's clock, no memory, silence.
#[derive(Clone, Debug)]
pub struct Context {
    transport: Arc<dyn Transport>,
    limits: Limits,
    memory: Arc<dyn Memory>,
    policy: Policy,
    progress: Arc<dyn Progress>,
}

impl Context {
    /// A context that asks through this transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            limits: Limits::default(),
            memory: Arc::new(Forgetful),
            policy: Policy::default(),
            progress: Arc::new(Silent),
        }
    }

    /// How much to accept.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the newest state seen of each remote is remembered.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<dyn Memory>) -> Self {
        self.memory = memory;
        self
    }

    /// How signatures are judged, and at what time.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Whom to tell.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// How to ask.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// How much to accept.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was seen before.
    #[must_use]
    pub fn memory(&self) -> &dyn Memory {
        &*self.memory
    }

    /// How signatures are judged.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How signatures of this remote are judged: the clock is never taken to be before the newest
    /// signature that is remembered of it, so a clock that was set back revives no expired key.
    #[must_use]
    pub fn policy_for(&self, remote: &RemoteConfig) -> Policy {
        match self.memory.floor(&remote.id()) {
            Some(floor) => self.policy.clone().with_floor(floor),
            None => self.policy.clone(),
        }
    }

    /// Whom to tell.
    #[must_use]
    pub fn progress(&self) -> &Arc<dyn Progress> {
        &self.progress
    }

    /// Tells them.
    pub fn tell(&self, event: Event<'_>) {
        self.progress.on(event);
    }

    /// The time by which everything is judged: that of the policy, else the system's.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.policy.at.unwrap_or_else(SystemTime::now)
    }

    /// The same, and not before the newest signature that is remembered of this remote.
    #[must_use]
    pub fn now_for(&self, remote: &RemoteConfig) -> SystemTime {
        let floor = self.memory.floor(&remote.id());
        floor.map_or(self.now(), |floor| floor.max(self.now()))
    }
}
