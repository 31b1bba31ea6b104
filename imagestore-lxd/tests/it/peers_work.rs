//! What the real daemon does for a caller it trusts, and with what we serve.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use imagestore_core::{ErrorKind, ImageSource as _};
use imagestore_lxd::serve::ServedImage;
use imagestore_lxd::{Pull, PullProtocol, PulledImage};
use imagestore_testkit::{Answer, Fault, Server, Site};
use imagestore_verify::Sha256;

use crate::host::{Asker, Shown, answer, chain, lookup};
use crate::real_host::{Devices, RealHost};
use crate::serve::{Open, open, verified};

impl RealHost {
    fn digest(&self, name: &str) -> Sha256 {
        self.value(name).parse().expect("a digest")
    }

    pub(crate) async fn shows_private_images_for_secrets(&self) {
        let asker = Asker::new();
        let trusted = asker.source(self.over_socket());
        self.make_public("SQUASH", "false");
        for name in ["UNIFIED", "SPLIT", "SQUASH"] {
            let path = self.value(name);
            let source = asker.source(self.over_https());
            let hidden = lookup(&source, path).await.expect_err("it is private");
            assert_eq!(hidden.kind(), ErrorKind::NotFound, "{name}");
            let secret = trusted.create_secret(&self.digest(name)).await;
            let source = source.with_secret(secret.expect("it trusts us"));
            self.check_fetched(&asker, &source, path).await;
        }
        let refused = asker.source(self.over_https());
        let refused = refused.create_secret(&self.digest("SQUASH")).await;
        let refused = refused.expect_err("it does not trust us");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert!(
            chain(&refused).ends_with("the host says: not authorized"),
            "{}",
            chain(&refused)
        );

        let asker = Asker::new();
        let trusted = asker.source(self.over_socket());
        let fingerprint = self.digest("SPLIT");
        let secret = trusted.create_secret(&fingerprint).await.expect("a secret");
        let word = secret.reveal().to_owned();
        let one = asker.source(self.over_https()).with_secret(secret);
        let many = asker.source(self.over_https());
        let many = many.with_secrets(Arc::new(trusted));
        let path = fingerprint.to_string();
        let by_one = lookup(&one, &path).await.expect("an image");
        let by_many = lookup(&many, &path).await.expect("an image");
        // The host's own clock decides, and cannot be set.
        tokio::time::sleep(Duration::from_millis(6_000)).await;
        let message = "the secret was first used 6 seconds ago, and a host lets it live for 5; ask for a new one";
        let late = lookup(&one, &path).await.expect_err("it has died");
        let (told, remedy) = message.split_once("; ").expect("a remedy");
        assert_eq!(late.kind(), ErrorKind::Refused);
        assert_eq!(late.to_string(), format!("{told}: {path}; {remedy}"));
        let fetch = |source, image| asker.store.fetch(&asker.context, source, image);
        let late = fetch(one.remote(), &by_one).await.expect_err("it has died");
        assert_eq!(late.kind(), ErrorKind::Refused);
        assert_eq!(late.to_string(), format!("{told}: image {path}; {remedy}"));
        assert!(!chain(&late).contains(&word));
        let stored = fetch(many.remote(), &by_many).await;
        let stored = stored.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(stored.fingerprint(), Some(fingerprint));
    }

    async fn our_door(&self) -> Open {
        let read = |name: &str| verified(&fs::read(self.path(name)).expect(name));
        let unified = ServedImage::unified(read("unified.tar.xz")).expect("an image");
        let split =
            ServedImage::split(read("meta.tar.xz"), read("rootfs.tar.gz")).expect("an image");
        let squash = ServedImage::split(read("meta.tar.xz"), read("rootfs.gzip.squashfs"))
            .expect("an image");
        open(vec![
            unified
                .with_alias("ours/unified")
                .with_property("description", "served"),
            split.with_alias("split"),
            squash.with_alias("squash"),
        ])
        .await
    }

    /// The real `lxc` lists what we serve, and the real daemon copies it and makes instances of it.
    pub(crate) async fn copies_from_our_own_door(&self) {
        self.lxc(&["image", "delete", "box/unified", "box/split", "squash"]);
        let door = self.our_door().await;
        self.lxd
            .know("ours", &door.url, "lxd", &door.certificate_pem);
        let listed = self.lxc(&["image", "list", "ours:", "--format", "csv", "-c", "lFpad"]);
        let mut lines: Vec<_> = listed.lines().collect();
        lines.sort_unstable();
        let line = |alias: &str, value: &str, description: &str| {
            format!("{alias},{},yes,x86_64,{description}", self.value(value))
        };
        assert_eq!(
            lines,
            [
                line("ours/unified", "UNIFIED", "served"),
                line("split", "SPLIT", ""),
                line("squash", "SQUASH", "")
            ]
        );
        self.lxc(&["storage", "create", "pool", "dir"]);
        for (alias, value, name) in [
            ("ours/unified", "UNIFIED", "unified"),
            ("split", "SPLIT", "split"),
            ("squash", "SQUASH", "squash"),
        ] {
            let served = format!("ours:{alias}");
            self.lxc(&["image", "copy", &served, "local:", "--alias", alias]);
            let here = self.lxc(&["query", &format!("/1.0/images/aliases/{alias}")]);
            assert!(here.contains(self.value(value)), "{alias}: {here}");
            self.lxc(&["init", &served, name, "--storage", "pool"]);
            let exported = format!("{name}.tar.gz");
            self.lxc(&["export", name, &exported, "--instance-only"]);
            let target = self.path(name);
            fs::create_dir(&target).expect("a directory");
            let unpacked = Command::new("tar")
                .args(["-x", "-p", "--numeric-owner", "--same-owner", "-f"])
                .arg(self.path(&exported))
                .arg("-C")
                .arg(&target)
                .status();
            assert!(unpacked.expect("tar").success(), "{name}");
            let tree = target.join("backup/container/rootfs");
            self.check_tree(&tree, name, Devices::Made);
            self.lxc(&["delete", name]);
        }
    }

    /// We make the real daemon fetch what we serve.
    pub(crate) async fn fetches_for_us_from_our_own_door(&self) {
        let asker = Asker::new();
        let host = asker.source(self.over_socket());
        let door = self.our_door().await;
        self.lxc(&["image", "delete", "ours/unified", "split", "squash"]);
        let url: url::Url = door.url.parse().expect("a URL");
        for (image, value) in [
            (PulledImage::Alias("ours/unified".to_owned()), "UNIFIED"),
            (PulledImage::Fingerprint(self.digest("SPLIT")), "SPLIT"),
        ] {
            let pull = Pull::new(url.clone(), PullProtocol::Lxd, image)
                .with_certificate(door.certificate_pem.clone())
                .with_alias(value);
            let pulled = host.pull(&pull).await;
            let pulled = pulled.unwrap_or_else(|error| panic!("{value}: {}", chain(&error)));
            assert_eq!(pulled.fingerprint, self.digest(value));
            let image = lookup(&host, value).await.expect("it is there");
            assert_eq!(image.id.build(), self.value(value));
            assert_eq!(image.downloads[0].size, pulled.size);
        }
        let pull = Pull::new(
            url,
            PullProtocol::Lxd,
            PulledImage::Alias("split".to_owned()),
        );
        let refused = asker.source(self.over_https()).pull(&pull).await;
        assert_eq!(
            refused.expect_err("it does not trust us").kind(),
            ErrorKind::Refused
        );
    }

    pub(crate) async fn says_why_it_cannot_fetch(&self) {
        let asker = Asker::new();
        let host = asker.source(self.over_socket());
        let nobody = "https://127.0.0.1:1".parse().expect("a URL");
        let image = PulledImage::Alias("x".to_owned());
        let failed = host
            .pull(&Pull::new(nobody, PullProtocol::Lxd, image))
            .await;
        let failed = failed.expect_err("nobody is there");
        assert_eq!(failed.kind(), ErrorKind::Network);
        let text = chain(&failed);
        assert!(
            text.starts_with("the host could not do it: Downloading image (")
                && text.contains("\nthe host says: ")
                && text.contains("connection refused"),
            "{text}"
        );
    }

    /// A download that takes a minute is ended in the middle.
    pub(crate) async fn is_told_to_stop(&self) {
        let noise = vec![b'x'; 1_000_000];
        let shown = Shown::new("slow", [&noise]);
        let path = format!("/1.0/images/{}/export", shown.fingerprint());
        let images = vec![shown];
        let slow = Server::https(Site::answering(move |request| -> Answer {
            answer(request, &images)
                .with_field("Content-Disposition", "inline;filename=slow.tar.xz")
        }))
        .expect("a server");
        let fault = Fault::Trickle {
            bytes: 1_000,
            every: Duration::from_millis(60),
        };
        slow.fail(&path, fault);
        let asker = Asker::new();
        let host = asker.source(self.over_socket());
        let image = PulledImage::Alias("slow".to_owned());
        let url = slow.url().parse().expect("a URL");
        let pull = Pull::new(url, PullProtocol::Lxd, image)
            .with_certificate(slow.certificate().expect("https").pem());
        let begun = host.start_pull(&pull).await.expect("begun");
        let (id, started) = (begun.id.clone(), Instant::now());
        // Only a download that has begun can be ended.
        while !host.operation(&id).await.expect("a state").may_cancel
            || !slow.requests().iter().any(|request| request.path == path)
        {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "it never begins"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        host.cancel(&id).await.expect("told to stop");
        let ended = host.follow(&id).await.expect_err("it was ended");
        assert_eq!(ended.kind(), ErrorKind::Canceled, "{}", chain(&ended));
        assert!(started.elapsed() < Duration::from_secs(40), "it went on");
    }
}
