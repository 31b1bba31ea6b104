use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use imagestore_core::{Body, Get, Progress, Transport, Trust};
use imagestore_testkit::{MemoryFault, MemoryTransport, keys};
use imagestore_verify::{Channel, Policy, Sha256};

use super::*;

/// Answers from memory, and writes down what was asked past all caches and what was warned of.
#[derive(Debug)]
struct Tree {
    files: MemoryTransport,
    bypassed: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    /// Where the index leads once a product file was asked for in vain.
    next: Option<&'static str>,
}

impl Tree {
    fn new(next: Option<&'static str>) -> Arc<Self> {
        let tree = Self {
            files: MemoryTransport::new().with_channel(Channel::new("a test")),
            bypassed: Mutex::default(),
            warnings: Mutex::default(),
            next,
        };
        tree.files.put(INDEX_URL, index("streams/v1/images.json"));
        tree.files.put(PRODUCTS_URL, products(1));
        Arc::new(tree)
    }

    fn source(self: &Arc<Self>, max_age: Option<Duration>) -> Simplestreams {
        let url = format!("https+simplestreams://{HOST}");
        let url = url.parse().expect("a URL");
        let remote = RemoteConfig::new("ss".parse().expect("a name"), url, Trust::Channel)
            .with_architecture(Some("amd64".to_owned()))
            .with_max_age(max_age);
        let context = Context::new(self.clone())
            .with_progress(self.clone())
            .with_policy(Policy::default().with_at(keys::at(keys::NOW)));
        Simplestreams::new(remote, context).expect("in order")
    }

    fn asked(&self) -> usize {
        self.files.count(INDEX_URL)
    }

    fn bypassed(&self) -> Vec<String> {
        let bypassed = self.bypassed.lock();
        bypassed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.lock();
        warnings.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Transport for Tree {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        if request.caches == Caches::Bypass {
            let path = request.url.path().to_owned();
            let bypassed = self.bypassed.lock();
            bypassed.unwrap_or_else(PoisonError::into_inner).push(path);
        }
        let is_index = request.url.as_str() == INDEX_URL;
        // As from a network: others get to do something before there is an answer.
        tokio::task::yield_now().await;
        let answer = self.files.get(request).await;
        if let (Some(next), Err(_), false) = (self.next, &answer, is_index) {
            self.files.put(INDEX_URL, index(next));
        }
        answer
    }
}

impl Progress for Tree {
    fn on(&self, event: Event<'_>) {
        if let Event::Warning { text } = event {
            let warnings = self.warnings.lock();
            let mut warnings = warnings.unwrap_or_else(PoisonError::into_inner);
            warnings.push(text.to_owned());
        }
    }
}

fn index(path: &str) -> String {
    format!(
        r#"{{"format":"index:1.0","index":{{"images":{{"datatype":"image-downloads",
 "format":"products:1.0","path":"{path}","products":["p"]}}}}}}"#
    )
}

fn products(minute: u8) -> String {
    let sha256 = Sha256::of(&[minute]);
    format!(
        r#"{{"content_id":"images","datatype":"image-downloads","format":"products:1.0",
 "products":{{"p":{{"aliases":"x","arch":"amd64","os":"o","release":"r",
 "versions":{{"20240530_12:0{minute}":{{"items":{{"lxd_combined.tar.gz":{{
 "ftype":"lxd_combined.tar.gz","path":"images/{minute}","sha256":"{sha256}","size":1}}}}}}}}}}}}}}"#
    )
}

async fn find(source: &Simplestreams, after: u64) -> Result<(String, Option<Duration>)> {
    let mut now = source.now();
    now.timer += Duration::from_secs(after);
    let image = source.find(&"x".parse().expect("a path"), now).await?;
    Ok((image.id.build().to_owned(), image.stale))
}

#[tokio::test]
async fn an_index_is_good_for_a_minute_by_any_clock() {
    let tree = Tree::new(None);
    let source = tree.source(None);
    // The clock by which signatures are judged stands still here, as a program may let it.
    for (after, asked) in [(0, 1), (50, 1), (65, 2)] {
        find(&source, after).await.expect("there");
        assert_eq!(tree.asked(), asked, "after {after} seconds");
    }
    tree.files.put(PRODUCTS_URL, products(2));
    let (build, stale) = find(&source, 130).await.expect("there");
    assert_eq!((build.as_str(), stale), ("20240530_12:02+combined", None));
}

#[tokio::test]
async fn look_ups_at_the_same_moment_ask_once_and_fail_each_for_itself() {
    let all = |source: &Simplestreams| {
        let sources = vec![source.clone(); 8];
        join_all(
            sources
                .into_iter()
                .map(async |source| find(&source, 0).await),
        )
    };
    let tree = Tree::new(None);
    let source = tree.source(None);
    for found in all(&source).await {
        found.expect("there");
    }
    assert_eq!(tree.asked(), 1);

    source.forget();
    tree.files.fail(INDEX_URL, MemoryFault::Unreachable);
    for found in all(&source).await {
        assert_eq!(found.expect_err("no tree").kind(), ErrorKind::Network);
    }
    assert_eq!(tree.asked(), 9);

    // Whoever gives up while it asks leaves its turn to another.
    tree.files.heal(INDEX_URL);
    let mut given_up = Box::pin(find(&source, 0));
    assert!((&mut given_up).now_or_never().is_none());
    let mut other = Box::pin(find(&source, 0));
    assert!((&mut other).now_or_never().is_none());
    drop(given_up);
    other.await.expect("there");
}

#[tokio::test]
async fn an_unreachable_tree_is_what_it_was_a_while_ago_and_says_so() {
    let tree = Tree::new(None);
    let source = tree.source(None);
    find(&source, 0).await.expect("there");
    tree.files.fail(INDEX_URL, MemoryFault::Unreachable);
    let (build, stale) = find(&source, 720).await.expect("kept");
    assert_eq!(build, "20240530_12:01+combined");
    assert_eq!(stale.expect("stale").as_secs(), 720);
    assert_eq!(
        tree.warnings(),
        [format!(
            "the connection broke: {INDEX_URL}; \
             going by what https+simplestreams://{HOST} said 12 minutes ago"
        )]
    );
    // It was asked first, and is asked again the next time.
    assert_eq!(tree.asked(), 2);
    let everything = ImagePath::default();
    let mut now = source.now();
    now.timer += Duration::from_secs(720);
    let listed = source.entries(&everything, now).await;
    let Listing::Entries { entries, stale } = listed.expect("kept").into_inner() else {
        panic!("a referral");
    };
    assert!(!entries.is_empty());
    assert_eq!(stale.expect("stale").as_secs(), 720);
    tree.files.heal(INDEX_URL);
    assert_eq!(find(&source, 730).await.expect("there").1, None);

    tree.files.fail(INDEX_URL, MemoryFault::Unreachable);
    let error = find(&source, 730 + 86_410).await.expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn nothing_stale_is_used_beyond_the_highest_age_after_a_refusal_or_when_forgotten() {
    let tree = Tree::new(None);
    let source = tree.source(Some(Duration::from_secs(600)));
    find(&source, 0).await.expect("there");
    tree.files.fail(INDEX_URL, MemoryFault::Unreachable);
    assert!(find(&source, 590).await.expect("kept").1.is_some());
    let error = find(&source, 610).await.expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Network);

    tree.files.heal(INDEX_URL);
    tree.files.put(PRODUCTS_URL, "{}");
    let error = find(&source, 100).await.expect_err("not to be believed");
    assert_eq!(error.kind(), ErrorKind::Malformed);

    tree.files.fail(INDEX_URL, MemoryFault::Unreachable);
    source.forget();
    let error = find(&source, 1).await.expect_err("forgotten");
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn what_nobody_signed_is_as_old_as_it_says() {
    const DAY: u64 = 86_400;
    let year = "Thu, 01 Jun 2023 00:00:00 +0000";
    for (days, max_age, wanted) in [
        (2, Some(14), Ok(0)),
        (367, Some(14), Err(ErrorKind::Expired)),
        (367, Some(400), Ok(1)),
        (367, None, Ok(1)),
    ] {
        let updated = match days {
            2 => "Fri, 31 May 2024 00:00:00 +0000",
            _ => year,
        };
        for (url, text) in [
            (INDEX_URL, index("streams/v1/images.json")),
            (PRODUCTS_URL, products(1)),
        ] {
            let tree = Tree::new(None);
            let dated = format!(r#"{{"updated":"{updated}","#);
            tree.files.put(url, text.replacen('{', &dated, 1));
            let source = tree.source(max_age.map(|days| Duration::from_secs(days * DAY)));
            let found = find(&source, 0).await;
            let place = url.strip_suffix(".json").expect("a document");
            let place = format!("https+simplestreams://{}", &place["https://".len()..]);
            if let Err(error) = &found {
                assert_eq!(
                    error.to_string(),
                    format!("was written 367 days ago, at most 14 are allowed: {place}")
                );
            }
            let told = tree.warnings();
            assert_eq!(found.map(|_| told.len()).map_err(|e| e.kind()), wanted);
            if !told.is_empty() {
                assert_eq!(told, [format!("{place} was written 367 days ago")]);
            }
        }
    }
}

#[tokio::test]
async fn what_was_forgotten_is_asked_for_past_all_caches() {
    let tree = Tree::new(None);
    let source = tree.source(None);
    find(&source, 0).await.expect("there");
    assert!(tree.bypassed().is_empty());
    ImageSource::forget(&source);
    find(&source, 0).await.expect("there");
    let both = ["/streams/v1/index.json", "/streams/v1/images.json"];
    assert_eq!(tree.bypassed(), both);
    find(&source, 65).await.expect("there");
    assert_eq!(tree.bypassed(), both);
}

#[tokio::test]
async fn a_product_file_that_was_replaced_is_looked_for_in_the_index_again() {
    let tree = Tree::new(Some("streams/v1/next.json"));
    let source = tree.source(None);
    tree.files.remove(PRODUCTS_URL);
    let next = format!("https://{HOST}/streams/v1/next.json");
    tree.files.put(&next, products(3));
    let (build, _) = find(&source, 0).await.expect("under its new name");
    assert_eq!(build, "20240530_12:03+combined");
    assert_eq!(
        tree.bypassed(),
        ["/streams/v1/index.json", "/streams/v1/next.json"]
    );

    let tree = Tree::new(None);
    tree.files.remove(PRODUCTS_URL);
    let error = find(&tree.source(None), 0).await.expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(tree.asked(), 2);
}

const HOST: &str = "images.example";
const INDEX_URL: &str = "https://images.example/streams/v1/index.json";
const PRODUCTS_URL: &str = "https://images.example/streams/v1/images.json";
