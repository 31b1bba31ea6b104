//! The resolver and the document, over sources and transports made of tables.

mod document;
mod memory;
mod resolver;
mod sources;
