use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use imagestore_testkit::oracle::Tool;
use imagestore_testkit::server::Certificate;
use imagestore_testkit::{Answer, Server, Site};

#[test]
fn answers_by_a_function_and_on_a_socket() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("unix.socket");
    let site = Site::answering(|request| match request.path.as_str() {
        "/1.0" => Answer::ok("{}").with_field("Content-Type", "application/json"),
        _ => Answer::not_found(),
    });
    let server = Server::socket(&path, site).expect("a socket");
    assert_eq!(
        server.remote_url("lxd").to_string(),
        format!("unix+lxd://{}", path.display())
    );
    let mut stream = UnixStream::connect(&path).expect("listens");
    stream
        .write_all(b"GET /1.0?recursion=1 HTTP/1.1\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(
        answer.contains("application/json") && answer.ends_with("\r\n\r\n{}"),
        "{answer}"
    );
    assert_eq!(server.requests()[0].target, "/1.0?recursion=1");
    drop(server);
    assert!(!path.exists());
}

#[test]
fn real_wget_believes_the_certificate() {
    let Some(wget) = Tool::find("wget") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::https(Site::files([("/file", "0123456789")])).expect("a port");
    let certificate = server.certificate().expect("https");
    let pem = folder.path().join("ca.pem");
    std::fs::write(&pem, certificate.pem()).expect("written");
    let url = format!("{}/file", server.url());
    let fetch = |more: &[&str]| {
        wget.command()
            .args(["-q", "-O-", "--no-config", "--no-hsts", "-t1"])
            .args(more)
            .args([&url])
            .run()
    };
    let trusted = format!("--ca-certificate={}", pem.display());
    assert_eq!(fetch(&[&trusted]).expect_success(), "0123456789");
    assert!(!fetch(&[]).success(), "an unknown certificate");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn records_the_certificate_of_the_other_side() {
    let Some(wget) = Tool::find("wget") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a directory");
    let server = Server::https(Site::files([("/file", "0123456789")])).expect("a port");
    let own = Certificate::new(&["client"]);
    for (name, pem) in [("own.pem", own.pem()), ("own.key", own.key_pem())] {
        std::fs::write(folder.path().join(name), pem).expect("written");
    }
    let url = format!("{}/file", server.url());
    let fetch = |more: &[&str]| {
        let plain = [
            "-q",
            "-O-",
            "--no-config",
            "--no-hsts",
            "-t1",
            "--no-check-certificate",
        ];
        wget.command()
            .folder(folder.path())
            .args(plain)
            .args(more)
            .args([&url])
            .run()
            .expect_success()
    };
    assert_eq!(
        fetch(&["--certificate=own.pem", "--private-key=own.key"]),
        "0123456789"
    );
    assert_eq!(fetch(&[]), "0123456789");
    let shown: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.certificate)
        .collect();
    assert_eq!(shown, [Some(own.sha256()), None]);
}
