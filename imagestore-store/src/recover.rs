use std::time::{Duration, SystemTime};

use imagestore_core::Result;

use crate::dir::{Dir, Lock, random_name};
use crate::lock::try_lock;
use crate::memory::TRUST;
use crate::store::Store;

/// Clears away what processes that ended early have left. Can be stopped and repeated at any point.
pub(crate) fn recover(store: &Store) -> Result<()> {
    for name in store.root.names()? {
        // Another process may be about to name it.
        if name.starts_with(".FORMAT.") && is_old(store.root.modified(&name)) {
            store.root.remove_file(&name)?;
        }
    }
    if let Some(trust) = store.root.open(TRUST)?
        && let Some(trust) = try_lock(&store.root, TRUST, trust, Lock::Exclusive)?
    {
        remove_temporary(&trust)?;
    }
    for name in store.staging.names()? {
        let Some(dir) = store.staging.open(&name)? else {
            continue;
        };
        let Some(dir) = try_lock(&store.staging, &name, dir, Lock::Exclusive)? else {
            continue;
        };
        if is_old(last_change(&dir)) {
            discard(store, &store.staging, &name)?;
        }
    }
    empty_trash(store)
}

/// Makes something vanish in one step, then removes it bit by bit.
pub(crate) fn discard(store: &Store, parent: &Dir, name: &str) -> Result<()> {
    let doomed = random_name();
    parent.rename(name, &store.trash, &doomed)?;
    store.trash.remove_tree(&doomed)
}

/// Removes the files of a locked directory that were being written when a process ended.
pub(crate) fn remove_temporary(dir: &Dir) -> Result<()> {
    for name in dir.names()? {
        if name.starts_with('.') {
            dir.remove_file(&name)?;
        }
    }
    Ok(())
}

fn empty_trash(store: &Store) -> Result<()> {
    for name in store.trash.names()? {
        store.trash.remove_tree(&name)?;
    }
    Ok(())
}

fn is_old(changed: SystemTime) -> bool {
    SystemTime::now()
        .duration_since(changed)
        .unwrap_or_default()
        > HIGHEST_AGE
}

fn last_change(dir: &Dir) -> SystemTime {
    let own = dir
        .file()
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok();
    let parts = dir.open(crate::staging::PARTS).ok().flatten();
    let parts = parts.map(|parts| {
        let names = parts.names().unwrap_or_default();
        names.iter().map(|name| parts.modified(name)).max()
    });
    own.max(parts.flatten()).unwrap_or(SystemTime::UNIX_EPOCH)
}

// A partial download is kept for somebody who comes back the next day.
const HIGHEST_AGE: Duration = Duration::from_secs(24 * 60 * 60);
