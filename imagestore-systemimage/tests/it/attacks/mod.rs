//! One test for each attack on the protocol, by its number.

mod files;
mod trust;

use imagestore_core::ErrorKind;

use crate::world::{World, chain};

const CHANNELS: &str = "/channels.json";
const INDEX: &str = "/stable/golden1/index.json";
const VERSION: &str = "/stable/golden1/version-2.tar.xz";

async fn refused(world: &World, path: &str) -> (ErrorKind, String) {
    let error = world.lookup(path).await.expect_err("it must be refused");
    (error.kind(), chain(&error))
}
