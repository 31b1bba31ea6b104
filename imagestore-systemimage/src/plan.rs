use crate::index::{Build, Index, IndexFile};
use crate::request::{Filter, Request};
use crate::ways::{Way, Ways};

mod explain;

/// A way to a newer build, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// The images in order, as places in [`Index::builds`].
    pub path: Vec<usize>,
    /// The lower the better.
    pub score: u64,
    /// The bytes of all its files.
    pub size: u64,
    /// How often the device restarts on the way.
    pub reboots: u32,
    /// How many versions it stays behind the highest that can be reached.
    pub distance: u32,
    /// The phased percentage of its last image.
    pub target_phase: u8,
}

/// What to do to get to a newer build, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    index: &'a Index,
    request: Request,
    candidates: Vec<Candidate>,
    count: u64,
    best: Option<Candidate>,
    chosen: Option<Candidate>,
    winner: Vec<usize>,
}

/// The index holds more ways than can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index has more ways from build {build} than can be compared")]
pub struct TooManyWays {
    build: u32,
}

impl<'a> Plan<'a> {
    /// Plans as the phone does: all maximal paths, weighted; the lowest score whose last image is
    /// offered to the device.
    ///
    /// # Deviation
    /// Where the phone leaves it to chance between equal scores, fewer images win, then fewer
    /// bytes, then a full image first, then the lower first version.
    ///
    /// # Errors
    /// [`TooManyWays`] for an index made to have them.
    pub fn new(index: &'a Index, request: Request) -> Result<Self, TooManyWays> {
        let builds = index.builds();
        let ways = Ways::new(builds, &request);
        let ends = ways.best().ok_or(TooManyWays {
            build: request.build(),
        })?;
        let smallest = ends.iter().map(|way| way.size).min().unwrap_or(0);
        let highest = ends.iter().map(|way| last(way, builds).version).max();
        let rate = |way: &Way| candidate(way, builds, smallest, highest.unwrap_or(0));
        let compare = |one: &Way, other: &Way| {
            let (left, right) = (rate(one).score, rate(other).score);
            left.cmp(&right).then_with(|| one.compare(other, builds))
        };
        let offered = |way: &&Way| {
            let phase = last(way, builds).phased_percentage;
            phase > 0 && request.device_phase() <= u32::from(phase)
        };
        let best = ends.iter().min_by(|one, other| compare(one, other));
        let chosen = ends
            .iter()
            .filter(offered)
            .min_by(|one, other| compare(one, other));
        let (mut listed, count) = ways.all(MAX_LISTED);
        for way in [best, chosen].into_iter().flatten() {
            if !listed.contains(way) {
                listed.push(way.clone());
            }
        }
        listed.sort_by_cached_key(|way| (rate(way).score, Order(way.clone(), builds)));
        let within = |place: &&usize| {
            request
                .maximum()
                .is_none_or(|maximum| i64::from(builds[**place].version) <= maximum)
        };
        let winner = chosen.map_or_else(Vec::new, |way| {
            way.path.iter().filter(within).copied().collect()
        });
        Ok(Self {
            candidates: listed.iter().map(rate).collect(),
            count,
            best: best.map(rate),
            chosen: chosen.map(rate),
            winner,
            index,
            request,
        })
    }

    /// The installed build it starts from.
    #[must_use]
    pub fn build(&self) -> u32 {
        self.request.build()
    }

    /// The candidates, the best first; of more than a thousand some are left out.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// How many candidates there are.
    #[must_use]
    pub fn candidate_count(&self) -> u64 {
        self.count
    }

    /// The images to install, in order; none if there is nothing to do.
    pub fn winner(&self) -> impl Iterator<Item = &'a Build> {
        let builds = self.index.builds();
        self.winner.iter().map(|place| &builds[*place])
    }

    /// What the winner was chosen for, before versions above the maximum were dropped.
    #[must_use]
    pub fn chosen(&self) -> Option<&Candidate> {
        self.chosen.as_ref()
    }

    /// The highest version in which a candidate ends: the `target` of [`phase`](crate::phase()).
    #[must_use]
    pub fn target(&self) -> Option<u32> {
        let best = self.best.as_ref()?;
        let last = best.path.last()?;
        Some(self.index.builds()[*last].version + best.distance)
    }

    /// The version the device has after this plan, up to the first restart; none if there is
    /// nothing to do.
    #[must_use]
    pub fn reached(&self) -> Option<u32> {
        self.until_reboot().last().map(|build| build.version)
    }

    /// Whether the device must restart and plan again before it is at the end.
    #[must_use]
    pub fn continues_after_reboot(&self) -> bool {
        self.until_reboot().count() < self.winner.len()
    }

    /// The images up to the first that asks for a restart.
    pub fn until_reboot(&self) -> impl Iterator<Item = &'a Build> {
        let mut rebooted = false;
        self.winner().take_while(move |build| {
            let take = !rebooted;
            rebooted = build.bootme;
            take
        })
    }

    /// The files to download: those of the images up to the first that asks for a restart, in the
    /// order of the index.
    #[must_use]
    pub fn downloads(&self) -> Vec<PlannedFile<'a>> {
        let images = self.until_reboot().enumerate();
        images
            .flat_map(|(image, build)| {
                build
                    .files
                    .iter()
                    .map(move |file| PlannedFile { image, build, file })
            })
            .collect()
    }

    /// The same files in the order in which they are applied: by image, then order, then local
    /// path.
    #[must_use]
    pub fn apply_order(&self) -> Vec<PlannedFile<'a>> {
        let mut files = self.downloads();
        files.sort_by(|one, other| {
            let key = |planned: &PlannedFile<'a>| {
                (planned.image, planned.file.order, planned.file.local_name())
            };
            key(one).cmp(&key(other))
        });
        files
    }

    /// Whether the system is made anew: a full image is on the way.
    #[must_use]
    pub fn formats_system(&self) -> bool {
        self.winner().any(Build::is_full)
    }

    /// Why the plan is what it is.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let builds = self.index.builds();
        let installed = self.request.build();
        if !self.winner.is_empty() {
            return Outcome::Update;
        }
        if let (Some(chosen), Some(maximum)) = (&self.chosen, self.request.maximum()) {
            let reached = chosen.path.last().map_or(0, |last| builds[*last].version);
            return Outcome::AboveMaximum { reached, maximum };
        }
        if let Some(best) = &self.best {
            let last = best.path.last().map(|last| &builds[*last]);
            let version = last.map_or(0, |build| build.version);
            return match best.target_phase {
                0 => Outcome::Withdrawn { version },
                percentage => Outcome::PhasedOut {
                    version,
                    percentage,
                    device: self.request.device_phase(),
                },
            };
        }
        let Some(newest) = self.index.newest() else {
            return Outcome::NothingPublished;
        };
        if newest <= installed {
            return Outcome::Newest { newest };
        }
        let needed = builds
            .iter()
            .filter(|build| build.is_full() && build.version > installed)
            .map(|build| build.minimum)
            .filter(|minimum| *minimum > i64::from(installed))
            .min();
        match (needed, self.request.filter()) {
            (Some(minimum), None | Some(Filter::Full)) => Outcome::TooOld { minimum },
            (_, filter) => Outcome::NoWay { newest, filter },
        }
    }
}

/// A file of an image of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile<'a> {
    /// Which image of the winner it belongs to, from 0.
    pub image: usize,
    /// That image.
    pub build: &'a Build,
    /// The file.
    pub file: &'a IndexFile,
}

/// Why a plan installs what it installs, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The best candidate has only images above the maximum.
    AboveMaximum {
        /// The version it would reach.
        reached: u32,
        /// The maximum.
        maximum: i64,
    },
    /// There is nothing newer.
    Newest {
        /// The highest version there is.
        newest: u32,
    },
    /// There is something newer, but no image leads on from what is installed.
    NoWay {
        /// The highest version there is.
        newest: u32,
        /// The filter that may be the cause.
        filter: Option<Filter>,
    },
    /// The index is empty.
    NothingPublished,
    /// The build is offered to few devices, and this is none of them.
    PhasedOut {
        /// The version.
        version: u32,
        /// To how many of a hundred devices it is offered.
        percentage: u8,
        /// The percentage of this one.
        device: u32,
    },
    /// Every newer full image asks for a newer installed build.
    TooOld {
        /// The lowest build that would do.
        minimum: i64,
    },
    /// There is something to install.
    Update,
    /// The publisher withdrew the build.
    Withdrawn {
        /// The version.
        version: u32,
    },
}

fn last<'a>(way: &Way, builds: &'a [Build]) -> &'a Build {
    // A way has at least the image it starts with.
    &builds[way.path.last().copied().unwrap_or_default()]
}

fn candidate(way: &Way, builds: &[Build], smallest: u64, highest: u32) -> Candidate {
    let end = last(way, builds);
    // A path that is only listed ends no higher than the best.
    let distance = highest.saturating_sub(end.version);
    Candidate {
        path: way.path.clone(),
        score: PER_REBOOT * u64::from(way.reboots)
            + way.size.saturating_sub(smallest) / MEBIBYTE
            + PER_VERSION * u64::from(distance),
        size: way.size,
        reboots: way.reboots,
        distance,
        target_phase: end.phased_percentage,
    }
}

struct Order<'a>(Way, &'a [Build]);

impl PartialEq for Order<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Order<'_> {}

impl PartialOrd for Order<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.compare(&other.0, self.1)
    }
}

const PER_REBOOT: u64 = 100;
/// 9000 for the version and one for its distance, as the phone adds them.
const PER_VERSION: u64 = 9001;
const MEBIBYTE: u64 = 1 << 20;
const MAX_LISTED: usize = 1000;

#[cfg(test)]
mod tests;
