//! Proxies: only when told, and named when something fails.

use std::process::Command;

use imagestore_core::{Cleartext, ErrorKind, RemoteConfig};
use imagestore_http::{HttpTransport, Proxy};

use crate::raw::{Raw, Script};
use crate::setup::{assert_error, bytes, options, remote_at, transport};

fn far() -> RemoteConfig {
    remote_at("http+lxc-images://images.invalid").with_cleartext(Cleartext::Allow)
}

fn proxy() -> Raw {
    Raw::always(Script::close(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nby proxy\n",
    ))
}

#[tokio::test]
async fn goes_through_the_one_that_is_named() {
    let proxy = proxy();
    let through = Proxy::Through(proxy.url("").parse().expect("a URL"));
    let transport = transport(|options| options.proxy = through);
    assert_eq!(
        bytes(&transport, &far(), "/f").await.expect("bytes"),
        b"by proxy\n"
    );
    let request = &proxy.requests()[0];
    assert!(
        request.starts_with("GET http://images.invalid/f HTTP/1.1\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn is_named_in_errors_without_its_password() {
    let proxy = Raw::always(Script::close(
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    ));
    let url = format!("http://me:secret@127.0.0.1:{}", proxy.port());
    let through = Proxy::Through(url.parse().expect("a URL"));
    let transport = transport(|options| options.proxy = through);
    let error = bytes(&transport, &far(), "/f")
        .await
        .expect_err("forbidden");
    let message = format!(
        "does not allow it (status 403 Forbidden), through the proxy {}: http://images.invalid/f",
        proxy.url("")
    );
    assert_error(&error, ErrorKind::Refused, &message);
    let https = remote_at("https+lxc-images://images.invalid");
    let error = bytes(&transport, &https, "/f")
        .await
        .expect_err("no tunnel");
    let message = format!(
        "cannot connect, at try 3, through the proxy {}: https://images.invalid/f",
        proxy.url("")
    );
    assert_error(&error, ErrorKind::Network, &message);
    let tunnel = proxy.requests().pop().expect("a request");
    assert!(
        tunnel.starts_with("CONNECT images.invalid:443 HTTP/1.1\r\n"),
        "{tunnel}"
    );
}

#[tokio::test]
async fn uses_the_environment_only_when_told() {
    // The environment belongs to the whole process, so this test is run again in one of its own.
    if let Ok(port) = std::env::var(CHILD) {
        let told = transport(|options| options.proxy = Proxy::FromEnvironment);
        assert_eq!(
            bytes(&told, &far(), "/f").await.expect("bytes"),
            b"by proxy\n"
        );
        let error = bytes(&HttpTransport::new(options()), &far(), "/f")
            .await
            .expect_err("direct");
        let message = "cannot connect, at try 3: http://images.invalid/f";
        assert_error(&error, ErrorKind::Network, message);
        let near = remote_at(&format!("http+lxc-images://127.0.0.1:{port}"));
        assert_eq!(
            bytes(&told, &near, "/f").await.expect("bytes"),
            b"by proxy\n"
        );
        return;
    }
    let proxy = proxy();
    let this = std::env::current_exe().expect("this test");
    let output = Command::new(this)
        .args(["--exact", "proxies::uses_the_environment_only_when_told"])
        .env(CHILD, proxy.port().to_string())
        .env("http_proxy", proxy.url(""))
        .env("no_proxy", "127.0.0.1")
        .env_remove("REQUEST_METHOD")
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let requests = proxy.requests();
    let lines: Vec<_> = requests
        .iter()
        .filter_map(|request| request.lines().next())
        .collect();
    assert_eq!(
        lines,
        ["GET http://images.invalid/f HTTP/1.1", "GET /f HTTP/1.1"]
    );
}

const CHILD: &str = "IMAGESTORE_HTTP_PROXY_TEST";
