use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use imagestore_core::{Error, ErrorKind};
use reqwest::header::HeaderValue;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::call::Call;
use crate::errors::{Stage, Way, caused};
use crate::options::HttpOptions;
use crate::retry::{Again, Failure};

/// The answer of whoever listens on a socket, if it is somebody to be believed.
///
/// Each request has its own connection: on this machine that costs less than the request.
pub(crate) async fn ask(
    path: &Path,
    way: &Way,
    call: Call,
    options: &HttpOptions,
) -> Result<reqwest::Response, Failure> {
    let stream = match timeout(options.connect, UnixStream::connect(address(path, way)?)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(unreachable(way, &error)),
        Err(elapsed) => return Err(unreachable(way, &io::Error::from(elapsed))),
    };
    // The peer of this very connection; who owns the file says nothing about who listens.
    let peer = stream
        .peer_cred()
        .map_err(|error| unreachable(way, &error))?
        .uid();
    if !is_believed(peer, options) {
        let message = format!("user {peer} listens there, who is neither root nor this user");
        return Err(way
            .error(ErrorKind::InvalidConfig, message)
            .with_remedy("if that is right, add the user to `socket_owners`")
            .into());
    }
    let broken = |error: hyper::Error| way.unanswered(Stage::Answer, &error);
    let (mut sender, connection) = http1::handshake::<_, reqwest::Body>(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // It ends with the last of the request, the answer and the server; its errors reach the body.
    tokio::spawn(async { connection.await.ok() });
    let mut headers = call.headers;
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    let mut request = hyper::Request::new(reqwest::Body::from(call.body));
    *request.method_mut() = call.method;
    let url = way.url();
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    *request.uri_mut() = target.parse().map_err(|_| {
        Failure::from(way.error(
            ErrorKind::Unsafe,
            "a path cannot be asked for over a socket",
        ))
    })?;
    *request.headers_mut() = headers;
    let answer = sender.send_request(request).await.map_err(broken)?;
    Ok(answer.map(reqwest::Body::wrap).into())
}

/// The address to connect to: for abstract names, written with `@`, what the kernel calls them.
fn address(path: &Path, way: &Way) -> Result<PathBuf, Failure> {
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        return Ok(OsString::from_vec([b"\0", name].concat()).into());
    }
    let wrong = |message: &str| Failure::from(way.error(ErrorKind::InvalidConfig, message));
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => Ok(path.to_owned()),
        Ok(found) if found.is_symlink() => Err(wrong("the socket is a symbolic link")),
        Ok(_) => Err(wrong("the socket is another kind of file")),
        Err(error) => Err(unreachable(way, &error)),
    }
}

fn is_believed(peer: u32, options: &HttpOptions) -> bool {
    peer == 0
        || peer == rustix::process::geteuid().as_raw()
        || options.socket_owners.contains(&peer)
}

fn unreachable(way: &Way, cause: &io::Error) -> Failure {
    let error: Error = caused(way.error(ErrorKind::Network, "cannot connect"), cause);
    // Nobody listens for a moment while a daemon restarts; a missing or forbidden socket stays so.
    let again = match cause.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock => Again::Soon,
        _ => Again::No,
    };
    Failure { error, again }
}
