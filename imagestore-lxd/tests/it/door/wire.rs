use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection on which every byte is in sight.
pub(crate) struct Wire(BufReader<Box<dyn Stream>>);

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl Wire {
    pub(crate) fn https(url: &str, certificate_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
        roots.add(certificate.expect("PEM")).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(url.trim_start_matches("https://")).expect("a door");
        stream.set_read_timeout(Some(LONG)).expect("a time");
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("TLS");
        Self(BufReader::new(Box::new(StreamOwned::new(session, stream))))
    }

    pub(crate) fn socket(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a door");
        stream.set_read_timeout(Some(LONG)).expect("a time");
        Self(BufReader::new(Box::new(stream)))
    }

    /// Sends one request, which is answered on a connection that stays.
    pub(crate) fn ask(&mut self, method: &str, target: &str, fields: &str) -> Reply {
        self.send(&format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"
        ));
        self.reply(method).expect("an answer")
    }

    /// Sends this, if the other side still listens.
    pub(crate) fn send(&mut self, text: &str) {
        let stream = self.0.get_mut();
        let sent = stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush());
        drop(sent);
    }

    /// The next answer, to a request with this method, or nothing at the end.
    pub(crate) fn reply(&mut self, method: &str) -> Option<Reply> {
        let first = self.line()?;
        let status = first.split(' ').nth(1)?.parse().expect("a status");
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            fields.push((name.to_lowercase(), value.to_owned()));
        }
        let mut reply = Reply {
            status,
            fields,
            body: Vec::new(),
            whole: true,
        };
        let length = reply.field("content-length").expect("a length");
        if method != "HEAD" {
            let length = length.parse().expect("a number");
            let read = (&mut self.0).take(length).read_to_end(&mut reply.body);
            reply.whole = read.is_ok_and(|count| count as u64 == length);
        }
        Some(reply)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer"),
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether nothing of the body is missing.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(20);
