use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::index::Build;
use crate::request::{Filter, Request};

/// The graph of all candidate paths: full images and deltas as edges between versions.
///
/// Paths are maximal and versions rise along them, so there are no circles. The number of paths can
/// be exponential, so none is ever chosen by looking at all of them: for each version, number of
/// reboots and number of images only the best way there is kept.
#[derive(Debug)]
pub(crate) struct Ways<'a> {
    builds: &'a [Build],
    /// The deltas by their base.
    deltas: BTreeMap<u32, Vec<usize>>,
    roots: Vec<usize>,
    filter: Option<Filter>,
}

/// A way from the installed version to the end of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The images, as places in the index.
    pub(crate) path: Vec<usize>,
    pub(crate) size: u64,
    pub(crate) reboots: u32,
}

/// What the paths that end with one image have in common, and the best of them by each measure.
#[derive(Clone, Copy, Debug)]
struct Best {
    size: u64,
    starts_full: bool,
    first: u32,
    last: usize,
    before: Option<Step>,
}

/// Where a best way is kept: at a version, by reboots and number of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    version: u32,
    reboots: u32,
    images: u32,
}

impl<'a> Ways<'a> {
    pub(crate) fn new(builds: &'a [Build], request: &Request) -> Self {
        let mut deltas: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let mut roots = Vec::new();
        for (place, build) in builds.iter().enumerate() {
            match build.base() {
                Some(base) if !request.avoids(build.version, base) => {
                    deltas.entry(base).or_default().push(place);
                    if base == request.build() && request.filter() != Some(Filter::Full) {
                        roots.push(place);
                    }
                }
                Some(_) => {}
                None => {
                    let usable = build.minimum <= i64::from(request.build())
                        && build.version > request.build()
                        && !request.avoids_full(build.version);
                    if usable && request.filter() != Some(Filter::Delta) {
                        roots.push(place);
                    }
                }
            }
        }
        Self {
            builds,
            deltas,
            roots,
            filter: request.filter(),
        }
    }

    /// The best ways to each image that ends a path, or nothing if the index is too tangled to
    /// tell.
    pub(crate) fn best(&self) -> Option<Vec<Way>> {
        let mut at: BTreeMap<Step, Best> = BTreeMap::new();
        let mut ends = Vec::new();
        let mut work = 0_usize;
        for root in &self.roots {
            let build = &self.builds[*root];
            let best = Best {
                size: build.size(),
                starts_full: build.is_full(),
                first: build.version,
                last: *root,
                before: None,
            };
            let step = Step {
                version: build.version,
                reboots: u32::from(build.bootme),
                images: 1,
            };
            if self.next(*root).is_empty() {
                ends.push((step, best));
            } else {
                keep(&mut at, step, best);
            }
        }
        // Versions rise along every path, so all ways to one are known before it is left.
        let mut left = None;
        while let Some((step, best)) = following(&at, left) {
            left = Some(step);
            for delta in self.deltas.get(&step.version).into_iter().flatten() {
                work += 1;
                if work > MAX_WORK {
                    return None;
                }
                let build = &self.builds[*delta];
                let longer = Best {
                    size: best.size.saturating_add(build.size()),
                    last: *delta,
                    before: Some(step),
                    ..best
                };
                let step = Step {
                    version: build.version,
                    reboots: step.reboots + u32::from(build.bootme),
                    images: step.images + 1,
                };
                if self.next(*delta).is_empty() {
                    ends.push((step, longer));
                } else {
                    keep(&mut at, step, longer);
                }
            }
        }
        let way = |(step, best): &(Step, Best)| Way {
            path: path(&at, best),
            size: best.size,
            reboots: step.reboots,
        };
        // Of the ways that end with one image and cost alike, one is enough.
        let mut kept: BTreeMap<(usize, u32, u32), (Step, Best)> = BTreeMap::new();
        for (step, best) in ends {
            let slot = (best.last, step.reboots, step.images);
            match kept.get(&slot) {
                Some((_, known)) if rank(known).le(&rank(&best)) => {}
                _ => {
                    kept.insert(slot, (step, best));
                }
            }
        }
        Some(kept.values().map(way).collect())
    }

    /// The paths themselves, at most `most`, and how many there are.
    pub(crate) fn all(&self, most: usize) -> (Vec<Way>, u64) {
        let mut ways: BTreeMap<u32, u64> = BTreeMap::new();
        for (base, deltas) in self.deltas.iter().rev() {
            let sum = deltas.iter().fold(0_u64, |sum, delta| {
                let onward = ways.get(&self.builds[*delta].version).copied();
                sum.saturating_add(onward.unwrap_or(1))
            });
            ways.insert(*base, sum);
        }
        let count = self.roots.iter().fold(0_u64, |sum, root| {
            let onward = ways.get(&self.builds[*root].version).copied();
            sum.saturating_add(onward.unwrap_or(1))
        });
        let mut found = Vec::new();
        for root in &self.roots {
            self.walk(*root, most, &mut found);
        }
        (found, count)
    }

    /// Goes through the paths from one root, depth first, without recursion: a path may be long.
    fn walk(&self, root: usize, most: usize, found: &mut Vec<Way>) {
        let mut path = vec![root];
        let mut open = vec![0_usize];
        while let (Some(last), Some(next)) = (path.last(), open.last_mut()) {
            if found.len() >= most {
                return;
            }
            let onward = self.onward(*last);
            if onward.is_empty() {
                found.push(self.way(&path));
            }
            match onward.get(*next) {
                Some(delta) => {
                    *next += 1;
                    path.push(*delta);
                    open.push(0);
                }
                None => {
                    path.pop();
                    open.pop();
                }
            }
        }
    }

    fn way(&self, path: &[usize]) -> Way {
        // Of a path from a full image, the filter leaves that image.
        let kept = match self.filter {
            Some(Filter::Full) => &path[..1],
            _ => path,
        };
        Way {
            path: kept.to_vec(),
            size: kept.iter().fold(0, |sum, place| {
                self.builds[*place].size().saturating_add(sum)
            }),
            reboots: kept
                .iter()
                .filter(|place| self.builds[**place].bootme)
                .count() as u32,
        }
    }

    /// What may follow an image on a path.
    fn next(&self, place: usize) -> &[usize] {
        match self.filter {
            Some(Filter::Full) => &[],
            _ => self.onward(place),
        }
    }

    fn onward(&self, place: usize) -> &[usize] {
        self.deltas
            .get(&self.builds[place].version)
            .map_or(&[], Vec::as_slice)
    }
}

fn keep(at: &mut BTreeMap<Step, Best>, step: Step, best: Best) {
    match at.get(&step) {
        Some(known) if rank(known) <= rank(&best) => {}
        _ => {
            at.insert(step, best);
        }
    }
}

/// What decides between ways of equal length: the smaller, then one that starts with a full image,
/// then the one that starts lower.
fn rank(best: &Best) -> (u64, bool, u32) {
    (best.size, !best.starts_full, best.first)
}

fn following(at: &BTreeMap<Step, Best>, left: Option<Step>) -> Option<(Step, Best)> {
    let from = left.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    at.range((from, std::ops::Bound::Unbounded))
        .next()
        .map(|(step, best)| (*step, *best))
}

fn path(at: &BTreeMap<Step, Best>, best: &Best) -> Vec<usize> {
    let mut path = vec![best.last];
    let mut before = best.before;
    while let Some(best) = before.and_then(|step| at.get(&step)) {
        path.push(best.last);
        before = best.before;
    }
    path.reverse();
    path
}

impl Way {
    /// The order of equal scores: fewer images, then smaller, then a full image first, then the
    /// lower first version. What is left is decided by the versions, so that one index has one
    /// outcome.
    pub(crate) fn compare(&self, other: &Self, builds: &[Build]) -> Ordering {
        let key = |way: &Self| {
            let first = way.path.first().map(|place| &builds[*place]);
            let versions: Vec<_> = way
                .path
                .iter()
                .map(|place| (builds[*place].version, builds[*place].base()))
                .collect();
            (
                way.path.len(),
                way.size,
                !first.is_some_and(Build::is_full),
                first.map(|build| build.version),
                versions,
            )
        };
        key(self).cmp(&key(other))
    }
}

/// An honest index of 10,000 images stays far below.
const MAX_WORK: usize = 2_000_000;
