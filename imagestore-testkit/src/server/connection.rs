use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use imagestore_verify::Sha256;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::Answer;
use super::fault::{Fault, Framing};
use super::plan::{End, Plan};
use super::request::Request;
use super::running::Shared;

/// A connection as it was accepted.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Ends it for both sides. One that has ended already is fine.
    pub(super) fn shut_down(&self) {
        let ended = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
        drop(ended);
    }

    /// No side may wait longer than this for the other.
    fn bound(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(from),
            Self::Unix(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

/// Answers requests until the other side goes, or the server stops.
pub(super) fn serve(
    socket: Socket,
    tls: Option<Arc<ServerConfig>>,
    shared: &Shared,
    number: u64,
) -> io::Result<()> {
    socket.bound()?;
    let Some(tls) = tls else {
        return converse(&mut BufReader::new(socket), None, shared, number);
    };
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let certificate = stream
        .conn
        .peer_certificates()
        .and_then(|chain| chain.first());
    let certificate = certificate.map(|der| Sha256::of(der));
    let mut stream = BufReader::new(stream);
    let ended = converse(&mut stream, certificate, shared, number);
    if ended.is_ok() {
        let stream = stream.get_mut();
        stream.conn.send_close_notify();
        stream.flush()?;
    }
    ended
}

fn converse<S: Read + Write>(
    stream: &mut BufReader<S>,
    certificate: Option<Sha256>,
    shared: &Shared,
    number: u64,
) -> io::Result<()> {
    for _ in 0..MAX_REQUESTS {
        let Some(mut request) = Request::read(stream)? else {
            return Ok(());
        };
        request.certificate = certificate;
        request.connection = number;
        let below = request
            .path
            .strip_prefix(shared.site.prefix())
            .map(str::to_owned);
        let inside = below.filter(|path| path.starts_with('/'));
        let outside = inside.is_none();
        if let Some(path) = inside {
            request.path = path;
        }
        let fault = shared.site.next_fault(&request.path);
        let id = shared.record(&request);
        if matches!(fault, Some(Fault::StallBeforeAnswer)) {
            shared.stop.wait(PATIENCE);
            return Ok(());
        }
        let answer = match outside {
            true => Answer::not_found(),
            false => shared.site.answer(&request),
        };
        let replacement = match &fault {
            Some(Fault::ReplaceAfterwards(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        let Some(mut plan) = Plan::new(&request, answer, fault)? else {
            // Without a notice of its end: as if the machine had died.
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        if let Some(bytes) = replacement {
            shared.site.put(&request.path, Some(bytes));
        }
        if !request.keeps_alive() && plan.end == End::Keep {
            plan.end = End::Close;
        }
        shared.answered(id, plan.status);
        let end = plan.end;
        send(
            stream.get_mut(),
            &request,
            plan,
            |bytes| shared.sent(id, bytes),
            |pause| shared.stop.wait(pause),
        )?;
        match end {
            End::Keep => {}
            End::Close => return Ok(()),
            End::Stall => {
                shared.stop.wait(PATIENCE);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn send(
    stream: &mut impl Write,
    request: &Request,
    mut plan: Plan,
    mut sent: impl FnMut(u64),
    mut pause: impl FnMut(Duration) -> bool,
) -> io::Result<()> {
    for _ in 0..plan.interim {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")?;
    }
    let mut head = format!("HTTP/1.1 {} {}\r\n", plan.status, reason(plan.status));
    for (name, value) in &plan.fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_body = !matches!(plan.status, 100..=199 | 204 | 304);
    match plan.framing {
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::Length if has_body => {
            head.push_str(&format!("Content-Length: {}\r\n", plan.announced))
        }
        Framing::Close | Framing::Length => {}
    }
    if plan.end == End::Close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    if request.method == "HEAD" || !has_body {
        return Ok(());
    }
    let piece = plan
        .pace
        .as_ref()
        .map_or(64 << 10, |pace| pace.bytes.max(1));
    let mut buffer = vec![0; piece];
    let mut left = plan.limit;
    while left > 0 {
        let want = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = plan.body.read(&mut buffer[..want])?;
        if count == 0 {
            break;
        }
        // Before they go out: who has them must find them recorded.
        sent(count as u64);
        match plan.framing {
            Framing::Chunked => {
                write!(stream, "{count:x}\r\n")?;
                stream.write_all(&buffer[..count])?;
                stream.write_all(b"\r\n")?;
            }
            Framing::Close | Framing::Length => stream.write_all(&buffer[..count])?,
        }
        stream.flush()?;
        left -= count as u64;
        if let Some(pace) = &plan.pace
            && pause(pace.every)
        {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    // A cut chunked body lacks its last chunk.
    if plan.framing == Framing::Chunked && plan.end == End::Keep {
        stream.write_all(b"0\r\n\r\n")?;
    }
    stream.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 | 302 | 303 | 307 | 308 => "Elsewhere",
        304 => "Not Modified",
        404 => "Not Found",
        410 => "Gone",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500..=599 => "Trouble",
        _ => "Answer",
    }
}

const MAX_REQUESTS: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);
