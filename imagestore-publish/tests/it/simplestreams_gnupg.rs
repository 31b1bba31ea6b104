//! What GnuPG says of the documents of a simplestreams tree.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::time::UNIX_EPOCH;

use imagestore_publish::{ImageContents, ImageMetadata, SimplestreamsPublisher};
use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;

use crate::support::{Place, build, name};

#[test]
fn gpgv_verifies_both_forms_of_a_tree_of_many_versions() {
    let (Some(gpgv), Some(gpg)) = (Tool::find("gpgv"), Tool::find("gpg")) else {
        return;
    };
    let place = Place::new();
    let home = place.path("gnupg");
    fs::create_dir(&home).expect("made");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("own");
    let dearmor = gpg
        .command()
        .args(["--batch", "--no-autostart", "--dearmor", "--homedir"])
        .args([&home])
        .input(keys::images().certificate())
        .run();
    let ring = place.path("ring.gpg");
    fs::write(&ring, &dearmor.stdout).expect("written");
    drop(dearmor.expect_success());

    let squashfs = place.path("squashfs");
    fs::write(&squashfs, "hsqs, and then some").expect("written");
    let contents = ImageContents::new(ImageMetadata::Made).with_squashfs(squashfs);
    let mut published = None;
    for minute in 0..30 {
        let done = SimplestreamsPublisher::new(place.tree())
            .with_key(keys::images())
            .with_kept_versions(NonZeroUsize::new(30).expect("not zero"))
            .with_time(keys::at(keys::SIGNED))
            .publish(
                &name("ubuntu/trusty/amd64/default"),
                build(&format!("20240601_00:{minute:02}")),
                &contents,
            );
        published = Some(done.expect("published"));
    }
    let products = place.read("streams/v1/images.json");
    assert!(products.contains("\"20240601_00:00\"") && products.len() > 20_000);

    let updated = published.expect("the last").updated_at;
    let updated = updated.duration_since(UNIX_EPOCH).expect("after 1970");
    for files in [
        &["index.sjson"][..],
        &["images.sjson"],
        &["index.json.gpg", "index.json"],
        &["images.json.gpg", "images.json"],
    ] {
        let said = gpgv
            .command()
            .folder(&place.tree().join("streams/v1"))
            .args(["--status-fd", "1", "--keyring"])
            .args([&ring])
            .args(files)
            .run();
        let said = said.expect_success();
        let valid = said.lines().find(|line| line.contains("VALIDSIG"));
        let valid = valid.unwrap_or_else(|| panic!("{files:?}: {said}"));
        // `[GNUPG:] VALIDSIG FINGERPRINT DATE SECONDS …`: the same in all of them.
        let seconds = valid.split(' ').nth(4);
        assert_eq!(seconds, Some(&*updated.as_secs().to_string()), "{files:?}");
    }
}
