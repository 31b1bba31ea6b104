use crate::decode::Feed;
use crate::error::UnpackError;
use crate::excludes::Excludes;
use crate::limits::UnpackLimits;
use crate::place::{MemberPath, Placer};
use crate::tar::{Entry, Kind, Walk};
use crate::unpacked::Unpacked;

/// Which members to place, and where.
pub(crate) struct Plan<'a> {
    pub(crate) excludes: &'a Excludes,
    pub(crate) subtree: MemberPath,
    pub(crate) limits: &'a UnpackLimits,
}

/// Places the members of an archive, to the end of it.
pub(crate) fn apply(
    feed: &mut Feed<'_>,
    mut placer: Placer<'_>,
    plan: &Plan<'_>,
) -> Result<Unpacked, UnpackError> {
    let mut walk = Walk::new(feed, plan.limits);
    while let Some(entry) = walk.next()? {
        place(&mut walk, &mut placer, plan, &entry)
            .map_err(|error| error.about(&entry.name).at(entry.offset))?;
    }
    let unpacked = placer.finish()?;
    feed.report();
    Ok(unpacked)
}

pub(crate) fn place(
    walk: &mut Walk<'_, '_>,
    placer: &mut Placer<'_>,
    plan: &Plan<'_>,
    entry: &Entry,
) -> Result<(), UnpackError> {
    let full = MemberPath::parse(&entry.name, plan.limits)?;
    let Some(path) = full.below(&plan.subtree) else {
        if plan.subtree.below(&full).is_some() && !matches!(entry.kind, Kind::Directory) {
            // A link in its place would be followed by whoever reads the archive by name.
            return Err(UnpackError::refused(
                "the chosen subtree is below what is no directory",
            ));
        }
        placer.tally().outside_subtree += 1;
        return Ok(());
    };
    let to = match &entry.kind {
        Kind::HardLink(target) => MemberPath::parse(target, plan.limits)?.below(&plan.subtree),
        _ => None,
    };
    if plan.excludes.matches(&entry.name) {
        placer.exclude(&path, entry);
        return Ok(());
    }
    placer.place(&path, entry, to.as_ref(), walk)
}
