//! A tree in memory, and who asks it.

use std::error::Error as _;
use std::sync::Arc;

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Context, Error, Image, ImageSource, Listing, Lookup, Protocol, RemoteConfig, Trust,
};
use imagestore_simplestreams::SimplestreamsProtocol;
use imagestore_testkit::{MemoryTransport, keys};
use imagestore_verify::{Channel, Policy, Sha256, Verified};

/// Where the tree is.
pub(crate) const BASE: &str = "https://images.example";

pub(crate) const OLD: &str = "20240530_12:00";
pub(crate) const NEW: &str = "20240531_12:00";

pub(crate) const INDEX: &str = r#"{"format":"index:1.0","updated":"Fri, 31 May 2024 13:00:00 +0000",
 "index":{"images":{"datatype":"image-downloads","format":"products:1.0",
 "path":"streams/v1/images.json","products":["ubuntu:trusty:amd64:default"]}}}"#;

/// Two versions of `ubuntu/trusty/amd64/default` and one of `ubuntu/trusty/arm64/cloud`.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) transport: Arc<MemoryTransport>,
    pub(crate) memory: Arc<InMemory>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self::empty();
        tree.put("streams/v1/index.json", INDEX);
        tree.put("streams/v1/images.json", &products());
        tree
    }

    pub(crate) fn empty() -> Self {
        let channel = Channel::new("tls certificate of a test");
        Self {
            transport: Arc::new(MemoryTransport::new().with_channel(channel)),
            memory: Arc::default(),
        }
    }

    /// A tree with one product file that reads like this.
    pub(crate) fn of(products: &str) -> Self {
        let tree = Self::new();
        tree.put("streams/v1/images.json", products);
        tree
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        self.transport.put(&url(path), text.to_owned());
    }

    pub(crate) fn remote() -> RemoteConfig {
        let url = "https+simplestreams://images.example"
            .parse()
            .expect("a url");
        RemoteConfig::new("ss".parse().expect("a name"), url, Trust::Channel)
            .with_architecture(Some("amd64".into()))
    }

    pub(crate) fn with_arguments(arguments: &[(&str, &str)]) -> RemoteConfig {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self::remote().with_arguments(arguments.iter().map(own).collect())
    }

    pub(crate) fn signed_remote() -> RemoteConfig {
        let trust = Trust::Signatures(keys::keyring(keys::images()));
        let url = "https+simplestreams://images.example"
            .parse()
            .expect("a url");
        RemoteConfig::new("ss".parse().expect("a name"), url, trust)
            .with_architecture(Some("amd64".into()))
    }

    pub(crate) fn context(&self) -> Context {
        let mut policy = Policy::default();
        policy.at = Some(keys::at(keys::NOW));
        Context::new(self.transport.clone())
            .with_memory(self.memory.clone())
            .with_policy(policy)
    }

    pub(crate) fn source(&self, remote: RemoteConfig) -> Arc<dyn ImageSource> {
        SimplestreamsProtocol::new()
            .source(remote, &self.context())
            .expect("a remote that is in order")
    }

    pub(crate) async fn lookup(&self, path: &str) -> Result<Verified<Image>, Error> {
        lookup(&*self.source(Self::remote()), path).await
    }

    pub(crate) async fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let source = self.source(Self::remote());
        let listing = source.list(&prefix.parse().expect(prefix)).await?;
        let Listing::Entries { entries, .. } = listing.into_inner() else {
            panic!("a listing of {prefix} that leads elsewhere");
        };
        let shown = |entry: imagestore_core::Entry| format!("{} {}", entry.kind.name(), entry.name);
        Ok(entries.into_iter().map(shown).collect())
    }
}

pub(crate) async fn lookup(source: &dyn ImageSource, path: &str) -> Result<Verified<Image>, Error> {
    let answer = source.lookup(&path.parse().expect(path)).await?;
    Ok(answer.map(|answer| match answer {
        Lookup::Image(image) => *image,
        Lookup::Referral(referral) => panic!("{path} leads elsewhere: {referral:?}"),
    }))
}

/// The product file of the tree.
pub(crate) fn products() -> String {
    let default = product(
        "ubuntu/trusty,ubuntu/14.04",
        "amd64",
        "default",
        &[OLD, NEW],
    );
    let cloud = product("ubuntu/trusty/cloud", "arm64", "cloud", &[NEW]);
    file(&format!(
        r#""ubuntu:trusty:amd64:default":{default},"ubuntu:trusty:arm64:cloud":{cloud}"#
    ))
}

pub(crate) fn file(products: &str) -> String {
    format!(
        r#"{{"content_id":"images","datatype":"image-downloads","format":"products:1.0",
 "updated":"Fri, 31 May 2024 13:00:00 +0000","products":{{{products}}}}}"#
    )
}

pub(crate) fn product(aliases: &str, arch: &str, variant: &str, serials: &[&str]) -> String {
    let versions: Vec<_> = serials
        .iter()
        .map(|serial| format!(r#""{serial}":{{"items":{{{}}}}}"#, items(variant, serial)))
        .collect();
    format!(
        r#"{{"aliases":"{aliases}","arch":"{arch}","os":"Ubuntu","release":"trusty",
 "release_title":"14.04","variant":"{variant}","requirements":{{"cgroup":"v1"}},
 "versions":{{{}}}}}"#,
        versions.join(",")
    )
}

/// Metadata for both programs, a tarball, a squashfs, a disk and one file of both.
pub(crate) fn items(variant: &str, serial: &str) -> String {
    let content = |name: &str| format!("{name} of {variant} {serial}");
    let place = format!("images/ubuntu/trusty/{variant}/{serial}");
    let combined = |name: &str| sha(&[content("meta"), content(name)].concat());
    let item = |ftype: &str, name: &str, more: &str| {
        let (sha256, size) = (sha(&content(name)), content(name).len());
        format!(
            r#""{name}-{ftype}":{{"ftype":"{ftype}","path":"{place}/{name}","sha256":"{sha256}","size":{size}{more}}}"#
        )
    };
    let fields = format!(
        r#","combined_sha256":"{0}","combined_rootxz_sha256":"{0}","combined_squashfs_sha256":"{1}","combined_disk-kvm-img_sha256":"{2}""#,
        combined("tar"),
        combined("squashfs"),
        combined("disk")
    );
    [
        item("lxd.tar.xz", "meta", &fields),
        item("incus.tar.xz", "meta", &fields),
        item("root.tar.xz", "tar", ""),
        item("squashfs", "squashfs", ""),
        item("disk-kvm.img", "disk", ""),
        item("lxd_combined.tar.gz", "both", ""),
        item(
            "squashfs.vcdiff",
            "delta",
            &format!(r#","delta_base":"{OLD}""#),
        ),
    ]
    .join(",")
}

pub(crate) fn sha(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()
}

pub(crate) fn url(path: &str) -> String {
    format!("{BASE}/{path}")
}

/// The error and all its causes, one a line.
pub(crate) fn chain(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines.join("\n")
}
