//! A protocol of one's own: `cargo run --example custom_protocol`.
//!
//! Many places publish a directory of tarballs with a signed `SHA256SUMS`. That is a protocol; here
//! it is called `sums`: `https+sums://host/directory`, and `remote:NAME` is the file `NAME.tar`.
//! The example publishes such a directory on loopback and fetches from it through the same store
//! and the same checks as every other protocol.

use std::sync::Arc;

use imagestore::core::{
    Check, Context, Document, Download, Entry, EntryKind, Error, ErrorKind, FileRole, Image,
    ImageFile, ImageId, ImagePath, ImageSource, Listing, Lookup, Parsed, Protocol, RemoteConfig,
    Result, async_trait,
};
use imagestore::verify::{Sha256, Verified};
use imagestore::{Config, ImageStore, UnpackOptions};
use imagestore_testkit::{Server, Site, keys};

/// Makes sources for `…+sums://…`.
#[derive(Debug)]
struct SumsProtocol;

impl Protocol for SumsProtocol {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn source(&self, remote: RemoteConfig, context: &Context) -> Result<Arc<dyn ImageSource>> {
        Ok(Arc::new(Sums {
            remote,
            context: context.clone(),
        }))
    }
}

#[derive(Debug)]
struct Sums {
    remote: RemoteConfig,
    context: Context,
}

impl Sums {
    /// The index: fetched with its `.asc`, checked with the keys of the remote, and only then
    /// parsed.
    async fn index(&self) -> Result<Verified<Vec<(String, Sha256)>>> {
        Document::new(&self.context, &self.remote, "SHA256SUMS")?
            .fetch(|bytes| parse(bytes).map(Parsed::new))
            .await
    }
}

#[async_trait]
impl ImageSource for Sums {
    fn remote(&self) -> &RemoteConfig {
        &self.remote
    }

    async fn lookup(&self, path: &ImagePath) -> Result<Verified<Lookup>> {
        let name = path.to_string();
        self.index().await?.try_map(|lines| {
            let Some((_, digest)) = lines.iter().find(|(line, _)| *line == name) else {
                return Err(Error::new(ErrorKind::NotFound, "no such image").with_subject(&name));
            };
            let file = ImageFile::new("rootfs.tar", FileRole::Rootfs);
            let locations = self.remote.locations(&format!("{name}.tar"))?;
            let download = Download::new(locations, file, vec![Check::Digest(*digest)]);
            let id = ImageId::new(self.remote.id(), &name, digest.to_string());
            Ok(Lookup::Image(Box::new(Image::new(id, vec![download]))))
        })
    }

    async fn list(&self, prefix: &ImagePath) -> Result<Verified<Listing>> {
        let is_root = prefix.is_empty();
        Ok(self.index().await?.map(|lines| {
            let images = lines.into_iter().filter(|_| is_root);
            Listing::of(
                images
                    .map(|(name, _)| Entry::new(name, EntryKind::Image))
                    .collect(),
            )
        }))
    }
}

/// Bytes in, values out: this part is tested without a server.
fn parse(bytes: &[u8]) -> Result<Vec<(String, Sha256)>> {
    let malformed = |line: usize| {
        Error::new(
            ErrorKind::Malformed,
            format!("line {line} of SHA256SUMS is not a digest and a name"),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(1).with_source(error))?;
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let (digest, name) = line.split_once("  ").ok_or_else(|| malformed(n + 1))?;
        let digest = digest
            .parse()
            .map_err(|error| malformed(n + 1).with_source(error))?;
        if let Some(name) = name.strip_suffix(".tar") {
            found.push((name.to_owned(), digest));
        }
    }
    found.sort();
    Ok(found)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let server = publish()?;
    std::fs::write(
        directory.path().join("key.asc"),
        keys::images().certificate(),
    )?;
    std::fs::write(
        directory.path().join("cert.pem"),
        server.certificate().ok_or("no TLS")?.pem(),
    )?;
    let config = format!(
        "[remotes.mine]\nurl = \"{}\"\ntrusted_keys = [\"key.asc\"]\ntrusted_certs = [\"cert.pem\"]\n",
        server.remote_url("sums")
    );
    let images = ImageStore::builder()
        .with_config(Config::parse(&config, directory.path())?)
        .with_store_dir(directory.path().join("store"))
        .with_protocol(Arc::new(SumsProtocol))
        .build()?;

    for entry in images.list(&"mine:".parse()?).await?.entries.iter() {
        println!("{} {}", entry.kind.name(), entry.name);
    }
    let fetched = images.fetch(&"mine:tiny".parse()?).await?;
    let target = directory.path().join("tiny");
    let unpacked = images
        .unpack(&fetched.image, &target, &UnpackOptions::default())
        .await?;
    println!("{unpacked}");
    Ok(())
}

fn publish() -> std::io::Result<Server> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(5);
    archive.append_data(&mut header, "./hostname", &b"tiny\n"[..])?;
    let archive = archive.into_inner()?;
    let sums = format!("{}  tiny.tar\n", Sha256::of(&archive)).into_bytes();
    let signature = keys::sign(keys::images(), &sums, keys::at(keys::SIGNED));
    Server::https(Site::files([
        ("/tiny.tar", archive),
        ("/SHA256SUMS", sums),
        ("/SHA256SUMS.asc", signature.into_bytes()),
    ]))
}
