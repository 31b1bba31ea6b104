//! The attacks of SECURITY.md, each by its name.

use imagestore::ErrorKind;
use imagestore_testkit::{Fault, Server, Site, keys};

use crate::world::{BUILD, DIRECTORY, REFERENCE, World, append, rootfs_archive, xz};

#[tokio::test]
async fn index_is_altered() {
    for (name, path) in [
        ("registry", "/1.0/index.json"),
        ("images", "/meta/1.0/index-user"),
    ] {
        let world = World::new();
        let server = if name == "registry" {
            &world.registry
        } else {
            &world.images
        };
        server.fail(path, Fault::FlipByte(5));
        world
            .refuses(REFERENCE, ErrorKind::Untrusted, "does not verify")
            .await;
    }
}

#[tokio::test]
async fn index_signature_is_stripped() {
    for path in ["/1.0/index.json.asc", "/meta/1.0/index-user.asc"] {
        let world = World::new();
        world.registry.remove(path);
        world.images.remove(path);
        world
            .refuses(REFERENCE, ErrorKind::Untrusted, "is not signed")
            .await;
    }
}

#[tokio::test]
async fn signature_of_a_file_is_stripped() {
    for name in ["meta.tar.xz", "rootfs.tar.xz", "SHA256SUMS"] {
        let world = World::new();
        world.images.remove(&format!("{DIRECTORY}{name}.asc"));
        world
            .refuses(REFERENCE, ErrorKind::Untrusted, "is not signed")
            .await;
    }
}

#[tokio::test]
async fn index_signature_is_an_inline_message() {
    let world = World::new();
    let message = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nanything\n\
                   -----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n";
    world.images.put("/meta/1.0/index-user.asc", message);
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "/meta/1.0/index-user.asc")
        .await;
}

#[tokio::test]
async fn index_is_replayed() {
    let world = World::new();
    world.publish_index(
        &[("ubuntu;trusty;amd64;default", BUILD, DIRECTORY)],
        keys::SIGNED + 100,
    );
    let store = world.image_store();
    store
        .resolve(&REFERENCE.parse().expect("a reference"))
        .await
        .expect("the newest");
    world.publish_index(
        &[
            ("ubuntu;trusty;amd64;default", BUILD, DIRECTORY),
            ("ubuntu;precise;amd64;default", BUILD, DIRECTORY),
        ],
        keys::SIGNED,
    );
    world
        .refuses(
            REFERENCE,
            ErrorKind::RolledBack,
            "older than one seen before",
        )
        .await;
}

#[tokio::test]
async fn index_is_a_login_page() {
    let world = World::new();
    let page = b"<!DOCTYPE html><html><body>Please log in</body></html>\n";
    world.put(
        &world.images,
        "/meta/1.0/index-user",
        page,
        keys::images(),
        keys::SIGNED,
    );
    world
        .refuses(REFERENCE, ErrorKind::Malformed, "index-user")
        .await;
}

#[tokio::test]
async fn key_file_is_altered() {
    let world = World::new();
    let path = format!("/keys/0x{}", keys::images().fingerprint());
    world.registry.put(&path, keys::stranger().certificate());
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "does not verify")
        .await;
}

#[tokio::test]
async fn key_of_one_server_signs_for_another() {
    let world = World::new();
    let index = format!("ubuntu;trusty;amd64;default;{BUILD};{DIRECTORY}\n");
    // Neither the registry's own key nor a key it never named counts here.
    for key in [keys::registry(), keys::other_images(), keys::stranger()] {
        world.put(
            &world.images,
            "/meta/1.0/index-user",
            index.as_bytes(),
            key,
            keys::SIGNED,
        );
        world
            .refuses(
                REFERENCE,
                ErrorKind::Untrusted,
                &key.fingerprint().to_string(),
            )
            .await;
    }
}

#[tokio::test]
async fn mirror_swaps_rootfs() {
    let world = World::new();
    world
        .images
        .fail(&format!("{DIRECTORY}rootfs.tar.xz"), Fault::FlipByte(100));
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "rootfs.tar.xz")
        .await;
    world.images.heal_all();
    world
        .images
        .fail(&format!("{DIRECTORY}meta.tar.xz"), Fault::FlipByte(100));
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "meta.tar.xz")
        .await;
    world.images.heal_all();
    world
        .fetch(REFERENCE)
        .await
        .expect("nothing of it stands in the way of the next attempt");
}

#[tokio::test]
async fn meta_of_another_build_is_served() {
    let world = World::new();
    // Validly signed by the right key, but not of this build: only SHA256SUMS can tell.
    let other = rootfs_archive("precise\n");
    let path = format!("{DIRECTORY}rootfs.tar.xz");
    world.put(&world.images, &path, &other, keys::images(), keys::SIGNED);
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "rootfs.tar.xz")
        .await;
}

#[tokio::test]
async fn checksums_are_altered() {
    let world = World::new();
    world
        .images
        .fail(&format!("{DIRECTORY}SHA256SUMS"), Fault::FlipByte(3));
    world
        .refuses(REFERENCE, ErrorKind::Untrusted, "SHA256SUMS")
        .await;
}

#[tokio::test]
async fn path_leaves_the_server() {
    for path in [
        "//evil.example/x/",
        "http://evil.example/",
        "/images/../../etc/",
        "/a/%2e%2e/b/",
    ] {
        let world = World::new();
        world.publish_index(
            &[("ubuntu;trusty;amd64;default", BUILD, path)],
            keys::SIGNED,
        );
        world
            .refuses(REFERENCE, ErrorKind::Unsafe, "could leave its server")
            .await;
    }
}

#[tokio::test]
async fn registry_refers_in_a_circle() {
    let world = World::new();
    chain_registries(&world, &world.registry, &world.registry);
    world
        .refuses("images:next/x", ErrorKind::Loop, "refers back")
        .await;
}

#[tokio::test]
async fn registry_refers_five_times() {
    let world = World::new();
    let others: Vec<_> = (0..5)
        .map(|_| Server::https(Site::empty()).expect("a port"))
        .collect();
    let mut from = &world.registry;
    for to in &others {
        chain_registries(&world, from, to);
        from = to;
    }
    world
        .refuses(
            "images:next/next/next/next/next/x",
            ErrorKind::Loop,
            "more than 4 referrals",
        )
        .await;
}

#[tokio::test]
async fn registry_refers_to_cleartext() {
    let world = World::new();
    let server = Server::http(Site::empty()).expect("a port");
    chain_registries(&world, &world.registry, &server);
    world
        .refuses(
            "images:next/x",
            ErrorKind::Unsafe,
            "refers from https to http",
        )
        .await;
}

#[tokio::test]
async fn certificate_is_another() {
    let world = World::new();
    let store = world.image_store();
    let other = World::new();
    std::fs::write(
        world.path("registry.pem"),
        other.registry.certificate().expect("TLS").pem(),
    )
    .expect("written");
    let error = store
        .resolve(&REFERENCE.parse().expect("a reference"))
        .await
        .expect_err("another");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let seen = world
        .registry
        .certificate()
        .expect("TLS")
        .sha256()
        .to_string();
    let wanted = other
        .registry
        .certificate()
        .expect("TLS")
        .sha256()
        .to_string();
    let lines = crate::world::chain(&error).join("\n");
    assert!(lines.contains(&seen) && lines.contains(&wanted), "{lines}");
}

#[tokio::test]
async fn body_never_ends() {
    let world = World::new();
    world
        .images
        .fail("/meta/1.0/index-user.asc", Fault::Endless(b'x'));
    world
        .refuses(REFERENCE, ErrorKind::TooLarge, "at most 65536 bytes")
        .await;
}

#[tokio::test]
async fn link_leaves_target() {
    let world = World::new();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive
        .append_link(&mut header, "./way-out", "/tmp")
        .expect("in memory");
    append(&mut archive, "./way-out/imagestore-escaped", 0o644, b"x");
    let rootfs = xz(&archive.into_inner().expect("in memory"));
    let meta = crate::world::meta_archive();
    let sums = format!(
        "{}  meta.tar.xz\n{}  rootfs.tar.xz\n",
        imagestore_verify::Sha256::of(&meta),
        imagestore_verify::Sha256::of(&rootfs)
    );
    for (name, bytes) in [("rootfs.tar.xz", rootfs), ("SHA256SUMS", sums.into_bytes())] {
        let path = format!("{DIRECTORY}{name}");
        world.put(&world.images, &path, &bytes, keys::images(), keys::SIGNED);
    }
    world.refuses(REFERENCE, ErrorKind::Unsafe, "way-out").await;
    assert!(!std::path::Path::new("/tmp/imagestore-escaped").exists());
}

/// Makes `from` a registry whose only server `next` is `to`, and `to` an empty one.
fn chain_registries(world: &World, from: &Server, to: &Server) {
    let key_name = format!("/keys/0x{}", keys::registry().fingerprint());
    let scheme = if to.certificate().is_some() {
        "https"
    } else {
        "http"
    };
    let mut server = serde_json::json!({
        "name": "next",
        "url": format!("{scheme}+registry://{}", to.authority()),
        "trusted_keys": [key_name],
    });
    if let Some(certificate) = to.certificate() {
        let pin = certificate.sha256().to_string().to_uppercase();
        let path = format!("/certs/{pin}");
        world.put(
            from,
            &path,
            certificate.pem().as_bytes(),
            keys::registry(),
            keys::SIGNED,
        );
        server["trusted_certs"] = serde_json::json!([path]);
    }
    let certificate = keys::registry().certificate();
    world.put(
        from,
        &key_name,
        certificate.as_bytes(),
        keys::registry(),
        keys::SIGNED,
    );
    let index = |servers: Vec<serde_json::Value>| {
        let index =
            serde_json::json!({"version": 1, "generated_at": keys::SIGNED, "servers": servers});
        index.to_string().into_bytes()
    };
    if to.authority() != from.authority() {
        let empty = index(Vec::new());
        world.put(
            to,
            "/1.0/index.json",
            &empty,
            keys::registry(),
            keys::SIGNED,
        );
    }
    let index = index(vec![server]);
    world.put(
        from,
        "/1.0/index.json",
        &index,
        keys::registry(),
        keys::SIGNED,
    );
}
