use std::fs;
use std::num::NonZeroUsize;
use std::time::Duration;

use imagestore_publish::{Contents, MetaSource, PublishError};
use imagestore_testkit::keys;

use crate::support::{Place, build, check, files, name, signed_at};

const NAME: &str = "ubuntu/trusty/amd64/default";
const FOLDER: &str = "images/ubuntu/trusty/amd64/default";

#[test]
fn writes_a_tree_with_a_signature_beside_every_file() {
    let place = Place::new();
    let build = build("20240531_23:58");
    let published = place
        .publisher()
        .publish(&name(NAME), build, &place.contents())
        .expect("published");
    assert_eq!(
        published.folder,
        place.tree().join(FOLDER).join("20240531_23:58")
    );
    assert_eq!(published.signed_at, keys::at(keys::SIGNED));
    assert!(published.skipped.is_empty(), "{:?}", published.skipped);

    let mut wanted = Vec::new();
    for file in ["SHA256SUMS", "meta.tar.xz", "rootfs.tar.xz"] {
        wanted.push(format!("{FOLDER}/20240531_23:58/{file}"));
    }
    wanted.extend(["meta/1.0/index-system", "meta/1.0/index-user"].map(str::to_owned));
    let found = files(&place.tree());
    let signed = |path: &String| [path.clone(), format!("{path}.asc")];
    let state = [".publish/lock", ".publish/state.json"].map(str::to_owned);
    let wanted: Vec<String> = state
        .into_iter()
        .chain(wanted.iter().flat_map(signed))
        .collect();
    assert_eq!(found, wanted);
    for file in found
        .iter()
        .filter(|file| !file.ends_with(".asc") && !file.starts_with('.'))
    {
        check(&place.tree().join(file), keys::images());
    }

    let line = "ubuntu;trusty;amd64;default;20240531_23:58;/images/ubuntu/trusty/amd64/default/20240531_23:58/\n";
    assert_eq!(place.read("meta/1.0/index-user"), line);
    assert_eq!(place.read("meta/1.0/index-system"), line);
}

#[test]
fn lists_the_newest_build_of_each_image_sorted_and_keeps_three() {
    let place = Place::new();
    let days = ["20240528", "20240529", "20240530", "20240531", "20240601"];
    for (image, builds) in [
        ("ubuntu/trusty/amd64/default", 5),
        ("a-b/x/amd64/default", 1),
        ("a/x/amd64/default", 2),
    ] {
        for (n, day) in days[..builds].iter().enumerate() {
            let build = build(&format!("{day}_00:00"));
            let published = place
                .publisher()
                .publish(&name(image), build, &place.contents());
            let removed = published.expect("published").removed;
            assert_eq!(
                removed.len(),
                usize::from(n >= 3),
                "{image} {build}: {removed:?}"
            );
        }
    }
    assert_eq!(
        place.read("meta/1.0/index-system"),
        "a-b;x;amd64;default;20240528_00:00;/images/a-b/x/amd64/default/20240528_00:00/\n\
         a;x;amd64;default;20240529_00:00;/images/a/x/amd64/default/20240529_00:00/\n\
         ubuntu;trusty;amd64;default;20240601_00:00;/images/ubuntu/trusty/amd64/default/20240601_00:00/\n"
    );
    let mut kept: Vec<String> = fs::read_dir(place.tree().join(FOLDER))
        .expect("there")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    kept.sort();
    assert_eq!(kept, ["20240530_00:00", "20240531_00:00", "20240601_00:00"]);
}

#[test]
fn signs_at_a_later_second_each_time_even_if_the_clock_stands_or_falls() {
    let place = Place::new();
    let index = place.tree().join("meta/1.0/index-user");
    let mut last = 0;
    for (n, clock) in [0, 0, 3600, 1800].into_iter().enumerate() {
        let publisher = place.publisher().with_time(keys::at(keys::SIGNED + clock));
        let build = build(&format!("20240601_00:0{n}"));
        publisher
            .publish(&name(NAME), build, &place.contents())
            .expect("published");
        let signed = signed_at(&index, keys::images());
        assert!(
            signed > last && signed >= keys::SIGNED + clock,
            "{signed} after {last}"
        );
        last = signed;
    }
    assert_eq!(last, keys::SIGNED + 3601);

    // The state may be lost: the signatures themselves tell.
    fs::remove_file(place.tree().join(".publish/state.json")).expect("there");
    place.publisher().refresh().expect("refreshed");
    assert_eq!(signed_at(&index, keys::images()), keys::SIGNED + 3602);

    let error = place
        .publisher()
        .with_time(keys::at(keys::SIGNED - 86_400))
        .refresh();
    let error = error.expect_err("a day back");
    assert!(matches!(error, PublishError::ClockBehind { .. }), "{error}");
    assert_eq!(signed_at(&index, keys::images()), keys::SIGNED + 3602);
}

#[test]
fn refreshes_the_signatures_and_keeps_the_text() {
    let place = Place::new();
    place
        .publisher()
        .publish(&name(NAME), build("20240601_00:00"), &place.contents())
        .expect("published");
    let before = place.read("meta/1.0/index-user");
    let asc = fs::read(
        place
            .tree()
            .join(FOLDER)
            .join("20240601_00:00/SHA256SUMS.asc"),
    )
    .expect("there");
    let later = keys::at(keys::SIGNED + 86_400);
    assert_eq!(
        place
            .publisher()
            .with_time(later)
            .refresh()
            .expect("refreshed")
            .signed_at,
        later
    );
    assert_eq!(place.read("meta/1.0/index-user"), before);
    assert_eq!(
        signed_at(&place.tree().join("meta/1.0/index-user"), keys::images()),
        keys::SIGNED + 86_400
    );
    let kept = fs::read(
        place
            .tree()
            .join(FOLDER)
            .join("20240601_00:00/SHA256SUMS.asc"),
    )
    .expect("there");
    assert_eq!(kept, asc, "a build is never signed twice");
}

#[test]
fn lists_a_build_only_for_the_modes_it_has_a_configuration_for() {
    let place = Place::new();
    let folder = place.path("meta-folder");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("config-user"), "lxc.arch = x86_64\n").expect("written");
    let rootfs = place.contents().rootfs;
    let users = Contents::new(rootfs.clone(), MetaSource::Directory(folder));
    let both = place.contents();

    // Only users: there is no index for the system, since an empty one would be taken for a broken one.
    place
        .publisher()
        .publish(&name(NAME), build("20240601_00:00"), &users)
        .expect("published");
    assert!(!place.tree().join("meta/1.0/index-system").exists());
    assert!(place.read("meta/1.0/index-user").contains("20240601_00:00"));

    place
        .publisher()
        .publish(&name(NAME), build("20240601_00:01"), &both)
        .expect("published");
    let published = place.publisher().with_kept_builds(NonZeroUsize::MIN);
    let published = published
        .publish(&name(NAME), build("20240601_00:02"), &users)
        .expect("published");
    assert!(place.read("meta/1.0/index-user").contains("20240601_00:02"));
    assert!(
        place
            .read("meta/1.0/index-system")
            .contains("20240601_00:01"),
        "the newest that serves it"
    );
    let [skipped] = &published.skipped[..] else {
        panic!("{:?}", published.skipped)
    };
    assert_eq!(skipped.problem, "has no configuration for index-system");
    let removed: Vec<_> = published
        .removed
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(removed, ["20240601_00:00"], "what an index names stays");
}

#[test]
fn does_not_list_a_build_that_lacks_a_file() {
    for lost in [
        "rootfs.tar.xz.asc",
        "meta.tar.xz",
        "SHA256SUMS",
        "SHA256SUMS.asc",
    ] {
        let place = Place::new();
        for id in ["20240601_00:00", "20240601_00:01"] {
            place
                .publisher()
                .publish(&name(NAME), build(id), &place.contents())
                .expect("published");
        }
        let newest = place.tree().join(FOLDER).join("20240601_00:01");
        fs::remove_file(newest.join(lost)).expect("there");
        let published = place.publisher().refresh().expect("refreshed");
        assert_eq!(published.skipped.len(), 2, "{lost}");
        assert_eq!(published.skipped[0].problem, format!("has no {lost}"));
        assert!(
            place.read("meta/1.0/index-user").contains("20240601_00:00"),
            "{lost}"
        );
    }
}

#[test]
fn says_when_a_kept_copy_should_be_renewed() {
    let place = Place::new();
    let id = build("20240601_00:00");
    let folder = place
        .publisher()
        .publish(&name(NAME), id, &place.contents())
        .expect("published")
        .folder;
    let mut tarball = Vec::new();
    let file = fs::File::open(folder.join("meta.tar.xz")).expect("there");
    std::io::Read::read_to_end(&mut liblzma::read::XzDecoder::new(file), &mut tarball).expect("xz");
    let mut archive = tar::Archive::new(&tarball[..]);
    let mut names = Vec::new();
    let mut expiry = String::new();
    for entry in archive.entries().expect("a tarball") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let header = entry.header();
        let owner = (
            header.mode().expect("octal"),
            header.uid().expect("octal"),
            header.gid().expect("octal"),
        );
        assert_eq!(owner, (0o644, 0, 0), "{path}");
        if path == "expiry" {
            std::io::Read::read_to_string(&mut entry, &mut expiry).expect("text");
        }
        names.push(path);
    }
    assert_eq!(names, ["expiry", "config", "templates"]);
    let thirty_days = id.time() + Duration::from_secs(30 * 86_400);
    assert_eq!(
        keys::at(expiry.trim().parse().expect("a number")),
        thirty_days
    );
}

#[test]
fn two_publishers_wait_for_each_other() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for image in [
            "a/x/amd64/default",
            "b/x/amd64/default",
            "c/x/amd64/default",
        ] {
            let place = &place;
            scope.spawn(move || {
                let id = build("20240601_00:00");
                place
                    .publisher()
                    .publish(&name(image), id, &place.contents())
                    .expect("published");
            });
        }
    });
    assert_eq!(place.read("meta/1.0/index-user").lines().count(), 3);
    let signed = signed_at(&place.tree().join("meta/1.0/index-user"), keys::images());
    assert_eq!(signed, keys::SIGNED + 2);
}
