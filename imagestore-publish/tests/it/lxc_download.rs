//! Debian's own `lxc-download` fetches from a published tree.

use std::fs;
use std::os::unix::fs::MetadataExt;

use imagestore_testkit::oracle::Tool;
use imagestore_testkit::{Server, Site};

use crate::support::{Place, build, name};

#[test]
fn the_reference_client_fetches_and_unpacks_a_published_build() {
    let template = Tool::find("/usr/share/lxc/templates/lxc-download");
    let (Some(template), Some(_)) = (template, Tool::find("wget")) else {
        return;
    };
    let place = Place::new();
    fs::write(place.path("rootfs/large"), vec![b'x'; 100_000]).expect("written");
    for (image, id) in [
        ("alpine/3.19/amd64/default", "20240601_00:00"),
        ("ubuntu/trusty/amd64/default", "20240601_00:00"),
        ("ubuntu/trusty/amd64/default", "20240601_00:01"),
    ] {
        place
            .publisher()
            .publish(&name(image), build(id), &place.contents())
            .expect("published");
    }
    let server = Server::https(Site::directory(place.tree()).below("/mirror")).expect("a port");
    let pem = place.path("ca.pem");
    fs::write(&pem, server.certificate().expect("https").pem()).expect("written");
    let wgetrc = place.path("wgetrc");
    fs::write(
        &wgetrc,
        format!("ca_certificate = {}\nhsts = off\n", pem.display()),
    )
    .expect("written");
    for folder in ["c1/rootfs", "cache"] {
        fs::create_dir_all(place.path(folder)).expect("made");
    }
    fs::write(place.path("c1/config"), "").expect("written");
    let at = format!("{}/mirror", server.authority());
    let run = |args: &[&str]| {
        let command = template
            .command()
            .env("WGETRC", &wgetrc)
            .env("LXC_CACHE_PATH", place.path("cache"));
        command.args(["--server", &at]).args(args).run()
    };

    // It ends with 1 in older versions even when it lists.
    let listed = run(&["--list"]).stdout_text();
    let wanted = [
        "alpine 3.19 amd64 default 20240601_00:00",
        "ubuntu trusty amd64 default 20240601_00:01",
    ];
    for line in wanted {
        let found = listed
            .lines()
            .any(|found| found.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        assert!(found, "no `{line}` in {listed}");
    }

    let (path, rootfs) = (place.path("c1"), place.path("c1/rootfs"));
    let fetched = run(&[
        "-d",
        "ubuntu",
        "-r",
        "trusty",
        "-a",
        "amd64",
        "--variant",
        "default",
        "--name",
        "c1",
        "--path",
        path.to_str().expect("UTF-8"),
        "--rootfs",
        rootfs.to_str().expect("UTF-8"),
    ]);
    let said = format!("{}{}", fetched.stdout_text(), fetched.stderr_text());
    assert!(fetched.success(), "{said}");

    assert_eq!(
        fs::read(rootfs.join("large")).expect("unpacked").len(),
        100_000
    );
    // The template lists it, so its token is replaced.
    assert_eq!(
        fs::read_to_string(rootfs.join("etc/hostname")).expect("unpacked"),
        "c1\n"
    );
    assert_eq!(
        fs::read_link(rootfs.join("name"))
            .expect("unpacked")
            .to_str(),
        Some("etc/hostname")
    );
    let times = ["rootfs/large", "c1/rootfs/large"].map(|path| {
        let metadata = fs::metadata(place.path(path)).expect("there");
        format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec())
    });
    assert_eq!(times[0], times[1]);
    let config = fs::read_to_string(path.join("config")).expect("written");
    assert!(config.contains("lxc.arch = x86_64"), "{config}");
    let build_id = place.path("cache/download/ubuntu/trusty/amd64/default/build_id");
    assert_eq!(
        fs::read_to_string(build_id).expect("kept"),
        "20240601_00:01\n"
    );
    let found =
        server.requests_for("/images/ubuntu/trusty/amd64/default/20240601_00:01/rootfs.tar.xz");
    assert_eq!(
        found
            .iter()
            .map(|request| request.status)
            .collect::<Vec<_>>(),
        [200]
    );
}
