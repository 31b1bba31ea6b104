//! Remotes, options and questions of these tests.

use std::error::Error as StdError;
use std::time::Duration;

use imagestore_core::{
    Body, Error, ErrorKind, Get, RemoteConfig, RemoteUrl, Result, Transport, Trust,
};
use imagestore_http::{HttpOptions, HttpTransport};
use imagestore_testkit::{Server, keys};
use imagestore_verify::{Channel, trust_channel};
use url::Url;

/// Options that try again at once and are else as they are.
pub(crate) fn options() -> HttpOptions {
    let mut options = HttpOptions::default();
    options.back_off = Duration::from_millis(1);
    options
}

/// Changed as the function says.
pub(crate) fn transport(change: impl FnOnce(&mut HttpOptions)) -> HttpTransport {
    let mut options = options();
    change(&mut options);
    HttpTransport::new(options)
}

/// A remote at this URL, believed by the signatures of the images key.
pub(crate) fn remote_at(url: &str) -> RemoteConfig {
    let url: RemoteUrl = url.parse().expect("the URL of a remote");
    let trust = Trust::Signatures(keys::keyring(keys::images()));
    RemoteConfig::new("r".parse().expect("a name"), url, trust)
}

/// The remote that is this server.
pub(crate) fn remote(server: &Server) -> RemoteConfig {
    remote_at(&server.remote_url("lxc-images").to_string())
}

/// The URL of a path below a remote.
pub(crate) fn url(remote: &RemoteConfig, path: &str) -> Url {
    remote.url().document(path).expect("a plain path")
}

/// The answer to a request for a file.
pub(crate) async fn get(
    transport: &dyn Transport,
    remote: &RemoteConfig,
    path: &str,
) -> Result<Body> {
    transport.get(Get::file(remote, &url(remote, path))).await
}

/// All bytes of a file.
pub(crate) async fn bytes(
    transport: &dyn Transport,
    remote: &RemoteConfig,
    path: &str,
) -> Result<Vec<u8>> {
    read(get(transport, remote, path).await?).await
}

/// All bytes of a body. Tests may look.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>> {
    let bytes = body.collect(1 << 26).await?;
    Ok(trust_channel(bytes, &Channel::new("a test")).to_vec())
}

/// The lines a person sees: the error and its causes. None repeats another.
pub(crate) fn lines(error: &Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(below) = cause {
        lines.push(below.to_string());
        cause = below.source();
    }
    for (index, line) in lines.iter().enumerate() {
        assert!(!line.contains('\n') && !line.is_empty(), "{lines:?}");
        for other in lines.iter().skip(index + 1) {
            assert!(
                !line.contains(other.as_str()) && !other.contains(line.as_str()),
                "{lines:?}"
            );
        }
    }
    lines
}

/// The kind and the first line must be these.
pub(crate) fn assert_error(error: &Error, kind: ErrorKind, line: &str) {
    assert_eq!(lines(error)[0], line);
    assert_eq!(error.kind(), kind, "{error}");
}

/// Content of this length in which every place can be told from its neighbours.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n % 251) as u8 ^ (n / 251) as u8)
        .collect()
}

/// A quarter of a second: the longest any of these tests waits for nothing.
pub(crate) const SHORT: Duration = Duration::from_millis(250);
