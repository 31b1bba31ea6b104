//! How the protocol plans, and how its source behaves towards a server that is honest, broken or
//! hostile.

mod cases;
mod golden;
mod planning;
mod shared;
mod world;
