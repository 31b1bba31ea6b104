//! Every example runs, on this machine alone.

use std::fs;
use std::process::Command;

use imagestore_testkit::{Server, Site};

use crate::surface::example;

#[test]
fn the_demonstration_shows_the_whole_way() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let output = Command::new(example("fetch"))
        .env("TMPDIR", directory.path())
        .env("HOME", directory.path())
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in [
        "https+registry://127.0.0.1",
        "https+lxc-images://127.0.0.1",
        "downloaded nothing",
        "refused",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
}

#[test]
fn a_protocol_of_ones_own_works_like_the_others() {
    let output = Command::new(example("custom_protocol"))
        .output()
        .expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.starts_with("image tiny\nrootfs has 1 files"), "{text}");
}

#[test]
fn what_the_publisher_makes_is_fetched() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("written");
    for folder in ["rootfs/etc", "meta", "images", "registry"] {
        fs::create_dir_all(path(folder)).expect("made");
    }
    write("rootfs/etc/hostname", "published\n");
    write("meta/config", "lxc.arch = x86_64\n");
    write("phrase", "correct horse\n");
    let run = |program: &str, arguments: &str| {
        let output = Command::new(example(program))
            .args(arguments.split_whitespace())
            .current_dir(directory.path())
            .env("HOME", directory.path())
            .env("IMAGESTORE_CONFIG", path("remotes.toml"))
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, said)
    };
    let done = |program: &str, arguments: &str| {
        let (status, text, said) = run(program, arguments);
        assert_eq!(status, Some(0), "{arguments}: {said}");
        text
    };

    let make = "key --user-id images --out images.key --passphrase-file phrase";
    let text = done("publish", make);
    assert!(
        text.contains("images.key, protected by a passphrase"),
        "{text}"
    );
    done("publish", "key --user-id registry --out registry.key");
    let publish = "lxc-images --root images --key images.key --name ubuntu/trusty/amd64/default \
                   --rootfs-dir rootfs --meta-dir meta";
    let (status, _, said) = run("publish", publish);
    assert_eq!(status, Some(2), "{said}");
    assert!(
        said.contains("the secret key is locked; give its passphrase"),
        "{said}"
    );
    done("publish", &format!("{publish} --passphrase-file phrase"));

    let images = Server::https(Site::directory(path("images"))).expect("a port");
    write("images.pem", images.certificate().expect("TLS").pem());
    done(
        "publish",
        &format!(
            "registry --root registry --key registry.key --server lxc-images=https+lxc-images://{} \
             --server-key images.key.pub --cert images.pem",
            images.authority()
        ),
    );
    let registry = Server::https(Site::directory(path("registry"))).expect("a port");
    write("registry.pem", registry.certificate().expect("TLS").pem());
    write(
        "remotes.toml",
        &format!(
            "default = \"images\"\n\n[remotes.images]\nurl = \"https+registry://{}\"\n\
             trusted_keys = [\"registry.key.pub\"]\ntrusted_certs = [\"registry.pem\"]\n",
            registry.authority()
        ),
    );
    let fetch = "--store store --output out images:lxc-images/ubuntu/trusty/amd64/default";
    done("fetch", fetch);
    let hostname = fs::read_to_string(path("out/rootfs/etc/hostname"));
    assert_eq!(hostname.expect("unpacked"), "published\n");
}
