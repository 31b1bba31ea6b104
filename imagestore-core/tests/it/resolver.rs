use std::sync::Arc;
use std::time::Duration;

use imagestore_core::{
    BaseUrl, Change, Cleartext, Context, Entry, EntryKind, Error, ErrorKind, Image, ImageId,
    ImagePath, ImageRef, ImageSource, Listing, Lookup, Protocol, Referral, RemoteConfig, RemoteUrl,
    Resolver, Result, Transport, Trust, async_trait,
};
use imagestore_verify::{Channel, Unverified, Verified, trust_channel};

use crate::memory::Table;

/// A protocol whose remotes refer wherever the first segment of a path says: a URL with its slashes
/// as `!`.
#[derive(Debug)]
struct Chain;

impl Protocol for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }

    fn source(&self, remote: RemoteConfig, _: &Context) -> Result<Arc<dyn ImageSource>> {
        Ok(Arc::new(Link(remote)))
    }
}

#[derive(Debug)]
struct Link(RemoteConfig);

impl Link {
    fn next(&self, path: &ImagePath) -> Result<Option<Referral>> {
        let Some((first, rest)) = path.split_first().filter(|(first, _)| first.contains('+'))
        else {
            return Ok(None);
        };
        let url: RemoteUrl = first.replace('!', "/").parse()?;
        let remote = RemoteConfig::new("next".parse()?, url, Trust::Channel);
        Ok(Some(Referral { remote, rest }))
    }
}

#[async_trait]
impl ImageSource for Link {
    fn remote(&self) -> &RemoteConfig {
        &self.0
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        Ok(verified(match self.next(path)? {
            Some(referral) => Lookup::Referral(Box::new(referral)),
            None if path.is_empty() => {
                return Err(Error::new(ErrorKind::NotFound, "no such image"));
            }
            None => Lookup::Image(Box::new(Image::new(
                ImageId::new(self.0.id(), path.to_string(), "1"),
                Vec::new(),
            ))),
        }))
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        Ok(verified(match self.next(prefix)? {
            Some(referral) => Listing::Referral(Box::new(referral)),
            None => Listing::of(vec![Entry::new("x", EntryKind::Image)])
                .with_stale(Some(Duration::from_secs(9))),
        }))
    }
}

fn verified<T>(value: T) -> Verified<T> {
    trust_channel(Unverified::new(bytes::Bytes::new()), &Channel::new("test")).map(|_| value)
}

fn resolver(url: &str) -> Resolver {
    let remote = RemoteConfig::new(
        "start".parse().expect("a name"),
        url.parse().expect("a URL"),
        Trust::Channel,
    );
    Resolver::new(Context::new(Arc::new(Table::default())))
        .with_protocol(Arc::new(Chain))
        .with_remote(remote)
        .with_default(Some("start".parse().expect("a name")))
}

async fn refusal(start: &str, reference: &str) -> Error {
    let reference: ImageRef = reference.parse().expect(reference);
    resolver(start)
        .resolve(&reference)
        .await
        .expect_err("refused")
}

#[tokio::test(flavor = "current_thread")]
async fn follows_four_referrals_and_shows_the_way() {
    let path = "start:https+chain:!!a.example/https+chain:!!b.example/https+chain:!!c.example/https+chain:!!d.example/x/y";
    let reference: ImageRef = path.parse().expect("a reference");
    let found = resolver("https+chain://start.example")
        .resolve(&reference)
        .await
        .expect("four are allowed");
    assert_eq!(found.image.id.remote(), "https+chain://d.example");
    assert_eq!(found.image.id.path(), "x/y");
    assert_eq!(found.hops.len(), 5);
    let list = resolver("https+chain://start.example")
        .list(&reference)
        .await
        .expect("listed");
    assert_eq!(list.entries[0].name, "x");
    assert_eq!(list.stale, Some(Duration::from_secs(9)));
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_a_fifth_referral() {
    let chain: Vec<_> = (0..5)
        .map(|n| format!("https+chain:!!{n}.example"))
        .collect();
    let error = refusal(
        "https+chain://start.example",
        &format!("start:{}/x", chain.join("/")),
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::Loop);
    assert_eq!(
        error.to_string(),
        "more than 4 referrals: https+chain://4.example"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_a_registry_that_refers_to_itself() {
    let error = refusal(
        "https+chain://start.example",
        "start:https+chain:!!start.example/x",
    )
    .await;
    assert_eq!(error.kind(), ErrorKind::Loop);
    assert_eq!(
        error.to_string(),
        "https+chain://start.example refers back to a remote asked before: https+chain://start.example"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_referrals_to_less_than_it_is_itself() {
    let cases = [
        (
            "https+chain://start.example",
            "http+chain:!!127.0.0.1",
            "https+chain://start.example refers from https to http: http+chain://127.0.0.1",
        ),
        (
            "https+chain://start.example",
            "unix+chain:!!!run!lxd.sock",
            "https+chain://start.example refers to a socket of this machine: unix+chain:///run/lxd.sock",
        ),
    ];
    for (start, target, message) in cases {
        let error = refusal(start, &format!("start:{target}/x")).await;
        assert_eq!(error.kind(), ErrorKind::Unsafe);
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn names_the_remotes_and_protocols_there_are() {
    let error = refusal("https+chain://start.example", "other:x").await;
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "no such remote: `other`; remotes here are start"
    );
    let error = refusal("https+mystery://start.example", "x").await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "no support for the protocol `mystery`: https+mystery://start.example; protocols here are chain"
    );
}

#[test]
fn lets_cleartext_leave_this_machine_only_when_told() {
    let open = |cleartext| {
        let keys = imagestore_verify::Keyring::from_bytes(
            imagestore_verify::signing::SigningKey::generate_ed25519(
                "test",
                std::time::SystemTime::now(),
            )
            .certificate()
            .as_bytes(),
        )
        .expect("a certificate");
        RemoteConfig::new(
            "x".parse().expect("a name"),
            "http+chain://lan.example".parse().expect("a URL"),
            Trust::Signatures(keys),
        )
        .with_cleartext(cleartext)
    };
    assert_eq!(
        open(Cleartext::Refuse)
            .check_reachable()
            .expect_err("cleartext")
            .to_string(),
        "remote `x` would be asked over http without TLS: http://lan.example; \
         use https, or set allow_http = true for this remote"
    );
    assert!(open(Cleartext::Allow).check_reachable().is_ok());
    let mirror: BaseUrl = "http://mirror.example".parse().expect("a URL");
    let mirrored = RemoteConfig::new(
        "x".parse().expect("a name"),
        "https+chain://images.example".parse().expect("a URL"),
        Trust::Channel,
    )
    .with_mirrors(vec![mirror]);
    assert!(mirrored.check_reachable().is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn begins_at_a_source_that_is_no_remote_and_goes_on_at_those_it_knows() {
    let remote = |url: &str| {
        let name = "peer".parse().expect("a name");
        RemoteConfig::new(name, url.parse().expect("a URL"), Trust::Channel)
    };
    let resolver = resolver("https+chain://start.example");
    let peer = Link(remote("https+other://peer.example"));
    let path: ImagePath = "https+chain:!!a.example/x".parse().expect("a path");
    let found = resolver.resolve_from(&peer, &path).await.expect("found");
    let asked: Vec<_> = found.hops.iter().map(|hop| hop.remote.id()).collect();
    assert_eq!(
        asked,
        ["https+other://peer.example", "https+chain://a.example"]
    );
    assert_eq!(found.image.id.path(), "x");

    let back: ImagePath = "https+other:!!peer.example/x".parse().expect("a path");
    let error = resolver.resolve_from(&peer, &back).await;
    assert_eq!(error.expect_err("a circle").kind(), ErrorKind::Loop);
    let open = Link(remote("http+other://peer.example"));
    let error = resolver.resolve_from(&open, &path).await;
    assert_eq!(error.expect_err("no TLS").kind(), ErrorKind::InvalidConfig);
}

#[tokio::test(flavor = "current_thread")]
async fn a_transport_that_only_reads_says_so() {
    let remote = RemoteConfig::new(
        "x".parse().expect("a name"),
        "unix+chain:///run/x".parse().expect("a URL"),
        Trust::Channel,
    );
    let url = "http://localhost/x?secret=y".parse().expect("a URL");
    let error = Table::default()
        .send(Change::delete(&remote, &url))
        .await
        .expect_err("it only reads");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "the transport only reads, and this changes something: remote `x`"
    );
}
