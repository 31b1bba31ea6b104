//! The documents of a tree, in whichever signed form they are there.

use imagestore_core::{Caches, Context, Document, Parsed, RemoteConfig, Result, Trust};
use imagestore_verify::{Framing, Verified};

/// A document of a tree, such as `/streams/v1/index`, without what its name ends in.
///
/// With keys it is the clear-signed one, because text and signature cannot be of two different
/// moments then, or else the plain one with the signature beside it. What is remembered of it
/// counts for all forms, so that leaving out the one form brings back no older document.
pub(crate) async fn fetch<T>(
    context: &Context,
    remote: &RemoteConfig,
    stem: &str,
    caches: Caches,
    parse: impl Fn(&[u8]) -> Result<Parsed<T>>,
) -> Result<Verified<T>> {
    let limit = context.limits().index_bytes;
    let plain = format!("{stem}.json");
    if let Trust::Signatures(_) = remote.trust() {
        let signed = Document::new(context, remote, &format!("{stem}.sjson"))?
            .with_signature_inside()
            .with_common_memory(&plain)
            .with_caches(caches)
            .with_limit(limit.saturating_add(context.limits().signature_bytes))
            .fetch_optional(&parse)
            .await?;
        if let Some(signed) = signed {
            return Ok(signed);
        }
    }
    Document::new(context, remote, &plain)?
        .with_signature(&format!("{plain}.gpg"))?
        .with_framing(Framing::default().with_binary())
        .with_common_memory(&plain)
        .with_caches(caches)
        .fetch(&parse)
        .await
}

/// The path of a product file without what it ends in, or nothing if no such document can be
/// there.
pub(crate) fn stem(path: &str) -> Option<&str> {
    path.strip_suffix(".sjson")
        .or_else(|| path.strip_suffix(".json"))
}
