//! Private images, and the secrets that open them for five seconds each.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use imagestore_core::{Error, ErrorKind, Result, async_trait};
use imagestore_lxd::{Lxd, Secret, Secrets};
use imagestore_testkit::server::Framing;
use imagestore_testkit::{Answer, Fault, Request, Server, Site};
use imagestore_verify::Sha256;

use crate::host::{Asker, Shown, answer, chain, error, lookup, remote};

/// Secrets that are made, and live until they are killed.
#[derive(Debug, Default)]
struct Maker {
    made: Mutex<Vec<String>>,
    alive: Mutex<HashSet<String>>,
}

impl Maker {
    fn make(&self) -> Secret {
        let mut made = self.made.lock().expect("not poisoned");
        let word = format!("5ec7e7{:058}", made.len());
        made.push(word.clone());
        self.alive
            .lock()
            .expect("not poisoned")
            .insert(word.clone());
        Secret::new(&word).expect("a secret")
    }

    fn kill_all(&self) {
        self.alive.lock().expect("not poisoned").clear();
    }

    fn made(&self) -> usize {
        self.made.lock().expect("not poisoned").len()
    }

    fn opens(&self, request: &Request) -> bool {
        let (_, query) = request.target.split_once("secret=").unwrap_or_default();
        self.alive.lock().expect("not poisoned").contains(query)
    }
}

#[async_trait]
impl Secrets for Maker {
    async fn secret(&self, _: &Sha256) -> Result<Secret> {
        Ok(self.make())
    }
}

/// A host with one private image, and somebody it does not trust.
struct Scene {
    server: Server,
    asker: Asker,
    maker: Arc<Maker>,
    fingerprint: String,
    size: u64,
}

impl Scene {
    fn new<const N: usize>(files: [&[u8]; N]) -> Self {
        let shown = Shown::new("box", files).with("public", "false");
        let (fingerprint, size) = (shown.fingerprint(), shown.files.concat().len() as u64);
        let maker = Arc::new(Maker::default());
        let opener = Arc::clone(&maker);
        let images = vec![shown];
        let site = Site::answering(move |request| {
            if opener.opens(request) {
                ranged(request, answer(request, &images), &images[0])
            } else {
                error(404)
            }
        });
        Self {
            server: Server::https(site).expect("a server"),
            asker: Asker::new(),
            maker,
            fingerprint,
            size,
        }
    }

    fn host(&self) -> Lxd {
        self.asker.source(remote(&self.server))
    }

    fn with_one(&self) -> Lxd {
        self.host().with_secret(self.maker.make())
    }

    fn with_many(&self) -> Lxd {
        self.host().with_secrets(self.maker.clone())
    }

    /// The next export breaks off in the middle, and no secret made until then is alive after it.
    fn break_off(&self, framing: Framing) {
        let path = format!("/1.0/images/{}/export", self.fingerprint);
        // The first is that of the look-up, of which only the head is read.
        let after = self.size / 2;
        self.server
            .fail_times(&path, Fault::CutBody { after, framing }, 2);
        let maker = Arc::clone(&self.maker);
        self.asker.told.once(1, move || maker.kill_all());
    }

    /// What the requests for bytes looked like: their secrets, and from where they were.
    fn exports(&self) -> Vec<(String, Option<String>)> {
        let requests = self.server.requests().into_iter();
        let exports = requests.filter(|request| request.path.ends_with("/export"));
        exports
            .map(|request| {
                let (_, secret) = request.target.split_once("secret=").unwrap_or_default();
                (secret.to_owned(), request.field("range").map(str::to_owned))
            })
            .collect()
    }

    /// Nothing that was told or is kept holds a secret.
    fn leaks_nothing(&self, more: &[String]) {
        let told = self.asker.told.everything();
        assert!(!told.is_empty());
        for text in told.iter().chain(more) {
            assert!(!text.contains("5ec7e7"), "{text}");
        }
        let mut files = 0;
        search(self.asker.directory(), &mut files);
        assert!(files > 0, "nothing was looked at");
    }
}

/// The rest of a unified image, for who asks for it.
fn ranged(request: &Request, whole: Answer, image: &Shown) -> Answer {
    let range = request.field("range");
    let from = range.and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match (from, image.files.as_slice()) {
        (Some(from), [file]) => {
            let field = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
            Answer::new(206, file[from..].to_vec())
                .with_field("Content-Range", field)
                .with_field("Content-Type", "application/octet-stream")
        }
        _ => whole,
    }
}

fn search(directory: &Path, files: &mut usize) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert!(!path.to_string_lossy().contains("5ec7e7"), "{path:?}");
        if path.is_dir() {
            search(&path, files);
        } else {
            let bytes = fs::read(&path).expect("readable");
            assert!(!bytes.windows(6).any(|six| six == b"5ec7e7"), "{path:?}");
            *files += 1;
        }
    }
}

#[tokio::test]
async fn a_secret_opens_requests_and_is_in_nothing_that_is_kept_or_shown() {
    let noise = vec![b'x'; 100_000];
    let scene = Scene::new([&noise]);
    let host = scene.with_one();
    let image = lookup(&host, &scene.fingerprint).await.expect("an image");
    let download = &image.downloads[0];
    assert_eq!(
        download.locations[0].as_str(),
        format!(
            "{}/1.0/images/{}/export",
            scene.server.url(),
            scene.fingerprint
        )
    );
    // It breaks off too often, so that a part is kept with what is known of it.
    let path = format!("/1.0/images/{}/export", scene.fingerprint);
    let cut = Fault::CutBody {
        after: 10_000,
        framing: Framing::Length,
    };
    scene.server.fail(&path, cut);
    let store = &scene.asker.store;
    let remote = remote(&scene.server);
    let broken = store.fetch(&scene.asker.context, &remote, &image).await;
    let broken = broken.expect_err("breaks off");
    assert_eq!(broken.kind(), ErrorKind::Network);
    scene.leaks_nothing(&[format!("{host:?} {image:?} {broken:?}"), chain(&broken)]);

    // What arrived is gone on with, by another secret.
    scene.server.heal_all();
    scene.server.forget_requests();
    scene.maker.kill_all();
    let host = scene.with_one();
    let stored = scene.asker.fetch(&host, &scene.fingerprint).await;
    stored.expect("fetched");
    let exports = scene.exports();
    assert_eq!(exports.len(), 2, "{exports:?}");
    assert_eq!(exports[1].1.as_deref(), Some("bytes=40000-"));
    scene.leaks_nothing(&[]);
}

#[tokio::test]
async fn a_look_up_and_its_download_share_a_secret_and_the_next_has_its_own() {
    let scene = Scene::new([b"metadata", b"root"]);
    let host = scene.with_many();
    for made in [1, 2] {
        let stored = scene.asker.fetch(&host, &scene.fingerprint).await;
        stored.expect("fetched");
        assert_eq!(scene.maker.made(), made);
    }
    let word = |n: usize| format!("5ec7e7{n:058}");
    let secrets: Vec<_> = scene
        .exports()
        .into_iter()
        .map(|(secret, _)| secret)
        .collect();
    // The second time the files are here.
    assert_eq!(secrets, [word(0), word(0), word(1)]);
    scene.leaks_nothing(&[]);
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_with_a_new_secret() {
    let noise = vec![b'x'; 200_000];
    for files in [vec![noise.as_slice()], vec![b"metadata", &noise]] {
        let unified = files.len() == 1;
        let (scene, framing) = match files.as_slice() {
            [file] => (Scene::new([file]), Framing::Length),
            [one, two] => (Scene::new([one, two]), Framing::Chunked),
            _ => panic!("other files"),
        };
        let host = scene.with_many();
        scene.break_off(framing);
        let stored = scene.asker.fetch(&host, &scene.fingerprint).await;
        stored.unwrap_or_else(|error| panic!("{}", chain(&error)));
        let word = |n: usize| format!("5ec7e7{n:058}");
        let rest = unified.then(|| "bytes=100000-".to_owned());
        assert_eq!(
            scene.exports(),
            [
                (word(0), None),
                (word(0), None),
                // It was young, but had died: the host's word counts.
                (word(0), rest.clone()),
                (word(1), rest)
            ]
        );
        scene.leaks_nothing(&[]);
    }
}

#[tokio::test]
async fn with_one_secret_a_download_that_breaks_ends_in_a_clear_error() {
    let noise = vec![b'x'; 200_000];
    let scene = Scene::new([b"metadata", &noise]);
    let host = scene.with_one();
    scene.break_off(Framing::Chunked);
    let ended = scene.asker.fetch(&host, &scene.fingerprint).await;
    let ended = ended.expect_err("the secret has died");
    assert_eq!(ended.kind(), ErrorKind::NotFound);
    assert_eq!(
        ended.to_string(),
        format!(
            "no such image, or its secret is used up or older than five seconds: image {}",
            scene.fingerprint
        )
    );
    assert!(scene.asker.keeps_nothing());
    scene.leaks_nothing(&[chain(&ended), format!("{ended:?}")]);
}

#[tokio::test]
async fn a_source_of_secrets_is_asked_only_for_whole_fingerprints() {
    let scene = Scene::new([b"unified"]);
    for path in ["box", &scene.fingerprint[..12]] {
        let missing = lookup(&scene.with_many(), path).await.expect_err(path);
        assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    }
    assert_eq!(scene.maker.made(), 0);
    // One secret is for one image, whatever it is called.
    lookup(&scene.with_one(), &scene.fingerprint[..12])
        .await
        .expect("an image");
}

#[tokio::test]
async fn a_source_that_makes_no_secrets_or_wrong_ones_says_so() {
    #[derive(Debug)]
    struct Bad(Option<Secret>);

    #[async_trait]
    impl Secrets for Bad {
        async fn secret(&self, _: &Sha256) -> Result<Secret> {
            let gone = || Error::new(ErrorKind::Network, "the peer is gone");
            self.0.clone().ok_or_else(gone)
        }
    }
    let scene = Scene::new([b"unified"]);
    let host = scene.host().with_secrets(Arc::new(Bad(None)));
    let failed = lookup(&host, &scene.fingerprint).await.expect_err("gone");
    assert_eq!(
        (failed.kind(), failed.to_string().as_str()),
        (ErrorKind::Network, "the peer is gone")
    );
    let wrong = Secret::new(&"5ec7e7".repeat(10)).expect("a secret");
    let host = scene.host().with_secrets(Arc::new(Bad(Some(wrong))));
    let failed = lookup(&host, &scene.fingerprint).await.expect_err("wrong");
    assert_eq!(failed.kind(), ErrorKind::NotFound);
    assert_eq!(
        failed.to_string(),
        format!(
            "no such image, or a secret made for it does not open it: {}",
            scene.fingerprint
        )
    );
    assert_eq!(scene.server.requests().len(), 1, "a new one is not better");
    assert!(!chain(&failed).contains("5ec7e7"));
}
