//! Tests of the store that start children, in a process of their own: between fork and exec a child
//! holds whatever locks other tests of its process have.

mod child;
mod concurrency;
mod crash;
#[path = "../it/remote.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod remote;
#[path = "../it/scene.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod scene;
