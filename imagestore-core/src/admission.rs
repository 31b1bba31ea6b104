use std::fmt;

use async_trait::async_trait;

use crate::error::Result;
use crate::transport::{Body, Get, Transport};

/// How to ask for a [`Download`](crate::Download) that its URL alone does not open.
///
/// What opens it may live for seconds. So it is no part of the image: it is made for each request
/// that is sent, the first, a later attempt, or one for the rest of a file.
///
/// # Contract
/// - The answer is that of the transport to the same request at a URL with something added to it.
/// - [`Body::url`] is the URL of the request as it was given: see [`Body::with_url`].
/// - What is added never appears in `Debug`, in errors or in events.
#[async_trait]
pub trait Admission: fmt::Debug + Send + Sync {
    /// The answer to this request, with what opens it added.
    async fn get(&self, transport: &dyn Transport, request: Get<'_>) -> Result<Body>;
}
