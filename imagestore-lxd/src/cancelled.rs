use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::operation::OperationId;

/// The operations that a source has told its host to end.
///
/// Hosts race with themselves: one that was told to end may call the operation cancelled, or
/// failed, if what it was doing noticed first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancelled {
    ids: Arc<Mutex<VecDeque<OperationId>>>,
}

impl Cancelled {
    pub(crate) fn insert(&self, id: &OperationId) {
        let mut ids = self.ids();
        if ids.len() == MOST {
            ids.pop_front();
        }
        ids.push_back(id.clone());
    }

    pub(crate) fn remove(&self, id: &OperationId) {
        self.ids().retain(|kept| kept != id);
    }

    pub(crate) fn contains(&self, id: &OperationId) -> bool {
        self.ids().contains(id)
    }

    fn ids(&self) -> MutexGuard<'_, VecDeque<OperationId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hosts forget an operation some seconds after its end: no more than these are of interest.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> OperationId {
        let text = format!("{number:08x}-0000-0000-0000-000000000000");
        text.parse().expect("an id")
    }

    #[test]
    fn keeps_the_newest_and_shares_them_with_its_clones() {
        let cancelled = Cancelled::default();
        for number in 0..=MOST {
            cancelled.insert(&id(number));
        }
        let clone = cancelled.clone();
        assert_eq!(clone.ids().len(), MOST);
        assert!(!clone.contains(&id(0)) && clone.contains(&id(MOST)));
        clone.remove(&id(1));
        assert!(!cancelled.contains(&id(1)));
    }
}
