use std::cell::Cell;

use crate::error::ParseError;

/// How much of a tree may still be kept: a document can say in a few bytes that something holds in
/// thousands of places.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    spent: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Budget {
    /// So many things at most, of which so many are there already.
    pub(crate) fn new(limit: usize, spent: usize) -> Self {
        Self {
            limit,
            spent: Cell::new(spent),
            exceeded: Cell::new(false),
        }
    }

    /// One more object, field or name with so many bytes of text. Long ones count as several.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), ParseError> {
        self.spend_many(bytes.div_ceil(BYTES).max(1))
    }

    /// So many more.
    pub(crate) fn spend_many(&self, count: usize) -> Result<(), ParseError> {
        let spent = self.spent.get().saturating_add(count);
        self.spent.set(spent);
        if spent <= self.limit {
            return Ok(());
        }
        self.exceeded.set(true);
        Err(self.too_many())
    }

    pub(crate) fn spent(&self) -> usize {
        self.spent.get()
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded.get()
    }

    pub(crate) fn too_many(&self) -> ParseError {
        ParseError::TooMany {
            limit: self.limit,
            what: "objects and fields",
        }
    }
}

/// As long as a digest.
const BYTES: usize = 64;
