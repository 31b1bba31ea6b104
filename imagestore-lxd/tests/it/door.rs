//! Our own door, word for word: what it says to whom over https and over a socket.

mod wire;

use imagestore_lxd::ImageKind;
use imagestore_lxd::serve::{Door, ServedImage, Shelf};

pub(crate) use self::wire::Wire;
use crate::serve::{Open, open, verified};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_by_method_and_path() {
    let [unified, split, ..] = fingerprints();
    let (urls, prefix) = (format!("\"/1.0/images/{split}\""), &unified[..12]);
    let image = format!("\"fingerprint\":\"{unified}\"");
    let target = format!("\"target\":\"{unified}\"");
    let path = |rest: &str| format!("/1.0/images/{rest}");
    let missing = "\"error_code\":404,\"error\":\"Image not found\",\"metadata\":null}";
    let nothing = "\"error_code\":404,\"error\":\"not found\",\"metadata\":null}";
    let table: &[(&str, &str, u16, &str)] = &[
        ("GET", "/", 200, "\"metadata\":[\"/1.0\"]"),
        ("GET", "/1.0", 200, "\"auth\":\"untrusted\""),
        ("GET", "/1.0/", 200, "\"api_version\":\"1.0\""),
        ("GET", "/1.0?project=default", 200, "\"public\":true"),
        ("HEAD", "/1.0", 501, ""),
        ("HEAD", &path(&unified), 501, ""),
        ("POST", "/1.0/images", 403, "\"error\":\"not authorized\""),
        ("PUT", &path(&unified), 403, "\"error_code\":403"),
        ("PATCH", &path(&unified), 403, "\"type\":\"error\""),
        ("DELETE", &path(&unified), 403, "\"status_code\":0"),
        ("OPTIONS", "*", 403, "\"status\":\"\""),
        ("BREW", "/1.0", 403, "\"operation\":\"\""),
        ("GET", "/1.0/images", 200, &urls),
        ("GET", "/1.0/images/", 200, &urls),
        ("GET", "/1.0/images?recursion=0", 200, &urls),
        ("GET", "/1.0/images?recursion=x", 200, &urls),
        ("GET", "/1.0/images?recursion=-1", 200, &urls),
        ("GET", "/1.0/images?recursion=1", 200, &image),
        ("GET", "/1.0/images?recursion=2", 200, &image),
        ("GET", "/1.0/images?a=b&recursion=07", 200, &image),
        ("GET", "/1.0/images?project=", 200, &urls),
        ("GET", "/1.0/images?project=default", 200, &urls),
        ("GET", "/1.0/images?project=x", 404, "Project not found"),
        ("GET", "/1.0/images?project=%64efault", 200, &urls),
        ("GET", "/1.0/images/aliases", 403, "not authorized"),
        ("GET", "/1.0/images/aliases/", 403, "not authorized"),
        (
            "GET",
            "/1.0/images/aliases?recursion=1",
            403,
            "not authorized",
        ),
        ("GET", "/1.0/images/aliases/a%2Fb", 200, &target),
        ("GET", "/1.0/images/aliases/a%2fb", 200, &target),
        ("GET", "/1.0/images/aliases/a/b", 200, &target),
        ("GET", "/1.0/images/aliases/a/b/export", 404, "alias"),
        ("GET", "/1.0/images/aliases/a", 404, "Image alias not found"),
        ("GET", "/1.0/images/aliases/%ff", 404, "alias"),
        ("GET", "/1.0/images/aliases/%", 404, "alias"),
        ("GET", &path(&unified), 200, &image),
        ("GET", &path(&format!("{unified}/")), 200, &image),
        ("GET", &path(prefix), 200, &image),
        ("GET", &path(&format!("{prefix}/export")), 200, "unified"),
        ("GET", &path(&unified[..11]), 404, missing),
        ("GET", &path(&format!("{unified}0")), 404, missing),
        ("GET", &path(&unified.to_uppercase()), 404, missing),
        ("GET", &path(&prefix.to_uppercase()), 404, missing),
        ("GET", &path(TWINS), 404, missing),
        ("GET", &path(&fingerprints()[2][..13]), 200, TWINS),
        ("GET", &path(&"0".repeat(64)), 404, missing),
        ("GET", &path("nope/export"), 404, missing),
        ("GET", &path(&format!("{unified}/secret")), 404, missing),
        ("GET", &path("../images"), 404, missing),
        ("GET", "/2.0", 404, nothing),
        ("GET", "/1.0x", 404, nothing),
        ("GET", "/1.0images", 404, nothing),
        ("GET", "/1.0/imagesx", 404, nothing),
        ("GET", "/1.0/instances", 404, nothing),
        ("GET", "//1.0", 404, nothing),
    ];
    let opened = Opened::new().await;
    for mut wire in opened.wires() {
        for (method, target, status, text) in table {
            let reply = wire.ask(method, target, "");
            let body = String::from_utf8_lossy(&reply.body);
            assert_eq!(reply.status, *status, "{method} {target}: {body}");
            assert!(body.contains(text), "{method} {target}: {body}");
            if !target.ends_with("export") {
                assert_eq!(reply.field("content-type"), Some("application/json"));
            }
            if *status != 200 {
                let nosniff = reply.field("x-content-type-options");
                assert_eq!(nosniff, Some("nosniff"), "{method} {target}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_it_in_the_words_of_hosts() {
    let [unified, ..] = fingerprints();
    let sync = |metadata: &str| {
        format!(
            "{{\"type\":\"sync\",\"status\":\"Success\",\"status_code\":200,\"operation\":\"\",\
             \"error_code\":0,\"error\":\"\",\"metadata\":{metadata}}}"
        )
    };
    let host = "{\"api_extensions\":[\"image_types\"],\"api_status\":\"stable\",\
         \"api_version\":\"1.0\",\"auth\":\"untrusted\",\"auth_methods\":[\"tls\"],\"public\":true}";
    let alias = format!(
        "{{\"name\":\"a/b\",\"description\":\"\",\"target\":\"{unified}\",\"type\":\"container\"}}"
    );
    let (name, never) = (
        |name: &str| format!("{{\"name\":\"{name}\",\"description\":\"\"}}"),
        "\"0001-01-01T00:00:00Z\"",
    );
    let image = format!(
        "{{\"aliases\":[{},{}],\"architecture\":\"x86_64\",\"auto_update\":false,\"cached\":false,\
         \"created_at\":{never},\"expires_at\":{never},\"filename\":\"{unified}.tar\",\
         \"fingerprint\":\"{unified}\",\"last_used_at\":{never},\"profiles\":[],\"properties\":{{}},\
         \"public\":true,\"size\":7,\"type\":\"container\",\"uploaded_at\":{never}}}",
        name("a/b"),
        name("unified"),
    );
    let refusal = "{\"type\":\"error\",\"status\":\"\",\"status_code\":0,\"operation\":\"\",\
         \"error_code\":404,\"error\":\"Image alias not found\",\"metadata\":null}";
    let opened = Opened::new().await;
    for mut wire in opened.wires() {
        for (target, wanted) in [
            ("/1.0", sync(host)),
            ("/1.0/images/aliases/a%2Fb", sync(&alias)),
            (&format!("/1.0/images/{unified}"), sync(&image)),
            ("/1.0/images/aliases/x", refusal.to_owned()),
        ] {
            let body = wire.ask("GET", target, "").body;
            assert_eq!(String::from_utf8_lossy(&body), wanted, "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_the_part_that_is_asked_for() {
    let [unified, split, ..] = fingerprints();
    let tag = format!("If-Range: \"{unified}\"\r\n");
    let matched = |range: &str| format!("Range: bytes={range}\r\n{tag}");
    let (whole, none) = (UNIFIED, None);
    let table: &[(&str, u16, Option<&str>, &[u8])] = &[
        ("Range: bytes=0-\r\n", 206, Some("bytes 0-6/7"), b"unified"),
        ("Range: bytes=5-\r\n", 206, Some("bytes 5-6/7"), b"ed"),
        ("Range: bytes=2-4\r\n", 206, Some("bytes 2-4/7"), b"ifi"),
        ("Range: bytes=2-2\r\n", 206, Some("bytes 2-2/7"), b"i"),
        ("Range: bytes=2-99\r\n", 206, Some("bytes 2-6/7"), b"ified"),
        ("Range: bytes=-3\r\n", 206, Some("bytes 4-6/7"), b"ied"),
        ("Range: bytes=-99\r\n", 206, Some("bytes 0-6/7"), whole),
        ("Range: bytes=7-\r\n", 416, Some("bytes */7"), b""),
        ("Range: bytes=7-9\r\n", 416, Some("bytes */7"), b""),
        ("Range: bytes=-0\r\n", 416, Some("bytes */7"), b""),
        ("Range: bytes=4-2\r\n", 200, none, whole),
        ("Range: bytes=0-1,3-4\r\n", 200, none, whole),
        ("Range: bytes=-\r\n", 200, none, whole),
        ("Range: lines=0-1\r\n", 200, none, whole),
        (&matched("5-"), 206, Some("bytes 5-6/7"), b"ed"),
        (&matched("9-"), 416, Some("bytes */7"), b""),
        (
            "Range: bytes=5-\r\nIf-Range: \"other\"\r\n",
            200,
            none,
            whole,
        ),
        (
            "Range: bytes=9-\r\nIf-Range: \"other\"\r\n",
            200,
            none,
            whole,
        ),
        (
            "Range: bytes=5-\r\nIf-Range: Sat, 29 Oct 1994 19:43:31 GMT\r\n",
            200,
            none,
            whole,
        ),
        (&tag, 200, none, whole),
    ];
    let opened = Opened::new().await;
    for mut wire in opened.wires() {
        for (fields, status, range, body) in table {
            let reply = wire.ask("GET", &format!("/1.0/images/{unified}/export"), fields);
            assert_eq!(reply.status, *status, "{fields}");
            assert_eq!(reply.field("content-range"), *range, "{fields}");
            if *status != 416 {
                assert_eq!(reply.body, *body, "{fields}");
            }
        }
        let export = format!("/1.0/images/{split}/export");
        let reply = wire.ask("GET", &export, "Range: bytes=5-\r\n");
        assert_eq!((reply.status, reply.field("content-range")), (200, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_look_as_those_of_hosts() {
    let [unified, split, _, _, machine] = fingerprints();
    let opened = Opened::new().await;
    for mut wire in opened.wires() {
        let reply = wire.ask("GET", &format!("/1.0/images/{unified}/export"), "");
        let name = format!("inline;filename={unified}.tar");
        for (field, wanted) in [
            ("content-type", "application/octet-stream"),
            ("content-length", "7"),
            ("accept-ranges", "bytes"),
            ("etag", &format!("\"{unified}\"")),
            ("content-disposition", &name),
        ] {
            assert_eq!(reply.field(field), Some(wanted), "{field}");
        }
        for (fingerprint, part, root, ending) in [
            (&split, "rootfs", &b"hsqs root"[..], ".squashfs"),
            (&machine, "rootfs.img", b"QFI\xfb disk", ".qcow2"),
        ] {
            let reply = wire.ask("GET", &format!("/1.0/images/{fingerprint}/export"), "");
            let boundary = &fingerprint[..60];
            let kind = format!("multipart/form-data; boundary={boundary}");
            assert_eq!(reply.field("content-type"), Some(kind.as_str()));
            assert_eq!(reply.field("accept-ranges"), None);
            let head = |name: &str, file: &str| {
                format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; \
                     filename=\"{file}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
                )
            };
            let first = head("metadata", &format!("meta-{fingerprint}.tar.xz"));
            let second = head(part, &format!("{fingerprint}{ending}"));
            let end = format!("\r\n--{boundary}--\r\n");
            let between = &b"\r\n"[..];
            let body = [
                first.as_bytes(),
                METADATA,
                between,
                second.as_bytes(),
                root,
                end.as_bytes(),
            ];
            assert_eq!(reply.body, body.concat(), "{part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_heads_that_are_too_large() {
    let many = "a: b\r\n".repeat(101);
    let enough = "a: b\r\n".repeat(90);
    let long = format!("a: {}\r\n", "b".repeat(70 << 10));
    let opened = Opened::new().await;
    for wires in [0, 1] {
        let wire = || opened.wires().remove(wires);
        assert_eq!(wire().ask("GET", "/1.0", &enough).status, 200);
        assert_eq!(wire().ask("GET", "/1.0", &many).status, 431);
        assert_eq!(wire().ask("GET", "/1.0", "no colon\r\n").status, 400);
        for head in [
            format!("GET /1.0 HTTP/1.1\r\nHost: x\r\n{long}\r\n"),
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "b".repeat(70 << 10)),
        ] {
            // What was not read of it resets the connection, perhaps before the answer is here.
            let mut wire = wire();
            wire.send(&head);
            let status = wire.reply("GET").map(|reply| reply.status);
            assert!(matches!(status, None | Some(414 | 431)), "{status:?}");
            assert!(wire.reply("GET").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_no_body_for_a_request() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let second = "GET /1.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let (size, chunk) = (hidden.len(), format!("{:x}\r\n{hidden}\r\n", hidden.len()));
    let opened = Opened::new().await;
    for body in [
        format!("Content-Length: {size}\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"),
        format!("Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"),
    ] {
        for mut wire in opened.wires() {
            let first = format!("GET /1.0/images HTTP/1.1\r\nHost: x\r\n{body}");
            wire.send(&format!("{first}{second}"));
            let reply = wire.reply("GET").expect("an answer");
            assert_eq!((reply.status, reply.whole), (200, true));
            // The connection may end here. If it does not, the next request is behind the body.
            let next = wire.reply("GET").map(|reply| reply.status);
            assert!(matches!(next, None | Some(200)), "{next:?}");
            assert!(wire.reply("GET").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_turn_on_one_connection() {
    let [unified, split, ..] = fingerprints();
    let opened = Opened::new().await;
    for mut wire in opened.wires() {
        let targets = [
            format!("/1.0/images/{unified}/export"),
            format!("/1.0/images/{split}/export"),
            "/1.0".to_owned(),
        ];
        for target in &targets {
            wire.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        assert_eq!(wire.reply("GET").expect("one").body, UNIFIED);
        assert!(wire.reply("GET").expect("two").body.starts_with(b"--"));
        assert!(wire.reply("GET").expect("three").body.starts_with(b"{"));
        let last = wire.ask("GET", "/1.0", "Connection: close\r\n");
        assert_eq!(
            (last.status, last.field("connection")),
            (200, Some("close"))
        );
        assert!(wire.reply("GET").is_none());
    }
}

/// Unified, split, two whose fingerprints begin alike, and a virtual machine.
fn images() -> [ServedImage; 5] {
    let unified = |bytes: &[u8]| ServedImage::unified(verified(bytes)).expect("an image");
    let split =
        |root: &[u8]| ServedImage::split(verified(METADATA), verified(root)).expect("an image");
    [
        unified(UNIFIED).with_alias("a/b").with_alias("unified"),
        split(b"hsqs root"),
        unified(b"twin 2679250"),
        unified(b"twin 21014870"),
        split(b"QFI\xfb disk").with_kind(ImageKind::VirtualMachine),
    ]
}

fn fingerprints() -> [String; 5] {
    images().map(|image| image.fingerprint().to_string())
}

/// The images behind a door of each kind.
struct Opened {
    https: Open,
    directory: tempfile::TempDir,
    running: tokio::task::JoinHandle<()>,
}

impl Opened {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::new();
        shelf.show(images()).expect("names that differ");
        let door = Door::socket(shelf, &directory.path().join("socket")).expect("a door");
        Self {
            https: open(images().into()).await,
            directory,
            running: tokio::spawn(door.run()),
        }
    }

    fn wires(&self) -> Vec<Wire> {
        let https = Wire::https(&self.https.url, &self.https.certificate_pem);
        vec![https, Wire::socket(&self.directory.path().join("socket"))]
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.running.abort();
    }
}

const UNIFIED: &[u8] = b"unified";
const METADATA: &[u8] = b"\xfd7zXZ metadata";
/// What two of the fingerprints begin with.
const TWINS: &str = "3b02300f0fb7";
