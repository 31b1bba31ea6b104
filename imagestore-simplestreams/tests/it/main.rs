//! How the source behaves towards a tree that is honest, broken or hostile.
