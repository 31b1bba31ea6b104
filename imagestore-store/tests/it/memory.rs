use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use imagestore_core::freshness::{Mark, Memory};
use imagestore_core::{Document, ErrorKind, Parsed};
use imagestore_store::Store;
use imagestore_verify::Sha256;

use crate::scene::*;

const REMOTE: &str = "https+lxc-images://images.example";
const INDEX: &str = "https://images.example/meta/1.0/index-user";
const FORGET: &str = "if the remote was rebuilt on purpose, forget what is remembered of it";

fn mark(signed_at: u64, content: &[u8]) -> Mark {
    let mut mark = Mark::default();
    mark.signed_at = Some(at(signed_at));
    mark.digest = Some(Sha256::of(content));
    mark
}

#[tokio::test]
async fn index_is_replayed() {
    let scene = Scene::new();
    let context = scene.context.clone().with_memory(scene.store.memory());
    let serve = |bytes: &'static [u8], signed_at: u64| {
        scene.remote.put(INDEX, bytes);
        scene.remote.put(
            &format!("{INDEX}.asc"),
            key().sign_detached(bytes, at(signed_at)),
        );
    };
    let fetch = async || {
        let document =
            Document::new(&context, &scene.config, "/meta/1.0/index-user").expect("a path");
        document
            .fetch(|bytes| Ok(Parsed::new(bytes.to_vec())))
            .await
    };
    serve(b"new", SIGNED);
    assert_eq!(*fetch().await.expect("the first"), b"new");
    serve(b"old", SIGNED - 60);
    let error = fetch().await.expect_err("older");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    let message = format!(
        "is older than one seen before (signed at {}, seen before {SIGNED}): {INDEX}; {FORGET}",
        SIGNED - 60
    );
    assert_eq!(error.to_string(), message);
    serve(b"new", SIGNED - 60);
    assert_eq!(*fetch().await.expect("the same, signed before"), b"new");
    serve(b"another", SIGNED);
    let error = fetch().await.expect_err("two contents at one time");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    let text = error.to_string();
    assert!(
        text.contains(&Sha256::of(b"new").to_string())
            && text.contains(&Sha256::of(b"another").to_string())
    );
    serve(b"old", SIGNED - 60);
    scene
        .store
        .memory()
        .forget(&scene.config.id())
        .expect("forgotten");
    assert_eq!(*fetch().await.expect("the first again"), b"old");
}

#[test]
fn remembers_across_openings_and_tells_documents_and_remotes_apart() {
    let scene = Scene::new();
    let memory = scene.store.memory();
    memory
        .advance(
            REMOTE,
            "/index",
            &mark(20, b"new").with_counter("serial", 7),
        )
        .expect("the first");
    drop(memory);
    let store = Store::open(&scene.root()).expect("opens again");
    let memory = store.memory();
    let error = memory
        .advance(REMOTE, "/index", &mark(10, b"old"))
        .expect_err("older");
    assert_eq!(
        (error.kind(), error.to_string()),
        (
            ErrorKind::RolledBack,
            format!("is older than one seen before (signed at 10, seen before 20); {FORGET}")
        )
    );
    let error = memory
        .advance(REMOTE, "/index", &mark(30, b"c").with_counter("serial", 6))
        .expect_err("falls");
    assert_eq!(
        error.to_string(),
        format!("is older than one seen before (serial 6, seen before 7); {FORGET}")
    );
    memory
        .advance(REMOTE, "/other", &mark(10, b"old"))
        .expect("another document");
    memory
        .advance("elsewhere", "/index", &mark(10, b"old"))
        .expect("another remote");
    let marks = memory.marks(REMOTE).expect("whole");
    assert_eq!(marks.keys().collect::<Vec<_>>(), ["/index", "/other"]);
    assert_eq!(marks["/index"], mark(20, b"new").with_counter("serial", 7));
}

#[test]
fn changes_no_byte_for_what_it_refuses_or_knows() {
    let scene = Scene::new();
    let memory = scene.store.memory();
    memory
        .advance(REMOTE, "/index", &mark(20, b"new"))
        .expect("the first");
    let before: Vec<_> = copies(&scene)
        .iter()
        .map(|path| fs::read(path).expect("a copy"))
        .collect();
    memory
        .advance(REMOTE, "/index", &mark(10, b"old"))
        .expect_err("older");
    memory
        .advance(REMOTE, "/index", &mark(20, b"other"))
        .expect_err("two contents");
    memory
        .advance(REMOTE, "/index", &mark(20, b"new"))
        .expect("known");
    memory
        .advance(REMOTE, "/index", &mark(10, b"new"))
        .expect("known, signed before");
    let after: Vec<_> = copies(&scene)
        .iter()
        .map(|path| fs::read(path).expect("a copy"))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn reads_the_other_copy_when_one_is_damaged() {
    for damaged in [0, 1] {
        for content in [&b""[..], b"\xff\xfe", b"00\n{}\n"] {
            let scene = Scene::new();
            let memory = scene.store.memory();
            memory
                .advance(REMOTE, "/index", &mark(20, b"new"))
                .expect("the first");
            fs::write(&copies(&scene)[damaged], content).expect("spoilt");
            memory
                .advance(REMOTE, "/index", &mark(10, b"old"))
                .expect_err("older");
            memory
                .advance(REMOTE, "/index", &mark(30, b"newer"))
                .expect("newer");
            // Both copies are whole again.
            fs::write(&copies(&scene)[1 - damaged], content).expect("spoilt");
            assert_eq!(
                memory.marks(REMOTE).expect("whole")["/index"],
                mark(30, b"newer")
            );
        }
    }
}

#[test]
fn refuses_to_go_on_when_both_copies_are_damaged() {
    let scene = Scene::new();
    let memory = scene.store.memory();
    memory
        .advance(REMOTE, "/index", &mark(20, b"new"))
        .expect("the first");
    for copy in copies(&scene) {
        let mut bytes = fs::read(&copy).expect("a copy");
        let place = bytes.len() - 20;
        bytes[place] ^= 1;
        fs::write(&copy, bytes).expect("spoilt");
    }
    let error = memory
        .advance(REMOTE, "/index", &mark(10, b"old"))
        .expect_err("damaged");
    let place = copies(&scene)[1].canonicalize().expect("a path");
    let message = format!(
        "what is remembered of a remote is damaged: {}; forget what is remembered of it",
        place.display()
    );
    assert_eq!(
        (error.kind(), error.to_string()),
        (ErrorKind::Storage, message)
    );
    memory.forget(REMOTE).expect("forgotten");
    memory
        .advance(REMOTE, "/index", &mark(10, b"old"))
        .expect("the first again");
}

#[test]
fn a_copy_of_another_remote_is_not_believed() {
    let scene = Scene::new();
    let memory = scene.store.memory();
    memory
        .advance(REMOTE, "/index", &mark(20, b"new"))
        .expect("the first");
    let own = copies(&scene);
    memory
        .advance("elsewhere", "/index", &mark(1, b"x"))
        .expect("another");
    let other = copies(&scene)
        .into_iter()
        .find(|path| !own.contains(path))
        .expect("another");
    for copy in &own {
        fs::copy(&other, copy).expect("swapped");
    }
    let error = memory.marks(REMOTE).expect_err("swapped");
    assert_eq!(error.kind(), ErrorKind::Storage);
}

#[test]
fn writers_at_the_same_time_never_set_it_back() {
    let scene = Scene::new();
    let root = Arc::new(scene.root());
    let writers: Vec<_> = (0..4u64)
        .map(|writer| {
            let root = Arc::clone(&root);
            thread::spawn(move || {
                let memory = Store::open(&root).expect("opens").memory();
                let mut highest = 0;
                for round in 0..15 {
                    let serial = 1 + (round * 4 + writer * 7) % 60;
                    let next = Mark::default().with_counter("serial", serial);
                    if memory.advance(REMOTE, "/index", &next).is_ok() {
                        highest = highest.max(serial);
                    }
                    let seen = memory.marks(REMOTE).expect("whole")["/index"].counters["serial"];
                    assert!(seen >= highest, "{seen} after {highest}");
                }
                highest
            })
        })
        .collect();
    let highest = writers
        .into_iter()
        .map(|writer| writer.join().expect("no panic"))
        .max();
    let marks = scene.store.memory().marks(REMOTE).expect("whole");
    assert_eq!(Some(marks["/index"].counters["serial"]), highest);
}

fn copies(scene: &Scene) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&scene.root().join("trust"), &mut files);
    files.sort();
    files
}
