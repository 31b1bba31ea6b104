//! A server that sends bytes as they are written here, for answers no decent server gives.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, Stream};

use crate::setup::remote_at;

/// Listens until it is dropped.
pub(crate) struct Raw {
    port: u16,
    encrypted: bool,
    requests: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
}

/// What is sent, and what follows.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// What follows the bytes of a [`Script`].
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// The connection ends, in TLS without a word.
    Close,
    /// This byte again and again, with pauses.
    Drip(u8, Duration),
    /// This text again and again.
    Flood(&'static str),
    /// Nothing, with the connection open.
    Hold,
}

impl Script {
    pub(crate) fn close(text: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: text.into(),
            then: Then::Close,
        }
    }
}

impl Raw {
    /// The same answer to every connection.
    pub(crate) fn always(script: Script) -> Self {
        Self::start(None, move |_| script.clone())
    }

    /// An answer made of the head of the request.
    pub(crate) fn answering(answer: impl Fn(&str) -> Script + Send + Sync + 'static) -> Self {
        Self::start(None, answer)
    }

    /// The same answer to every connection, over TLS.
    pub(crate) fn encrypted(config: ServerConfig, script: Script) -> Self {
        Self::start(Some(Arc::new(config)), move |_| script.clone())
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let raw = Self {
            port: listener.local_addr().expect("a bound port").port(),
            encrypted: tls.is_some(),
            requests: Arc::default(),
            stopped: Arc::default(),
        };
        let (requests, stopped) = (raw.requests.clone(), raw.stopped.clone());
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (requests, answer, tls) = (requests.clone(), answer.clone(), tls.clone());
                let stopped = stopped.clone();
                // The other side may go at any time.
                thread::spawn(move || serve(socket, tls, &requests, &*answer, &stopped).ok());
            }
        });
        raw
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn remote(&self) -> imagestore_core::RemoteConfig {
        let transport = if self.encrypted { "https" } else { "http" };
        remote_at(&format!("{transport}+lxc-images://127.0.0.1:{}", self.port))
    }

    /// The URL of a path here.
    pub(crate) fn url(&self, path: &str) -> String {
        let transport = if self.encrypted { "https" } else { "http" };
        format!("{transport}://127.0.0.1:{}{path}", self.port)
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .expect("no test panics with it")
            .clone()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(
    mut socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    requests: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Script,
    stopped: &AtomicBool,
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.set_nodelay(true)?;
    let Some(tls) = tls else {
        return converse(&mut socket, requests, answer, stopped);
    };
    let mut connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = Stream::new(&mut connection, &mut socket);
    converse(&mut stream, requests, answer, stopped)
}

fn converse(
    stream: &mut (impl Read + Write),
    requests: &Mutex<Vec<String>>,
    answer: &dyn Fn(&str) -> Script,
    stopped: &AtomicBool,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    requests
        .lock()
        .expect("no test panics with it")
        .push(head.clone());
    let script = answer(&head);
    stream.write_all(&script.bytes)?;
    stream.flush()?;
    match script.then {
        Then::Close => Ok(()),
        Then::Flood(text) => loop {
            stream.write_all(text.repeat(100).as_bytes())?;
        },
        Then::Hold => {
            // Until the other side goes.
            stream.read_exact(&mut byte)
        }
        Then::Drip(drop, pause) => loop {
            if stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            thread::sleep(pause);
            stream.write_all(&[drop])?;
            stream.flush()?;
        },
    }
}
