//! Publishes images and registries as static trees: `cargo run --release --example publish -- COMMAND [OPTIONS]`.
//!
//! Any web server serves them. Three commands from nothing to a registry:
//!
//! ```text
//! publish key --user-id 'Images <images@example.org>' --out images.key
//! publish lxc-images --root /srv/images --key images.key --name ubuntu/trusty/amd64/default \
//!     --rootfs rootfs.tar.xz --meta meta.tar.xz
//! publish registry --root /srv/registry --key registry.key \
//!     --server lxc-images=https+lxc-images://images.example.org --server-key images.key.pub
//! ```

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use imagestore_publish::{
    BuildId, Contents, Fields, ImageName, ListedAlias, ListedRemote, LxcImagesPublisher,
    MetaSource, PackOptions, PublishError, Registry, RegistryPublisher, RootfsSource,
};
use imagestore_verify::signing::SigningKey;
use lexopt::{Arg, Parser, ValueExt};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

fn main() -> ExitCode {
    match run(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.message);
            let mut next = failure.cause.as_deref();
            while let Some(cause) = next {
                eprintln!("  caused by: {cause}");
                next = cause.source();
            }
            ExitCode::from(failure.status)
        }
    }
}

fn run(mut parser: Parser) -> Result<(), Failure> {
    match parser.next()? {
        Some(Arg::Value(command)) => match command.to_str() {
            Some("key") => key(parser),
            Some("lxc-images") => lxc_images(parser),
            Some("registry") => registry(parser),
            _ => Err(Failure::usage(format!(
                "no such command: `{}`; see --help",
                command.display()
            ))),
        },
        Some(Arg::Long("help") | Arg::Short('h')) => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(other.unexpected().into()),
        None => Err(Failure::usage("no command; see --help")),
    }
}

/// Makes a key: the secret half in a file of its owner, the public half beside it.
fn key(mut parser: Parser) -> Result<(), Failure> {
    let (mut user_id, mut out, mut phrase) = (None, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("user-id") => user_id = Some(parser.value()?.string()?),
            Arg::Long("out") => out = Some(PathBuf::from(parser.value()?)),
            Arg::Long("passphrase-file") => phrase = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let (user_id, out) = (needed(user_id, "--user-id")?, needed(out, "--out")?);
    let key = SigningKey::generate_ed25519(&user_id, SystemTime::now());
    let (secret, protected) = match phrase {
        Some(file) => {
            let secret = key.secret_protected_by(&passphrase(&file)?);
            let secret = secret.map_err(|error| Failure::usage(error.to_string()))?;
            (secret, "protected")
        }
        None => (key.secret(), "not protected"),
    };
    let public = with_suffix(&out, ".pub");
    for (path, mode, text) in [(&out, 0o600, secret), (&public, 0o644, key.certificate())] {
        // A key that is there is never replaced.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path);
        let written = file.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| Failure::disk("cannot write", path, error))?;
    }
    println!("secret key {}, {protected} by a passphrase", out.display());
    println!("public key {}", public.display());
    println!("fingerprint {}", key.fingerprint());
    Ok(())
}

/// Adds a build to an lxc-images tree, or signs its indexes anew.
fn lxc_images(mut parser: Parser) -> Result<(), Failure> {
    let mut common = Common::default();
    let (mut name, mut build, mut rootfs, mut meta) = (None, None, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("name") => name = Some(parser.value()?.string()?.parse::<ImageName>()?),
            Arg::Long("build") => build = Some(parser.value()?.string()?.parse::<BuildId>()?),
            Arg::Long("meta") => meta = Some(MetaSource::Archive(parser.value()?.into())),
            Arg::Long("meta-dir") => meta = Some(MetaSource::Directory(parser.value()?.into())),
            Arg::Long("rootfs") => rootfs = Some(RootfsSource::Archive(parser.value()?.into())),
            Arg::Long("rootfs-dir") => {
                let folder = parser.value()?.into();
                rootfs = Some(RootfsSource::Directory(folder, PackOptions::default()));
            }
            other => {
                let place = common.place(other)?;
                *place = Some(parser.value()?.into());
            }
        }
    }
    let (root, key) = common.open()?;
    let publisher = LxcImagesPublisher::new(root, &key);
    let published = match (name, rootfs, meta) {
        (None, None, None) => publisher.refresh()?,
        (name, rootfs, meta) => {
            let name = needed(name, "--name")?;
            let rootfs = needed(rootfs, "--rootfs or --rootfs-dir")?;
            let meta = needed(meta, "--meta or --meta-dir")?;
            let build = build.unwrap_or_else(|| BuildId::at(SystemTime::now()));
            publisher.publish(&name, build, &Contents::new(rootfs, meta))?
        }
    };
    println!("published {}", published.folder.display());
    for name in published.packed.iter().flat_map(|packed| &packed.skipped) {
        println!("not packed {name}");
    }
    for skipped in &published.skipped {
        println!(
            "not listed {}: {}",
            skipped.folder.display(),
            skipped.problem
        );
    }
    for removed in &published.removed {
        println!("removed {}", removed.display());
    }
    println!("trust {}", key.fingerprint());
    Ok(())
}

/// Publishes a registry in place of the one before.
fn registry(mut parser: Parser) -> Result<(), Failure> {
    let mut common = Common::default();
    let mut fields = Fields::Original;
    let mut registry = Registry::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("server") => {
                let value = parser.value()?.string()?;
                let (name, url) = halves(&value, '=', "--server NAME=URL")?;
                registry.remotes.push(ListedRemote::new(name, url));
            }
            Arg::Long("server-key") => {
                let key = read(&PathBuf::from(parser.value()?))?;
                last(&mut registry, "--server-key")?.keys.push(key);
            }
            Arg::Long("cert") => {
                let der = certificate(&PathBuf::from(parser.value()?))?;
                last(&mut registry, "--cert")?.certificates.push(der);
            }
            Arg::Long("description") => {
                let text = parser.value()?.string()?;
                last(&mut registry, "--description")?
                    .descriptions
                    .insert(String::new(), text);
            }
            Arg::Long("argument") => {
                let value = parser.value()?.string()?;
                let (name, value) = halves(&value, '=', "--argument NAME=VALUE")?;
                let arguments = &mut last(&mut registry, "--argument")?.arguments;
                arguments.insert(name.to_owned(), value.to_owned());
            }
            Arg::Long("mirror") => {
                let url = parser.value()?.string()?;
                last(&mut registry, "--mirror")?.mirrors.push(url);
            }
            Arg::Long("alias") => {
                let value = parser.value()?.string()?;
                let (name, target) = halves(&value, '=', ALIAS)?;
                let (remote, path) = halves(target, ':', ALIAS)?;
                let [distribution, release, variant] = path.split('/').collect::<Vec<_>>()[..]
                else {
                    return Err(Failure::usage(format!(
                        "`{value}` is not of the form {ALIAS}"
                    )));
                };
                let alias = ListedAlias::new(remote, distribution, release).with_variant(variant);
                registry.aliases.insert(name.to_owned(), alias);
            }
            Arg::Long("proposed") => fields = Fields::Proposed,
            other => {
                let place = common.place(other)?;
                *place = Some(parser.value()?.into());
            }
        }
    }
    let (root, key) = common.open()?;
    let publisher = RegistryPublisher::new(root, &key).with_fields(fields);
    let published = publisher.publish(&registry)?;
    println!("published 1.0/index.json, publication {}", published.serial);
    for file in &published.files {
        println!("published {file}");
    }
    println!("trust {}", key.fingerprint());
    Ok(())
}

/// The options that both trees have.
#[derive(Default)]
struct Common {
    root: Option<PathBuf>,
    key: Option<PathBuf>,
    passphrase: Option<PathBuf>,
}

impl Common {
    /// Where the value of this option goes.
    fn place(&mut self, argument: Arg<'_>) -> Result<&mut Option<PathBuf>, Failure> {
        match argument {
            Arg::Long("root") => Ok(&mut self.root),
            Arg::Long("key") => Ok(&mut self.key),
            Arg::Long("passphrase-file") => Ok(&mut self.passphrase),
            other => Err(other.unexpected().into()),
        }
    }

    /// The root, and the key, which is opened before anything is written.
    fn open(self) -> Result<(PathBuf, SigningKey), Failure> {
        let (root, path) = (needed(self.root, "--root")?, needed(self.key, "--key")?);
        let passphrase = self.passphrase.as_deref().map(passphrase).transpose()?;
        let key = SigningKey::from_bytes(&read(&path)?, passphrase.as_deref());
        let key = key.map_err(|error| Failure {
            status: USAGE,
            message: format!("not a key to sign with: {}", path.display()),
            cause: Some(error.into()),
        })?;
        Ok((root, key))
    }
}

/// What ends the program, in words and as its exit status.
struct Failure {
    status: u8,
    message: String,
    cause: Option<Box<dyn Error>>,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self {
            status: USAGE,
            message: message.into(),
            cause: None,
        }
    }

    fn disk(action: &str, path: &Path, cause: std::io::Error) -> Self {
        let message = format!("{action} {}", path.display());
        Self {
            status: DISK,
            message,
            cause: Some(cause.into()),
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let status = if matches!(error, PublishError::Io { .. }) {
            DISK
        } else {
            USAGE
        };
        Self {
            status,
            message: "not published".to_owned(),
            cause: Some(error.into()),
        }
    }
}

/// The passphrase in a file, without the end of its line.
fn passphrase(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read(path)?);
    let text = text.map_err(|_| Failure::usage("the passphrase is not UTF-8"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn needed<T>(value: Option<T>, option: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::usage(format!("{option} is missing; see --help")))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::disk("cannot read", path, error))
}

/// A certificate as DER, from PEM or DER.
fn certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    // A DER certificate is a long sequence.
    if bytes.starts_with(&[0x30, 0x82]) {
        return Ok(bytes);
    }
    let certificate = CertificateDer::from_pem_slice(&bytes);
    let wrong = |_| Failure::usage(format!("not a certificate: {}", path.display()));
    Ok(certificate.map_err(wrong)?.to_vec())
}

/// The server that the option belongs to: the one before it.
fn last<'a>(registry: &'a mut Registry, option: &str) -> Result<&'a mut ListedRemote, Failure> {
    let before = || Failure::usage(format!("{option} stands before any --server"));
    registry.remotes.last_mut().ok_or_else(before)
}

fn halves<'a>(value: &'a str, at: char, form: &str) -> Result<(&'a str, &'a str), Failure> {
    let wrong = || Failure::usage(format!("`{value}` is not of the form {form}"));
    value.split_once(at).ok_or_else(wrong)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

const USAGE: u8 = 2;
const DISK: u8 = 6;
const ALIAS: &str = "--alias NAME=SERVER:DIST/RELEASE/VARIANT";
const HELP: &str = "\
publish: write signed static trees that any web server can serve

publish key --user-id TEXT --out FILE [--passphrase-file FILE]
    make an Ed25519 key: the file of --out has the secret half, the one with .pub behind it the public half

publish lxc-images --root DIR --key FILE [--passphrase-file FILE]
        --name DIST/RELEASE/ARCH/VARIANT [--build YYYYMMDD_HH:MM]
        (--rootfs FILE | --rootfs-dir DIR) (--meta FILE | --meta-dir DIR)
    add a build; without --build it is of now; with neither name nor files, sign the indexes anew

publish registry --root DIR --key FILE [--passphrase-file FILE] [--proposed]
        --server NAME=URL [--server-key FILE]... [--cert FILE]... [--description TEXT]
                          [--argument NAME=VALUE]... [--mirror URL]...
        [--alias NAME=SERVER:DIST/RELEASE/VARIANT]...
    publish a registry; --server can stand several times, options belong to the server before them

exit status: 0 done, 2 usage or something that cannot be published, 6 local disk
";
