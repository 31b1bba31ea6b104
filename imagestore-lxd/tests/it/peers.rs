//! The real daemon as the host.

use std::fs;

use imagestore_core::{Check, ClientIdentity, ErrorKind, Framing, ImageSource as _, TlsTrust};
use imagestore_lxd::{Lxd, first_contact};
use imagestore_verify::Sha256;

use crate::host::{Asker, chain, lookup, names};
use crate::real_host::{Devices, RealHost, unpack};

/// An image in every form.
pub(crate) const FORMS: [&str; 3] = ["box/split", "box/unified", "squash"];

/// One host for all of it: it takes long to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_host_serves_every_form_and_fails_in_every_way() {
    let Some(host) = RealHost::start() else {
        return;
    };
    host.is_listed_and_fetched_over_its_socket().await;
    host.shows_its_certificate_at_first_contact().await;
    host.shows_public_images_to_everybody().await;
    host.shows_private_images_to_a_certificate_it_knows().await;
    host.shows_private_images_for_secrets().await;
    host.shows_every_form_to_everybody().await;
    host.is_refused_with_another_certificate().await;
    host.sends_what_the_fingerprint_does_not_fit().await;
    host.loses_an_image_before_it_is_fetched().await;
    host.knows_no_such_project().await;
    host.copies_from_our_own_door().await;
    host.fetches_for_us_from_our_own_door().await;
    host.says_why_it_cannot_fetch().await;
    host.is_told_to_stop().await;
    host.restarts_in_the_middle_of_a_download().await;
    host.ends_in_the_middle_of_a_download().await;
}

impl RealHost {
    async fn is_listed_and_fetched_over_its_socket(&self) {
        let asker = Asker::new();
        let source = asker.source(self.over_socket());
        let about = source.host().await.expect("an answer");
        assert!(about.trusted);
        assert_eq!(about.server.as_deref(), Some("lxd"));
        let all = names(&source, "").await.expect("a listing");
        let aliases: Vec<_> = all.iter().filter(|name| name.len() < 64).collect();
        assert_eq!(
            aliases,
            [
                "box/split",
                "box/unified",
                "large",
                "large-split",
                "squash",
                "squash-xz",
                "squash-zstd"
            ]
        );
        assert_eq!(all.len(), 14);
        assert_eq!(
            names(&source, "box").await.expect("a listing"),
            ["split", "unified"]
        );
        for path in [
            "box/unified",
            &self.value("UNIFIED")[..12],
            self.value("UNIFIED"),
        ] {
            let image = lookup(&source, path).await.expect(path);
            assert_eq!(image.id.build(), self.value("UNIFIED"));
        }
        for path in FORMS.into_iter().chain(["squash-xz", "squash-zstd"]) {
            self.check_fetched(&asker, &source, path).await;
        }
    }

    /// Changes who may see an image.
    pub(crate) fn make_public(&self, value: &str, public: &str) {
        let (image, change) = (self.value(value), format!(r#"{{"public": {public}}}"#));
        let image = format!("/1.0/images/{image}");
        self.lxc(&["query", "-X", "PATCH", "-d", &change, &image]);
    }

    /// Fetches an image past all that is kept, and compares what it unpacks to.
    pub(crate) async fn check_fetched(&self, asker: &Asker, source: &Lxd, path: &str) {
        let stored = asker
            .fetch(source, path)
            .await
            .unwrap_or_else(|error| panic!("{path}: {}", chain(&error)));
        let scene = tempfile::tempdir().expect("a directory");
        let target = scene.path().join("box");
        let metadata = unpack(&stored, &target);
        assert_eq!(metadata.properties["os"], "debian", "{path}");
        assert_eq!(metadata.templates["/etc/hostname"].template, "hostname.tpl");
        self.check_tree(&target.join("rootfs"), path, Devices::Skipped);
    }

    async fn shows_its_certificate_at_first_contact(&self) {
        let remote = self.over_https();
        let seen = first_contact(&remote).await.expect("a certificate");
        assert_eq!(seen.fingerprint().to_string(), self.value("CERTIFICATE"));
    }

    async fn shows_public_images_to_everybody(&self) {
        let asker = Asker::new();
        let source = asker.source(self.over_https());
        assert!(!source.host().await.expect("an answer").trusted);
        let all = names(&source, "").await.expect("a listing");
        let aliases: Vec<_> = all.iter().filter(|name| name.len() < 64).collect();
        assert_eq!(aliases, ["large", "large-split", "squash"]);
        let stored = asker.fetch(&source, "squash").await.expect("fetched");
        assert_eq!(
            stored.fingerprint().expect("one").to_string(),
            self.value("SQUASH")
        );
        let image = lookup(&source, self.value("SQUASH"))
            .await
            .expect("an image");
        let pinned = format!(
            "received through tls certificate sha256:{} pinned for 127.0.0.1:{}",
            self.value("CERTIFICATE"),
            self.lxd.port()
        );
        for proof in image.proofs() {
            assert_eq!(proof.to_string(), pinned);
        }
        for path in [
            "box/unified",
            self.value("UNIFIED"),
            &self.value("UNIFIED")[..12],
        ] {
            let error = lookup(&source, path).await.expect_err(path);
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(
                error.to_string(),
                format!("no such image among those the host shows to everybody: {path}")
            );
        }
    }

    async fn shows_private_images_to_a_certificate_it_knows(&self) {
        let asker = Asker::new();
        let read = |name: &str| fs::read(self.path(name)).expect(name);
        let identity = ClientIdentity::new(read("client.crt"), read("client.key"));
        let source = asker.source(self.over_https().with_identity(identity));
        assert!(source.host().await.expect("an answer").trusted);
        for path in FORMS {
            self.check_fetched(&asker, &source, path).await;
        }
        for path in ["box/unified", "box/split"] {
            let image = lookup(&source, path).await.expect(path);
            assert_eq!(image.properties["public"], "no");
        }
    }

    /// What was private a moment ago.
    async fn shows_every_form_to_everybody(&self) {
        for value in ["UNIFIED", "SPLIT", "SQUASH"] {
            self.make_public(value, "true");
        }
        let asker = Asker::new();
        let source = asker.source(self.over_https());
        assert!(!source.host().await.expect("an answer").trusted);
        for path in FORMS {
            self.check_fetched(&asker, &source, path).await;
        }
    }

    async fn is_refused_with_another_certificate(&self) {
        let asker = Asker::new();
        let pin = Sha256::of(b"another");
        let source = asker.source(self.over_https().with_tls(TlsTrust::Pin(vec![pin])));
        let error = lookup(&source, "squash")
            .await
            .expect_err("another certificate");
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        let text = chain(&error);
        assert!(
            text.contains(self.value("CERTIFICATE")) && text.contains(&pin.to_string()),
            "{text}"
        );
    }

    async fn sends_what_the_fingerprint_does_not_fit(&self) {
        let asker = Asker::new();
        let source = asker.source(self.over_socket());
        for path in ["box/unified", "box/split"] {
            let image = lookup(&source, path).await.expect(path).map(|mut image| {
                image.downloads[0].checks = vec![Check::Digest(Sha256::of(b"another"))];
                image
            });
            let error = asker
                .store
                .fetch(&asker.context, source.remote(), &image)
                .await;
            let error = error.expect_err("another fingerprint");
            assert_eq!(error.kind(), ErrorKind::Untrusted);
            assert!(
                chain(&error).contains(&Sha256::of(b"another").to_string()),
                "{}",
                chain(&error)
            );
        }
        assert!(asker.keeps_nothing());
    }

    async fn loses_an_image_before_it_is_fetched(&self) {
        let asker = Asker::new();
        let source = asker.source(self.over_socket());
        let image = lookup(&source, "squash-xz").await.expect("an image");
        self.lxc(&["image", "delete", "squash-xz"]);
        let error = asker
            .store
            .fetch(&asker.context, source.remote(), &image)
            .await;
        assert_eq!(error.expect_err("it is gone").kind(), ErrorKind::NotFound);
    }

    async fn knows_no_such_project(&self) {
        let asker = Asker::new();
        let arguments = [("project".to_owned(), "nowhere".to_owned())].into();
        let source = asker.source(self.over_socket().with_arguments(arguments));
        let error = names(&source, "").await.expect_err("no project");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error
                .to_string()
                .starts_with("no such project, or not for this caller: `nowhere` on "),
            "{error}"
        );
    }

    async fn restarts_in_the_middle_of_a_download(&self) {
        for (path, framing) in [
            ("large", Framing::Plain),
            ("large-split", Framing::Multipart),
        ] {
            let asker = Asker::new();
            let source = asker.source(self.over_socket());
            let image = lookup(&source, path).await.expect(path);
            assert_eq!(image.downloads[0].framing, framing);
            let (kill, revive) = (self.lxd.killer(), self.lxd.reviver());
            asker.told.once(8 << 20, move || {
                kill();
                revive();
            });
            let stored = asker
                .store
                .fetch(&asker.context, source.remote(), &image)
                .await;
            let stored = stored.unwrap_or_else(|error| panic!("{path}: {}", chain(&error)));
            let size: u64 = stored
                .artifacts()
                .iter()
                .map(|artifact| artifact.size())
                .sum();
            assert_eq!(Some(size), image.downloads[0].size);
            // Go's servers give no tag, so it is gone on with by the date, and with one file only.
            let begun = asker.told.begun();
            assert_eq!(begun[0], 0, "{path}");
            assert_eq!(begun[1] > 0, framing == Framing::Plain, "{path}: {begun:?}");
            let warnings = asker.told.warnings();
            assert!(
                warnings
                    .iter()
                    .any(|text| text.ends_with("; asking for the rest")),
                "{path}: {warnings:?}"
            );
        }
    }

    async fn ends_in_the_middle_of_a_download(&self) {
        let asker = Asker::new();
        let source = asker.source(self.over_socket());
        let image = lookup(&source, "large").await.expect("an image");
        asker.told.once(8 << 20, self.lxd.killer());
        let error = asker
            .store
            .fetch(&asker.context, source.remote(), &image)
            .await;
        assert_eq!(
            error.expect_err("nobody answers").kind(),
            ErrorKind::Network
        );
        assert!(asker.keeps_nothing());
    }
}
