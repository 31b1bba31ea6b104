use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use imagestore_testkit::server::{Framing, WrongRange};
use imagestore_testkit::{Fault, Server, Site};

const BODY: &[u8] = b"0123456789";

/// All that comes back on one connection for these fields.
fn ask(server: &Server, head: &str) -> String {
    let mut stream = TcpStream::connect(server.authority()).expect("listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("settable");
    stream
        .write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())
        .expect("sent");
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn get(server: &Server, fields: &str) -> String {
    ask(server, &format!("GET /file HTTP/1.1\r\nHost: x{fields}"))
}

fn site() -> Site {
    Site::files([("/file", BODY)])
}

fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let start = answer
        .find(&format!("{name}: "))
        .unwrap_or_else(|| panic!("no {name} in {answer}"));
    let rest = &answer[start + name.len() + 2..];
    rest.split("\r\n").next().expect("a line")
}

#[test]
fn serves_files_ranges_and_conditions() {
    let server = Server::http(site()).expect("a port");
    let whole = get(&server, "");
    assert!(
        whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\n0123456789"),
        "{whole}"
    );
    assert_eq!(field(&whole, "Content-Length"), "10");
    let (etag, modified) = (field(&whole, "ETag"), field(&whole, "Last-Modified"));

    for (fields, status, end) in [
        ("\r\nRange: bytes=7-".to_owned(), 206, "\r\n\r\n789"),
        (
            format!("\r\nRange: bytes=7-\r\nIf-Range: {etag}"),
            206,
            "\r\n\r\n789",
        ),
        (
            format!("\r\nRange: bytes=7-\r\nIf-Range: {modified}"),
            206,
            "\r\n\r\n789",
        ),
        (
            "\r\nRange: bytes=7-\r\nIf-Range: \"old\"".to_owned(),
            200,
            "\r\n\r\n0123456789",
        ),
        ("\r\nRange: bytes=10-".to_owned(), 416, "\r\n\r\n"),
        (format!("\r\nIf-None-Match: {etag}"), 304, "\r\n\r\n"),
        (
            "\r\nIf-None-Match: \"old\"".to_owned(),
            200,
            "\r\n\r\n0123456789",
        ),
        (
            format!("\r\nIf-Modified-Since: {modified}"),
            304,
            "\r\n\r\n",
        ),
    ] {
        let answer = get(&server, &fields);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{fields}: {answer}"
        );
        assert!(answer.ends_with(end), "{fields}: {answer}");
    }
    assert_eq!(
        field(&get(&server, "\r\nRange: bytes=2-3"), "Content-Range"),
        "bytes 2-3/10"
    );
    assert!(ask(&server, "HEAD /file HTTP/1.1").ends_with("\r\n\r\n"));
    assert!(ask(&server, "GET /none HTTP/1.1").starts_with("HTTP/1.1 404 "));
    assert!(ask(&server, "POST /file HTTP/1.1").starts_with("HTTP/1.1 405 "));

    let requests = server.requests_for("/file");
    let (first, ranged) = (&requests[0], &requests[1]);
    assert_eq!(
        (first.method.as_str(), first.status, first.sent),
        ("GET", 200, 10)
    );
    assert_eq!(
        (ranged.field("range"), ranged.status, ranged.sent),
        (Some("bytes=7-"), 206, 3)
    );
}

#[test]
fn serves_a_directory_below_a_prefix_and_nothing_beside_it() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(folder.path().join("tree")).expect("made");
    std::fs::write(folder.path().join("tree/a:b"), BODY).expect("written");
    std::fs::write(folder.path().join("secret"), BODY).expect("written");
    let site = Site::directory(folder.path().join("tree")).below("/mirror/lxc-images/");
    let server = Server::http(site).expect("a port");
    assert!(server.url().ends_with("/mirror/lxc-images"));
    for (path, status) in [
        ("/mirror/lxc-images/a:b", 200),
        ("//mirror//lxc-images//a%3Ab", 200),
        ("/a:b", 404),
        ("/mirror/lxc-imagesa:b", 404),
        ("/mirror/lxc-images/../secret", 404),
        ("/mirror/lxc-images/%2e%2e/secret", 404),
        ("/mirror/lxc-images/", 404),
    ] {
        let answer = ask(&server, &format!("GET {path} HTTP/1.1"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {answer}"
        );
    }
    assert_eq!(server.requests()[0].path, "/a:b");
    assert_eq!(
        server
            .remote_url("lxc-images")
            .document("/x")
            .expect("plain")
            .as_str(),
        format!("{}/x", server.url())
    );
}

#[test]
fn keeps_connections() {
    let server = Server::http(site()).expect("a port");
    let mut stream = TcpStream::connect(server.authority()).expect("listens");
    for _ in 0..3 {
        stream
            .write_all(b"GET /file HTTP/1.1\r\n\r\n")
            .expect("sent");
        let mut seen = Vec::new();
        while !seen.ends_with(BODY) {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("goes on");
            seen.push(byte[0]);
        }
    }
    let connections: Vec<u64> = server
        .requests()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[test]
fn misbehaves_as_told() {
    let server = Server::http(site()).expect("a port");
    const CHUNKED: &str = "Transfer-Encoding: chunked";
    let status = Fault::Status {
        status: 429,
        fields: vec![("Retry-After".into(), "1".into())],
    };
    let cut = |framing| Fault::CutBody { after: 4, framing };
    let cases: Vec<(Fault, &str, &[&str])> = vec![
        (
            cut(Framing::Length),
            "",
            &["Content-Length: 10", "\r\n\r\n0123|"],
        ),
        (
            cut(Framing::Chunked),
            "",
            &[CHUNKED, "\r\n\r\n4\r\n0123\r\n|"],
        ),
        (cut(Framing::Close), "", &["\r\n\r\n0123|"]),
        (
            Fault::DoubleLength(3),
            "",
            &["Content-Length: 3", "Content-Length: 10"],
        ),
        (
            Fault::LengthAndChunked,
            "",
            &["Content-Length: 10", CHUNKED],
        ),
        (Fault::FlipByte(1), "", &["0\u{fffd}23456789|"]),
        (Fault::FlipByte(8), "\r\nRange: bytes=7-", &["7\u{fffd}9|"]),
        (
            Fault::Gzip,
            "",
            &["Content-Encoding: gzip", "\u{1f}\u{fffd}"],
        ),
        (Fault::Html, "", &["HTTP/1.1 200", "text/html", "Log in"]),
        (
            Fault::NulBody,
            "",
            &["Content-Length: 10", "\r\n\r\n\0\0\0\0\0\0\0\0\0\0|"],
        ),
        (
            Fault::IgnoreRange,
            "\r\nRange: bytes=7-",
            &["HTTP/1.1 200", "0123456789|"],
        ),
        (Fault::RefuseRange, "\r\nRange: bytes=7-", &["HTTP/1.1 416"]),
        (
            Fault::WrongRange(WrongRange::Begin(1)),
            "\r\nRange: bytes=7-",
            &["HTTP/1.1 206", "Content-Range: bytes 8-9/10", "\r\n\r\n89|"],
        ),
        (
            Fault::WrongRange(WrongRange::Total(99)),
            "\r\nRange: bytes=7-",
            &["Content-Range: bytes 7-9/99", "\r\n\r\n789|"],
        ),
        (
            Fault::WrongRange(WrongRange::WholeBody),
            "\r\nRange: bytes=7-",
            &[
                "HTTP/1.1 206",
                "Content-Range: bytes 7-9/10",
                "\r\n\r\n0123456789|",
            ],
        ),
        (
            Fault::redirect("https://evil.example/"),
            "",
            &["HTTP/1.1 302", "Location: https://evil.example/\r"],
        ),
        (
            Fault::RedirectLoop,
            "",
            &["HTTP/1.1 302", "Location: /file\r"],
        ),
        (Fault::RedirectChain(2), "", &["Location: /file?1\r"]),
        (
            Fault::Interim(3),
            "",
            &["103 Early Hints", "HTTP/1.1 200", "0123456789|"],
        ),
        (Fault::LongField(100), "", &["X-Long: xxxx"]),
        (Fault::ManyFields(100), "", &["X-99: 99"]),
        (status, "", &["HTTP/1.1 429", "Retry-After: 1"]),
        (
            Fault::Trickle {
                bytes: 4,
                every: Duration::from_millis(1),
            },
            "",
            &["0123456789|"],
        ),
    ];
    for (fault, fields, wanted) in cases {
        server.fail_once("/file", fault.clone());
        let answer = get(&server, fields) + "|";
        for part in wanted {
            assert!(
                answer.contains(part),
                "{fault:?}: no {part:?} in {answer:?}"
            );
        }
    }
    server.fail_once("/file", Fault::Close);
    assert_eq!(get(&server, ""), "");
    server.fail_once("/file", Fault::WrongRange(WrongRange::NoField));
    assert!(!get(&server, "\r\nRange: bytes=7-").contains("Content-Range"));
    assert!(
        get(&server, "").ends_with("0123456789"),
        "all faults were for once"
    );
}

#[test]
fn redirects_as_often_as_told() {
    let server = Server::http(site()).expect("a port");
    server.fail("/file", Fault::RedirectChain(2));
    assert!(ask(&server, "GET /file?1 HTTP/1.1").contains("Location: /file?2\r"));
    assert!(ask(&server, "GET /file?2 HTTP/1.1").ends_with("0123456789"));
}

#[test]
fn replaces_a_file_between_two_requests() {
    let server = Server::http(site()).expect("a port");
    server.fail_once("/file", Fault::ReplaceAfterwards("new".into()));
    let (old, new) = (get(&server, ""), get(&server, ""));
    assert!(
        old.ends_with("0123456789") && new.ends_with("\r\n\r\nnew"),
        "{old} {new}"
    );
    assert_ne!(field(&old, "ETag"), field(&new, "ETag"));
    assert_ne!(field(&old, "Last-Modified"), field(&new, "Last-Modified"));
}

#[test]
fn faults_of_a_path_come_before_those_of_all() {
    let server = Server::http(site()).expect("a port");
    server.fail_all(Fault::status(503));
    server.fail_times("/file", Fault::status(410), 2);
    let statuses: Vec<String> = (0..3).map(|_| get(&server, "")[9..12].to_owned()).collect();
    assert_eq!(statuses, ["410", "410", "503"]);
    server.heal_all();
    assert!(get(&server, "").starts_with("HTTP/1.1 200"));
}

#[test]
fn ends_at_once_when_dropped_while_it_stalls() {
    let server = Server::http(site()).expect("a port");
    server.fail_once("/file", Fault::Stall { after: 4 });
    server.fail_once("/file", Fault::StallBeforeAnswer);
    server.fail_once("/file", Fault::Endless(b'x'));
    let mut streams: Vec<TcpStream> = (0..3)
        .map(|_| {
            let mut stream = TcpStream::connect(server.authority()).expect("listens");
            stream
                .write_all(b"GET /file HTTP/1.1\r\n\r\n")
                .expect("sent");
            while server.requests().is_empty() {
                std::thread::yield_now();
            }
            server.forget_requests();
            stream
        })
        .collect();
    let begin = Instant::now();
    let authority = server.authority();
    drop(server);
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begin.elapsed()
    );
    assert!(TcpStream::connect(authority).is_err());
    let mut seen = Vec::new();
    drop(streams[0].read_to_end(&mut seen));
    assert!(seen.ends_with(b"\r\n\r\n0123"));
}
