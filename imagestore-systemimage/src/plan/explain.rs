use std::fmt;

use super::{Candidate, Outcome, Plan};
use crate::request::Filter;

/// The plan as a person reads it: the way and why it was chosen, or why there is none.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let installed = self.build();
        let Some(chosen) = self.chosen().filter(|_| self.outcome() == Outcome::Update) else {
            return write!(f, "no update from build {installed}: {}", self.outcome());
        };
        let reached = self
            .winner()
            .last()
            .map_or(installed, |build| build.version);
        let bytes: u64 = self.winner().map(super::Build::size).sum();
        writeln!(f, "from build {installed} to {reached}, {bytes} bytes:")?;
        for build in self.winner() {
            let (files, bytes) = (build.files.len(), build.size());
            match build.base() {
                Some(base) => write!(f, "  delta {} on {base}", build.version)?,
                None => write!(f, "  full {}", build.version)?,
            }
            write!(f, ", {files} files, {bytes} bytes")?;
            if build.bootme {
                f.write_str(", then a restart")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "chosen for {}", Score(chosen))?;
        if let Some(best) = self.best.as_ref().filter(|best| *best != chosen) {
            let end = self.index.builds()[best.path.last().copied().unwrap_or_default()].version;
            writeln!(
                f,
                "a better way, to {end}, is offered to {} % of the devices; this one has {} %",
                best.target_phase,
                self.request.device_phase()
            )?;
        }
        if self.continues_after_reboot()
            && let Some(stop) = self.reached()
        {
            writeln!(f, "this run stops at {stop}; plan again after the restart")?;
        }
        let dropped = chosen.path.len() - self.winner.len();
        if dropped > 0 {
            writeln!(f, "images above the maximum were dropped: {dropped}")?;
        }
        match self.count.saturating_sub(1) {
            0 => f.write_str("there is no other way"),
            others => {
                write!(f, "other ways: {others}")?;
                let next = self.candidates.iter().find(|other| *other != chosen);
                match next {
                    Some(next) => write!(f, "; the next best has {}", Score(next)),
                    None => Ok(()),
                }
            }
        }
    }
}

struct Score<'a>(&'a Candidate);

impl fmt::Display for Score<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate {
            score,
            reboots,
            distance,
            ..
        } = self.0;
        let above = score - 100 * u64::from(*reboots) - 9001 * u64::from(*distance);
        write!(
            f,
            "score {score} ({reboots} restarts, {above} MiB above the smallest, {distance} versions behind)"
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AboveMaximum { reached, maximum } => {
                write!(
                    f,
                    "the way to {reached} has no image up to the maximum of {maximum}"
                )
            }
            Self::Newest { newest } => write!(f, "{newest} is the newest"),
            Self::NoWay { newest, filter } => {
                write!(f, "{newest} is there, but no image leads to it")?;
                match filter {
                    Some(Filter::Delta) => f.write_str("; allow full images"),
                    Some(Filter::Full) => f.write_str("; allow deltas"),
                    None => Ok(()),
                }
            }
            Self::NothingPublished => f.write_str("nothing is published"),
            Self::PhasedOut {
                version,
                percentage,
                device,
            } => write!(
                f,
                "{version} is offered to {percentage} % of the devices, and this one has {device} %"
            ),
            Self::TooOld { minimum } => write!(
                f,
                "every newer full image asks for an installed build of at least {minimum}"
            ),
            Self::Update => f.write_str("there is something to install"),
            Self::Withdrawn { version } => write!(f, "{version} was withdrawn by its publisher"),
        }
    }
}
