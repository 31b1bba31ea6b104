use std::sync::Arc;

use imagestore_core::{Admission, Body, ErrorKind, Get, Result, Transport, async_trait};

use crate::remote::Fault;
use crate::scene::*;

/// Opens files by a word that is asked with.
#[derive(Debug)]
struct Word;

#[async_trait]
impl Admission for Word {
    async fn get(&self, transport: &dyn Transport, request: Get<'_>) -> Result<Body> {
        let mut url = request.url.clone();
        url.set_query(Some("word=5ec7e7"));
        let body = transport.get(request.with_url(&url)).await?;
        Ok(body.with_url(request.url.clone()))
    }
}

#[tokio::test]
async fn asks_as_a_download_wants_to_be_asked_for_the_rest_too_and_keeps_no_word_of_it() {
    let scene = Scene::new();
    let opened = format!("{ROOTFS}?word=5ec7e7");
    scene.remote.put(&opened, scene.rootfs.clone());
    scene.remote.remove(ROOTFS);
    let image = scene.image().map(|mut image| {
        let download = image.downloads.remove(1);
        image
            .downloads
            .push(download.with_admission(Some(Arc::new(Word))));
        image
    });
    scene.remote.fail(&opened, &[4_000; 4].map(Fault::Cut));
    let error = scene.fetch(&image).await.expect_err("breaks");
    assert_eq!(error.kind(), ErrorKind::Network);
    for file in scene.files() {
        let bytes = std::fs::read(&file).expect("readable");
        assert!(!bytes.windows(6).any(|six| six == b"5ec7e7"), "{file:?}");
    }
    scene.remote.forget();
    let stored = scene.fetch(&image).await.expect("the rest");
    assert_eq!(bytes_of(&stored, "rootfs.tar.xz"), scene.rootfs);
    assert_eq!(scene.remote.offsets(&opened), [4_000]);
    assert!(scene.remote.offsets(ROOTFS).is_empty());
}
