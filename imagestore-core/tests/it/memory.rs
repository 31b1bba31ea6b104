use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_core::Stream;
use imagestore_core::{Body, Caches, Error, ErrorKind, Get, Result, Transport, async_trait};

/// Answers from a table; what was asked for, and whether caches were bypassed, is written down.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) files: Mutex<HashMap<String, Vec<Vec<u8>>>>,
    pub(crate) asked: Mutex<Vec<(String, Caches)>>,
}

impl Table {
    /// What lies at `path`, first to last: the last answer is given again and again.
    pub(crate) fn with(self, path: &str, answers: &[&[u8]]) -> Self {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), answers);
        self
    }

    /// Puts this at `path`, whatever was there.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.to_owned(), vec![bytes.to_vec()]);
    }
}

#[async_trait]
impl Transport for Table {
    async fn get(&self, request: Get<'_>) -> Result<Body> {
        let path = request.url.path().to_owned();
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((path.clone(), request.caches));
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answers) = files.get_mut(&path) else {
            return Err(Error::new(ErrorKind::NotFound, "there is no such document")
                .with_subject(request.url));
        };
        let answer = if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        };
        Ok(Body::new(
            request.url.clone(),
            Once(Some(Bytes::from(answer))),
        ))
    }
}

struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
