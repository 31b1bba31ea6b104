use imagestore_core::{Error, ErrorKind, Result};

/// Does work that blocks on a thread of its own. It goes on when the future is dropped, and so must
/// itself hold the locks it needs.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|cause| {
        Error::new(ErrorKind::Canceled, "the work of the store was stopped").with_source(cause)
    })?
}
