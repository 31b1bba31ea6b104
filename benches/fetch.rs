//! How long does the whole way take, from a reference to a directory, beside the tools a person would string
//! together? All ask the same server on loopback and check signature and digest of both files.
//!
//! Data: as in `unpack.rs`.

mod side_by_side;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use imagestore::{Config, ImageStore, UnpackOptions};
use imagestore_testkit::{Server, Site, keys};
use imagestore_verify::Sha256;
use side_by_side::{Way, compare, is_installed, is_smoke_test, peer, rounds};

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    publish(directory.path());
    let server = Server::http(Site::directory(path("www"))).expect("a port");
    fs::write(path("key.asc"), keys::images().certificate()).expect("written");
    let config = format!(
        "[remotes.images]\nurl = \"{}\"\ntrusted_keys = [\"key.asc\"]\n",
        server.remote_url("lxc-images")
    );
    let (store, out) = (path("store"), path("out"));
    let fresh = |folder: &Path| {
        if folder.exists() {
            fs::remove_dir_all(folder).expect("removed");
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads");
    let reference = "images:debian/bookworm/amd64/default"
        .parse()
        .expect("a reference");
    let way = |with_store: bool| {
        let (config, store, out) = (&config, &store, &out);
        let (runtime, reference, base) = (&runtime, &reference, directory.path());
        move || {
            fresh(out);
            if !with_store {
                fresh(store);
            }
            runtime.block_on(async {
                let images = ImageStore::builder()
                    .with_config(Config::parse(config, base).expect("valid"))
                    .with_store_dir(store)
                    .build()
                    .expect("a store");
                let fetched = images.fetch(reference).await.expect("fetched");
                let options = UnpackOptions::default();
                images
                    .unpack(&fetched.image, out, &options)
                    .await
                    .expect("unpacked");
            });
        }
    };
    let mut ways = vec![Way::new("imagestore", way(false))];
    if ["curl", "gpg", "gpgv", "sha256sum", "tar", "xz"]
        .into_iter()
        .all(is_installed)
    {
        let base = directory.path().display().to_string();
        peer(&format!(
            "gpg --homedir {base} --dearmor < {base}/key.asc > {base}/key.gpg"
        ));
        let (url, out) = (server.url(), out.clone());
        ways.push(Way::new("curl, gpgv, sha256sum, tar", move || {
            fresh(&out);
            peer(&format!(
                "set -e; mkdir {base}/out {base}/out/dl; cd {base}/out/dl; \
                 for f in meta.tar.xz rootfs.tar.xz SHA256SUMS; do \
                   curl -sfO {url}/{BUILD}/$f; curl -sfO {url}/{BUILD}/$f.asc; \
                   gpgv -q --keyring {base}/key.gpg $f.asc $f 2>/dev/null; \
                 done; \
                 sha256sum -c --quiet SHA256SUMS; mkdir ../rootfs ../metadata; \
                 xz -T0 -dc rootfs.tar.xz | tar -xp --numeric-owner -C ../rootfs -f -; tar -xJf meta.tar.xz -C ../metadata"
            ));
        }));
    }
    ways.push(Way::new(
        "imagestore, with the files in its store",
        way(true),
    ));
    compare("fetching and unpacking", rounds(), ways);
}

fn publish(base: &Path) {
    let root = match std::env::var_os("IMAGESTORE_BENCH_ROOT") {
        Some(root) if !is_smoke_test() => PathBuf::from(root),
        _ => {
            let root = base.join("root");
            fs::create_dir_all(root.join("etc")).expect("made");
            let text: String = (0..2_000_000).map(|n| format!("{n}\n")).collect();
            fs::write(root.join("etc/numbers"), text).expect("written");
            root
        }
    };
    let build = base.join("www").join(BUILD);
    fs::create_dir_all(&build).expect("made");
    fs::create_dir_all(base.join("meta")).expect("made");
    fs::write(base.join("meta/config"), "lxc.arch = x86_64\n").expect("written");
    peer(&format!(
        "tar --numeric-owner -C {} -cf - . | xz -T0 -1 -c > {}/rootfs.tar.xz; \
         tar --numeric-owner -C {} -cJf {}/meta.tar.xz config",
        root.display(),
        build.display(),
        base.join("meta").display(),
        build.display()
    ));
    let mut sums = String::new();
    for name in ["meta.tar.xz", "rootfs.tar.xz"] {
        let digest = Sha256::of(&fs::read(build.join(name)).expect("packed"));
        sums.push_str(&format!("{digest}  {name}\n"));
    }
    fs::write(build.join("SHA256SUMS"), sums).expect("written");
    for name in ["meta.tar.xz", "rootfs.tar.xz", "SHA256SUMS"] {
        sign(&build.join(name));
    }
    let meta = base.join("www/meta/1.0");
    fs::create_dir_all(&meta).expect("made");
    let line = format!("debian;bookworm;amd64;default;20240531_05:24;/{BUILD}/\n");
    fs::write(meta.join("index-user"), line).expect("written");
    sign(&meta.join("index-user"));
}

fn sign(file: &Path) {
    let signature = keys::sign(
        keys::images(),
        &fs::read(file).expect("a file"),
        SystemTime::now(),
    );
    fs::write(format!("{}.asc", file.display()), signature).expect("written");
}

const BUILD: &str = "images/debian/bookworm/amd64/default/20240531_05:24";
