//! References as people write them, through a registry and the resolver.

use std::sync::Arc;

use imagestore_core::{ErrorKind, ImageRef, RemoteConfig, Resolver, Trust};
use imagestore_registry::RegistryProtocol;
use imagestore_testkit::keys;

use crate::shared::{data, read};
use crate::world::{NOW, World, public, url};

fn resolver(world: &World, base: &str) -> Resolver {
    let key = public("archive-master").fingerprints()[0];
    let index = format!(
        r#"{{"version": 1, "servers": [{{"name": "touch", "description": "",
            "url": "https+system-image://images.example", "arguments": {{{base}}},
            "trusted_keys": ["/keys/{key}"]}}]}}"#
    );
    let at = |path: &str| format!("https://registry.example{path}");
    let put = |path: &str, bytes: Vec<u8>| {
        let time = keys::at(keys::SIGNED);
        world
            .transport
            .put_signed(&at(path), bytes, keys::registry(), time);
    };
    put("/1.0/index.json", index.into_bytes());
    put(
        &format!("/keys/{key}"),
        read(&data("golden/keys/archive-master.pub.gpg")),
    );
    let registry = RemoteConfig::new(
        "images".parse().expect("a name"),
        "https+registry://registry.example".parse().expect("a url"),
        Trust::Signatures(keys::keyring(keys::registry())),
    );
    Resolver::new(world.context())
        .with_protocol(Arc::new(RegistryProtocol::new()))
        .with_protocol(Arc::new(world.protocol.clone()))
        .with_remote(registry)
        .with_remote(world.remote())
}

#[tokio::test]
async fn references_lead_through_a_registry_to_a_build() {
    let world = World::golden();
    let resolver = resolver(&world, "");
    for (reference, build, hops) in [
        ("touch:stable/golden1", "2", 1),
        ("touch:stable/golden1/1", "1", 1),
        ("images:touch/stable/golden1", "2", 2),
        ("images:touch/stable/golden1/1..2", "1..2", 2),
    ] {
        let reference: ImageRef = reference.parse().expect("a reference");
        let found = resolver.resolve(&reference).await.expect("found");
        assert_eq!(found.image.id.build(), build);
        assert_eq!(found.hops.len(), hops, "{reference}");
    }
    let reference: ImageRef = "touch:stable/golden1/3".parse().expect("a reference");
    let error = resolver.resolve(&reference).await.expect_err("no build 3");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_base_of_the_registry_is_honoured() {
    let world = World::golden();
    let (from, to) = ("\"stable\": {", "\"ubuntu-core/devel\": {");
    world.edit("/channels.json", from, to, "image-signing", NOW - 1);
    let resolver = resolver(&world, r#""base": "ubuntu-core""#);
    let reference: ImageRef = "images:touch/devel/golden1".parse().expect("a reference");
    let found = resolver.resolve(&reference).await.expect("below the base");
    assert_eq!(found.image.properties["channel"], "ubuntu-core/devel");
    assert_eq!(found.image.id.path(), "devel/golden1");
    let reference: ImageRef = "images:touch/old/golden1".parse().expect("a reference");
    let error = resolver
        .resolve(&reference)
        .await
        .expect_err("outside of it");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(world.transport.count(&url("/channels.json")) > 0);
}
