use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use imagestore_core::{BaseUrl, RemoteUrl};

use super::certificate::Certificate;
use super::connection::{Socket, serve};
use super::fault::Fault;
use super::request::Request;
use super::site::{EVERY_PATH, Site};

/// A server on this machine that serves a [`Site`] until it is dropped.
///
/// It speaks HTTP/1.1: GET and HEAD, ranges with `If-Range`, `ETag` and `Last-Modified` with conditional requests,
/// connections that are kept. It waits at most a minute for the other side and holds at most 256 connections.
///
/// # Examples
/// ```
/// use imagestore_testkit::{Fault, Server, Site};
///
/// let server = Server::http(Site::files([("/1.0/index.json", "{}")]))?;
/// server.fail_once("/1.0/index.json", Fault::status(503));
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    door: Door,
    certificate: Option<Arc<Certificate>>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves over http on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn http(site: Site) -> io::Result<Self> {
        Self::listen(
            Listener::Tcp(TcpListener::bind(("127.0.0.1", 0))?),
            None,
            site,
        )
    }

    /// Serves over https, with a new self-signed certificate for `127.0.0.1` and `localhost`.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn https(site: Site) -> io::Result<Self> {
        Self::https_with(Certificate::new(&["127.0.0.1", "localhost"]), site)
    }

    /// Serves over https with this certificate.
    ///
    /// # Errors
    /// If there is no port or no thread.
    pub fn https_with(certificate: impl Into<Arc<Certificate>>, site: Site) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        Self::listen(Listener::Tcp(listener), Some(certificate.into()), site)
    }

    /// Serves over http on a new unix socket at this path.
    ///
    /// # Errors
    /// If the socket cannot be made or there is no thread.
    pub fn socket(path: impl Into<PathBuf>, site: Site) -> io::Result<Self> {
        let path = path.into();
        Self::listen(Listener::Unix(UnixListener::bind(&path)?, path), None, site)
    }

    fn listen(
        listener: Listener,
        certificate: Option<Arc<Certificate>>,
        site: Site,
    ) -> io::Result<Self> {
        let door = match &listener {
            Listener::Tcp(listener) => Door::Port(listener.local_addr()?.port()),
            Listener::Unix(_, path) => Door::Socket(path.clone()),
        };
        let shared = Arc::new(Shared::new(site));
        let tls = certificate
            .as_ref()
            .map(|certificate| certificate.server_config());
        let inner = Arc::clone(&shared);
        let accepting = thread::Builder::new()
            .name("testkit accept".to_owned())
            .spawn(move || {
                for number in 0.. {
                    let socket = listener.accept();
                    if inner.stop.is_set() {
                        return;
                    }
                    // A connection that is gone before it was accepted is no concern of the others.
                    let Ok(socket) = socket else { continue };
                    let Some(closer) = inner.admit(number, &socket) else {
                        continue;
                    };
                    let (tls, inner) = (tls.clone(), Arc::clone(&inner));
                    let served = thread::Builder::new()
                        .name("testkit serve".to_owned())
                        .spawn(move || {
                            // The other side may go at any time, and faults make it.
                            drop(serve(socket, tls, &inner, number));
                            inner.leave(number);
                        });
                    if served.is_err() {
                        closer.shut_down();
                    }
                }
            })?;
        Ok(Self {
            shared,
            door,
            certificate,
            accepting: Some(accepting),
        })
    }

    /// Where it is: `http://127.0.0.1:PORT`, with the prefix of the site, without a slash at the end. On a socket,
    /// `http://localhost`.
    #[must_use]
    pub fn url(&self) -> String {
        let transport = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!(
            "{transport}://{}{}",
            self.authority(),
            self.shared.site.prefix()
        )
    }

    /// Host and port: `127.0.0.1:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.door {
            Door::Port(port) => format!("127.0.0.1:{port}"),
            Door::Socket(_) => "localhost".to_owned(),
        }
    }

    /// The base of a mirror that is this server.
    #[must_use]
    pub fn base_url(&self) -> BaseUrl {
        self.url()
            .parse()
            .expect("made of an address and a plain prefix")
    }

    /// The URL of a remote of this protocol that is this server.
    #[must_use]
    pub fn remote_url(&self, protocol: &str) -> RemoteUrl {
        let text = match (&self.door, self.url().split_once("://")) {
            (Door::Socket(path), _) => format!("unix+{protocol}://{}", path.display()),
            (Door::Port(_), Some((transport, rest))) => format!("{transport}+{protocol}://{rest}"),
            (Door::Port(_), None) => unreachable!("a URL has `://`"),
        };
        text.parse()
            .expect("made of an address, a plain prefix and the name of a protocol")
    }

    /// Its certificate, if it serves https.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// From now on there is a file with this content at this path, whatever was there.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.shared.site.put(path, Some(bytes.into()));
    }

    /// From now on there is no file at this path.
    pub fn remove(&self, path: &str) {
        self.shared.site.put(path, None);
    }

    /// From now on answers for this path have this fault.
    pub fn fail(&self, path: &str, fault: Fault) {
        self.shared.site.fail(path, fault, None);
    }

    /// The next answer for this path has this fault. Faults queue up.
    pub fn fail_once(&self, path: &str, fault: Fault) {
        self.fail_times(path, fault, 1);
    }

    /// The next answers for this path, so many of them, have this fault.
    pub fn fail_times(&self, path: &str, fault: Fault, times: usize) {
        if times > 0 {
            self.shared.site.fail(path, fault, Some(times));
        }
    }

    /// From now on all answers have this fault, but for paths that have one of their own.
    pub fn fail_all(&self, fault: Fault) {
        self.shared.site.fail(EVERY_PATH, fault, None);
    }

    /// Answers for this path have no fault of their own any more.
    pub fn heal(&self, path: &str) {
        self.shared.site.heal(Some(path));
    }

    /// No answer has a fault any more.
    pub fn heal_all(&self) {
        self.shared.site.heal(None);
    }

    /// All requests, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().values().cloned().collect()
    }

    /// The requests for one path.
    #[must_use]
    pub fn requests_for(&self, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// Forgets the requests there were.
    pub fn forget_requests(&self) {
        self.shared.requests().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        self.shared.close_all();
        self.door.knock();
        if let Some(accepting) = self.accepting.take() {
            // A panic there has been printed already.
            drop(accepting.join());
        }
        self.shared.close_all();
        if let Door::Socket(path) = &self.door {
            drop(std::fs::remove_file(path));
        }
    }
}

/// What the threads of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) stop: Stop,
    requests: Mutex<std::collections::BTreeMap<u64, Request>>,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Socket>>,
}

impl Shared {
    fn new(site: Site) -> Self {
        Self {
            site,
            stop: Stop::default(),
            requests: Mutex::default(),
            next: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    pub(super) fn record(&self, request: &Request) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.requests().insert(id, request.clone());
        id
    }

    pub(super) fn answered(&self, id: u64, status: u16) {
        if let Some(request) = self.requests().get_mut(&id) {
            request.status = status;
        }
    }

    pub(super) fn sent(&self, id: u64, bytes: u64) {
        if let Some(request) = self.requests().get_mut(&id) {
            request.sent += bytes;
        }
    }

    fn requests(&self) -> MutexGuard<'_, std::collections::BTreeMap<u64, Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Socket>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in, unless there are too many: then it is closed.
    fn admit(&self, number: u64, socket: &Socket) -> Option<Socket> {
        let mut open = self.open();
        if open.len() >= MAX_CONNECTIONS {
            return None;
        }
        open.insert(number, socket.try_clone().ok()?);
        socket.try_clone().ok()
    }

    fn leave(&self, number: u64) {
        if let Some(socket) = self.open().remove(&number) {
            socket.shut_down();
        }
    }

    fn close_all(&self) {
        self.open().values().for_each(Socket::shut_down);
    }
}

/// Tells all threads of a server to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    bell: Condvar,
}

impl Stop {
    fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    fn is_set(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits this long, or until the server stops; says whether it stopped.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) = self
            .bell
            .wait_timeout_while(stopped, time, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

#[derive(Debug)]
enum Door {
    Port(u16),
    Socket(PathBuf),
}

impl Door {
    /// Wakes the thread that accepts.
    fn knock(&self) {
        match self {
            Self::Port(port) => drop(TcpStream::connect(("127.0.0.1", *port))),
            Self::Socket(path) => drop(UnixStream::connect::<&Path>(path)),
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

const MAX_CONNECTIONS: usize = 256;
