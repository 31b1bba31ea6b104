//! How the protocol plans, and how its source behaves towards a server that is honest, broken or
//! hostile.

mod attacks;
mod cases;
mod golden;
mod layers;
mod planning;
mod published;
mod resolved;
mod shared;
mod states;
mod world;
