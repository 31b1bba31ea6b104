use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE,
    RANGE,
};
use hyper::{Response, StatusCode};

use super::body::{Piece, Sent};
use super::image::{Served, ServedImage};
use super::range::Part;
use super::response::{failure, put};

/// The bytes: one file, of which a part may be asked for, or two in a multipart body.
pub(super) fn export(image: &ServedImage, headers: &HeaderMap) -> Response<Sent> {
    match image.files.as_slice() {
        [file] => unified(image, file, headers),
        _ => split(image),
    }
}

fn unified(image: &ServedImage, file: &Served, headers: &HeaderMap) -> Response<Sent> {
    let fingerprint = image.fingerprint.to_string();
    let tag = format!("\"{fingerprint}\"");
    let length = file.length;
    let (range, first, last) = match asked(headers, &tag, length) {
        Part::Beyond => {
            let mut response = failure(StatusCode::RANGE_NOT_SATISFIABLE, "no such range");
            put(&mut response, CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
        Part::Bytes { first, last } => {
            (Some(format!("bytes {first}-{last}/{length}")), first, last)
        }
        Part::Whole => (None, 0, length - 1),
    };
    let piece = Piece::file(file, first, last - first + 1);
    let mut response = Response::new(Sent::new([piece]));
    if let Some(range) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(&mut response, CONTENT_RANGE, &range);
    }
    put(&mut response, CONTENT_TYPE, "application/octet-stream");
    put(&mut response, ACCEPT_RANGES, "bytes");
    put(&mut response, ETAG, &tag);
    let name = format!("inline;filename={fingerprint}{}", file.ending);
    put(&mut response, CONTENT_DISPOSITION, &name);
    response
}

/// Which part the fields ask for, if the file is still the one that they mean.
fn asked(headers: &HeaderMap, tag: &str, length: u64) -> Part {
    let same = headers
        .get(IF_RANGE)
        .is_none_or(|mark| mark.as_bytes() == tag.as_bytes());
    match headers.get(RANGE).map(|range| range.to_str()) {
        Some(Ok(range)) if same => Part::of(range, length),
        _ => Part::Whole,
    }
}

fn split(image: &ServedImage) -> Response<Sent> {
    let fingerprint = image.fingerprint.to_string();
    // No file holds its own digest.
    let boundary = &fingerprint[..60];
    let mut pieces = Vec::new();
    let names = [("metadata", "meta-"), (image.kind.part(), "")];
    for (number, (file, (part, prefix))) in image.files.iter().zip(names).enumerate() {
        let before = if number == 0 { "" } else { "\r\n" };
        let ending = file.ending;
        let head = format!(
            "{before}--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; \
             filename=\"{prefix}{fingerprint}{ending}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        pieces.push(Piece::Bytes(head.into()));
        pieces.push(Piece::file(file, 0, file.length));
    }
    pieces.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    let mut response = Response::new(Sent::new(pieces));
    let kind = format!("multipart/form-data; boundary={boundary}");
    put(&mut response, CONTENT_TYPE, &kind);
    response
}
