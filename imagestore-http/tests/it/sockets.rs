//! Unix sockets: named and abstract, and who may listen there.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use imagestore_core::{Cleartext, ErrorKind, Get, Resume, Transport, Validators};
use imagestore_http::HttpTransport;
use imagestore_testkit::{Fault, Server, Site, oracle};

use crate::setup::{
    SHORT, assert_error, bytes, content, get, lines, options, read, remote, remote_at, transport,
};

#[tokio::test]
async fn brings_bytes_from_a_socket() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unix.socket");
    let site = Site::files([("/1.0/f", content(300_000))]);
    let server = Server::socket(&path, site).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let body = get(&transport, &remote, "/1.0/f").await.expect("a body");
    let wanted = format!("unix socket {}", path.display());
    assert_eq!(body.channel().expect("a channel").what(), wanted);
    assert_eq!(body.url().as_str(), "http://localhost/1.0/f");
    assert_eq!(read(body).await.expect("bytes"), content(300_000));
    let request = &server.requests()[0];
    assert_eq!(request.field("host"), Some("localhost"));
    assert_eq!(request.field("accept-encoding"), Some("identity"));
    assert_eq!(request.target, "/1.0/f");
}

#[tokio::test]
async fn sends_queries_and_ranges() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unix.socket");
    let server = Server::socket(&path, Site::files([("/f", content(1000))])).expect("a server");
    let (transport, remote) = (HttpTransport::new(options()), remote(&server));
    let mut url = crate::setup::url(&remote, "/f");
    url.set_query(Some("project=default&recursion=1"));
    let resume = Resume {
        offset: 400,
        validators: Validators::default(),
    };
    let request = Get::file(&remote, &url).with_resume(Some(&resume));
    let body = transport.get(request).await.expect("a body");
    assert_eq!(body.offset(), 400);
    assert_eq!(read(body).await.expect("bytes"), content(1000)[400..]);
    assert_eq!(
        server.requests()[0].target,
        "/f?project=default&recursion=1"
    );
}

#[tokio::test]
async fn names_the_socket_in_errors() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("unix.socket");
    let server = Server::socket(&path, Site::files([("/f", content(1000))])).expect("a server");
    let transport = transport(|options| options.idle = SHORT);
    let remote = remote(&server);
    let place = format!("http://localhost/f on socket {}", path.display());
    for (fault, message) in [
        (Fault::status(404), "not there (status 404 Not Found)"),
        (
            Fault::Gzip,
            "sent a body encoded with `gzip`, although none was asked for",
        ),
        (
            Fault::Stall { after: 10 },
            "the body sent nothing for 250ms, after 10 of 1000 bytes",
        ),
        (
            Fault::redirect("https://images.example/x"),
            "redirects to https://images.example/x, away from the socket of the remote",
        ),
    ] {
        server.heal_all();
        server.fail("/f", fault.clone());
        let error = bytes(&transport, &remote, "/f").await.expect_err(message);
        let place = if matches!(fault, Fault::Redirect { .. }) {
            "http://localhost/f"
        } else {
            &place
        };
        assert_eq!(lines(&error)[0], format!("{message}: {place}"));
    }
    server.heal_all();
    server.fail_times("/f", Fault::Close, 2);
    assert_eq!(
        bytes(&transport, &remote, "/f").await.expect("tried again"),
        content(1000)
    );
}

#[tokio::test]
async fn connects_to_abstract_names() {
    let name = format!("imagestore-http-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a free name");
    std::thread::spawn(move || serve(&listener));
    let remote = remote_at(&format!("unix+lxd://@{name}"));
    let body = get(&HttpTransport::new(options()), &remote, "/f")
        .await
        .expect("a body");
    let wanted = format!("unix socket @{name}");
    assert_eq!(body.channel().expect("a channel").what(), wanted);
    assert_eq!(read(body).await.expect("bytes"), b"abstract");
}

#[tokio::test]
async fn connects_to_sockets_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let _server = Server::socket(path("socket"), Site::empty()).expect("a server");
    symlink(path("socket"), path("link")).expect("a link");
    std::fs::write(path("file"), "x").expect("a file");
    drop(UnixListener::bind(path("dead")).expect("a socket"));
    let transport = transport(|options| options.tries = 1);
    let cases = [
        (
            "link",
            ErrorKind::InvalidConfig,
            "the socket is a symbolic link",
        ),
        (
            "file",
            ErrorKind::InvalidConfig,
            "the socket is another kind of file",
        ),
        ("none", ErrorKind::Network, "cannot connect"),
        ("dead", ErrorKind::Network, "cannot connect"),
    ];
    for (name, kind, message) in cases {
        let path = path(name);
        let remote =
            remote_at(&format!("unix+lxd://{}", path.display())).with_cleartext(Cleartext::Refuse);
        let error = bytes(&transport, &remote, "/f").await.expect_err(name);
        let message = format!("{message}: http://localhost/f on socket {}", path.display());
        assert_error(&error, kind, &message);
    }
}

#[tokio::test]
async fn believes_root_and_this_user_and_whom_it_is_told_to() {
    // Run again as another user, this test is the server.
    if let Ok(name) = std::env::var(CHILD) {
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixListener::bind_addr(&address).expect("a free name");
        eprintln!("{READY}");
        serve(&listener);
        return;
    }
    if !rustix::process::geteuid().is_root() {
        oracle::absent("root, for sockets of other users");
        return;
    }
    // Another user cannot reach the build directory everywhere, so the test is copied.
    let directory = tempfile::tempdir_in("/tmp").expect("a directory");
    let this = directory.path().join("test");
    std::fs::copy(std::env::current_exe().expect("this test"), &this).expect("a copy");
    let open = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(directory.path(), open(0o755)).expect("its own directory");
    let name = format!("imagestore-http-other-{}", std::process::id());
    let mut server = Command::new(this)
        .args(["--exact", "--nocapture"])
        .arg("sockets::believes_root_and_this_user_and_whom_it_is_told_to")
        .env(CHILD, &name)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut told = server.stderr.take().expect("piped");
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(READY) {
        told.read_exact(&mut byte).expect("the server is ready");
        seen.push(byte[0]);
    }
    let remote = remote_at(&format!("unix+lxd://@{name}"));
    let refused = bytes(&HttpTransport::new(options()), &remote, "/f").await;
    let trusting = transport(|options| options.socket_owners = vec![NOBODY]);
    let believed = bytes(&trusting, &remote, "/f").await;
    server.kill().expect("it is ours");
    server.wait().expect("it ends");
    let message = format!(
        "user 65534 listens there, who is neither root nor this user: \
         http://localhost/f on socket @{name}; if that is right, add the user to `socket_owners`"
    );
    assert_error(
        &refused.expect_err("a stranger"),
        ErrorKind::InvalidConfig,
        &message,
    );
    assert_eq!(believed.expect("told to"), b"abstract");
}

fn serve(listener: &UnixListener) {
    for socket in listener.incoming() {
        let mut socket = socket.expect("a connection");
        let mut head = [0; 4096];
        let Ok(1..) = socket.read(&mut head) else {
            continue;
        };
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabstract";
        socket.write_all(answer).expect("somebody who listens");
    }
}

const CHILD: &str = "IMAGESTORE_HTTP_SOCKET_TEST";
const NOBODY: u32 = 65_534;
const READY: &str = "the server is ready";
