//! Downloads that broke off: a unified image is gone on with, a split one begins anew.

use std::collections::BTreeMap;

use imagestore_testkit::server::Framing;
use imagestore_testkit::{Fault, Request};

use super::reply::Reply;
use super::scene::{Call, Door, Scene};
use super::{SPLIT, UNIFIED};

/// The answers to those who asked for a range. The bodies of two of them were not kept.
pub(super) const RECORDINGS: [&str; 3] = [BEYOND, PART, SPLIT_AGAIN];
const BEYOND: &str = "rest/range_unified_416";
const PART: &str = "rest/range_unified";
const SPLIT_AGAIN: &str = "rest/range_split";
const EXPORT: &str = "rest/export_unified";

#[tokio::test]
async fn goes_on_with_a_unified_image_by_the_time_of_its_change() {
    let whole = Reply::read(EXPORT).body;
    // What was asked for when it was recorded ended before the file does.
    let rest = Reply::read(PART)
        .with_field("Content-Range", "bytes 100-555/556")
        .with_field("Content-Length", "456")
        .with_body(whole[100..].to_vec());
    let exports = fetch_with_rest(rest, None).await;
    assert_eq!(shown(&exports), ["200", "200", REST_OF_206]);
    assert_eq!(exports[2].sent, 456);
}

#[tokio::test]
async fn begins_anew_when_another_range_comes_than_was_asked_for() {
    let whole = Reply::read(EXPORT).body;
    let part = Reply::read(PART).with_body(whole[100..200].to_vec());
    assert_eq!(part.field("Content-Range"), Some("bytes 100-199/556"));
    let exports = fetch_with_rest(part, None).await;
    assert_eq!(shown(&exports), ["200", "200", REST_OF_206, "200"]);
}

/// Seen of LXD 5.0.2: the length is that of the whole file, and the connection ends before.
#[tokio::test]
async fn begins_anew_after_a_416_whatever_follows_it() {
    let beyond = Reply::read(BEYOND);
    assert_eq!(beyond.body, b"invalid range: failed to overlap\n");
    assert_eq!(beyond.field("Content-Length"), Some("556"));
    let cut = Fault::CutBody {
        after: beyond.body.len() as u64,
        framing: Framing::Length,
    };
    let mut body = beyond.body.clone();
    body.resize(556, 0);
    let exports = fetch_with_rest(beyond.with_body(body), Some(cut)).await;
    assert_eq!(shown(&exports), ["200", "200", REST_OF_416, "200"]);
}

#[tokio::test]
async fn begins_a_split_image_anew_and_asks_for_no_range() {
    let export = Reply::read("rest/export_split");
    let again = Reply::read(SPLIT_AGAIN);
    let (old, new) = (boundary(&export), boundary(&again));
    assert_ne!(old, new);
    // Asked for with a range, and whole all the same; the body is that of the other boundary.
    let body = replaced(&export.body, old.as_bytes(), new.as_bytes());
    let again = again.with_body(body);
    let path = format!("/1.0/images/{SPLIT}/export");
    let scene = Scene::answering(
        Door::Https,
        BTreeMap::from([
            (
                "GET /1.0/images/{split}".to_owned(),
                vec![Reply::read("rest/image_split")],
            ),
            (
                "GET /1.0/images/{split}/export".to_owned(),
                vec![export.clone(), export, again],
            ),
        ]),
    );
    scene.server.heal_all();
    let cut = Fault::CutBody {
        after: 700,
        framing: Framing::Chunked,
    };
    scene.server.fail_times(&path, cut, 2);
    let fetched = scene.outcome(Call::Fetch(SPLIT)).await;
    assert_eq!(fetched, "metadata.tar of 472, rootfs of 236");
    let exports = scene.server.requests_for(&path);
    let ranges = exports.iter().map(|request| request.field("range"));
    assert_eq!(ranges.collect::<Vec<_>>(), [None; 3]);
    scene.asked_for_all_and_nothing_else();
}

/// Fetches an image that breaks off after 100 bytes, with this answer to the request for the rest.
/// Gives the requests for bytes.
async fn fetch_with_rest(rest: Reply, fault: Option<Fault>) -> Vec<Request> {
    let export = Reply::read(EXPORT);
    assert!(export.field("ETag").is_none());
    let path = format!("/1.0/images/{UNIFIED}/export");
    let scene = Scene::answering(
        Door::Https,
        BTreeMap::from([
            (
                "GET /1.0/images/{unified}".to_owned(),
                vec![Reply::read("rest/image_unified")],
            ),
            ("GET /1.0/images/{unified}/export".to_owned(), vec![export]),
            (
                "GET /1.0/images/{unified}/export [bytes=100-]".to_owned(),
                vec![rest],
            ),
        ]),
    );
    let cut = Fault::CutBody {
        after: 100,
        framing: Framing::Length,
    };
    // The first is that of the look-up, of which only the head is read.
    scene.server.fail_times(&path, cut, 2);
    if let Some(fault) = fault {
        scene.server.fail_once(&path, fault);
    }
    let fetched = scene.outcome(Call::Fetch(UNIFIED)).await;
    assert_eq!(fetched, "unified.tar of 556");
    scene.asked_for_all_and_nothing_else();
    scene.server.requests_for(&path)
}

/// The status of each answer, after the range that was asked for and its condition.
fn shown(requests: &[Request]) -> Vec<String> {
    let shown = requests.iter().map(|request| {
        let fields = ["range", "if-range"].map(|name| request.field(name));
        let fields: String = fields
            .iter()
            .flatten()
            .map(|it| format!("{it}: "))
            .collect();
        format!("{fields}{}", request.status)
    });
    shown.collect()
}

fn boundary(reply: &Reply) -> String {
    let kind = reply.field("Content-Type").expect("a type");
    let (_, boundary) = kind.split_once("boundary=").expect("a boundary");
    boundary.to_owned()
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
    bytes
}

const REST_OF_206: &str = "bytes=100-: Mon, 23 Nov 2026 18:53:40 GMT: 206";
const REST_OF_416: &str = "bytes=100-: Mon, 23 Nov 2026 18:53:40 GMT: 416";
