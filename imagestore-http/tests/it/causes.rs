//! What a person reads when something fails.

use imagestore_core::{Cleartext, TlsTrust};
use imagestore_http::{HttpTransport, Proxy};
use imagestore_testkit::server::Framing;
use imagestore_testkit::{Fault, Server, Site};
use imagestore_verify::Sha256;

use crate::raw::{Raw, Script};
use crate::setup::{bytes, lines, options, remote, remote_at, transport};

#[tokio::test]
async fn every_chain_of_causes_says_each_thing_once() {
    let server = Server::http(Site::files([("/f", "some content")])).expect("a server");
    let encrypted = Server::https(Site::files([("/f", "x")])).expect("a server");
    let nonsense = Raw::always(Script::close("nonsense\r\n\r\n"));
    let transport_by_default = HttpTransport::new(options());
    for fault in [
        Fault::status(404),
        Fault::status(500),
        Fault::Close,
        Fault::CutBody {
            after: 3,
            framing: Framing::Length,
        },
        Fault::CutBody {
            after: 3,
            framing: Framing::Chunked,
        },
        Fault::DoubleLength(3),
        Fault::Gzip,
        Fault::LengthAndChunked,
        Fault::ManyFields(20_000),
        Fault::RedirectLoop,
        Fault::redirect("file:///etc/passwd"),
    ] {
        server.heal_all();
        server.fail("/f", fault);
        let remote = remote(&server);
        let error = bytes(&transport_by_default, &remote, "/f")
            .await
            .expect_err("a fault");
        assert!(lines(&error)[0].contains(&server.url()), "{error}");
    }
    let pin = TlsTrust::Pin(vec![Sha256::of(b"another")]);
    let https = remote_at(&format!("https+lxc-images://{}", server.authority()));
    for remote in [
        nonsense.remote(),
        remote(&encrypted),
        remote(&encrypted).with_tls(pin),
        https,
        remote_at("unix+lxd:///no/such/socket"),
        remote_at("http+lxc-images://127.0.0.1:1"),
    ] {
        let error = bytes(&transport_by_default, &remote, "/f")
            .await
            .expect_err("a fault");
        lines(&error);
    }
    let through = Proxy::Through("http://127.0.0.1:1".parse().expect("a URL"));
    let proxied = transport(|options| options.proxy = through);
    for remote in [
        remote_at("https+lxc-images://images.invalid"),
        remote_at("http+lxc-images://images.invalid").with_cleartext(Cleartext::Allow),
    ] {
        let error = bytes(&proxied, &remote, "/f").await.expect_err("no proxy");
        let lines = lines(&error);
        assert!(
            lines[0].contains("through the proxy http://127.0.0.1:1"),
            "{lines:?}"
        );
        assert!(
            lines.iter().any(|line| line.contains("refused")),
            "{lines:?}"
        );
    }
}
