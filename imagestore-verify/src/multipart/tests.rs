use std::io::Read;

use super::*;
use crate::digest::Sha256;

const TYPE: &str = "multipart/form-data; boundary=b0";

/// The contents of the files of a body of two parts that comes in pieces of `step` bytes.
fn take_apart(body: &[u8], step: usize) -> Result<Vec<Vec<u8>>, MultipartError> {
    let part = |name: &str| -> Result<FormPart, MultipartError> {
        Ok(FormPart::new(tempfile::tempfile()?).with_name(Some(name.to_owned())))
    };
    let parts = vec![part("metadata")?, part("rootfs")?];
    let check = StreamingCheck::new().with_digest(Sha256::of(b"meta\r\n--b\r\n--b1root"));
    let mut spool = MultipartSpool::new(parts, TYPE, check)?;
    for piece in body.chunks(step) {
        spool.write(&Unverified::new(Bytes::copy_from_slice(piece)))?;
    }
    let mut contents = Vec::new();
    for mut file in spool.finish()?.into_inner() {
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        contents.push(content);
    }
    Ok(contents)
}

fn body(end: &str) -> Vec<u8> {
    let header = |name: &str| {
        format!(
            "Content-Disposition: form-data; name=\"{name}\"; filename=\"x; name=y\"\r\nContent-Type: a/b\r\n\r\n"
        )
    };
    let (first_header, second_header) = (header("metadata"), header("rootfs"));
    let first = "meta\r\n--b\r\n--b1";
    format!("--b0\r\n{first_header}{first}\r\n--b0\r\n{second_header}root{end}").into_bytes()
}

#[test]
fn parts_two_files_however_the_body_is_cut() {
    for end in [
        "\r\n--b0--\r\n",
        "\r\n--b0--",
        "\r\n--b0--\r\n\r\n--b0--\r\n",
    ] {
        let body = body(end);
        for step in 1..=body.len() {
            let contents = take_apart(&body, step).expect("a body of two parts");
            assert_eq!(contents, [&b"meta\r\n--b\r\n--b1"[..], b"root"], "{step}");
        }
    }
}

#[test]
fn refuses_other_forms_and_says_which() {
    let swap = |from: &str, to: &str| {
        let text = String::from_utf8(body("\r\n--b0--\r\n")).expect("text");
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1).into_bytes()
    };
    let long = format!("Content-Type: {}", "x".repeat(9000));
    let cases = [
        (
            swap("--b0\r\n", "junk\r\n--b0\r\n"),
            "it does not begin with its boundary",
        ),
        (
            swap("--b0\r\n", "--b0 \r\n"),
            "a boundary is followed by neither a part nor the end",
        ),
        (
            swap("root\r\n--b0--", "root\r\n--b0\r\n\r\n\r\n--b0--"),
            "it has more parts than files",
        ),
        (
            swap("\r\n--b0\r\n", "\r\n--b0--\r\n"),
            "it has fewer parts than files",
        ),
        (
            swap("Content-Type: a/b", &long),
            "the header of a part is too long",
        ),
        (
            [body("\r\n--b0--"), vec![b' '; 9000]].concat(),
            "too much comes after the end line",
        ),
    ];
    for (body, rule) in cases {
        for step in [1, 7, body.len()] {
            let error = take_apart(&body, step).expect_err(rule);
            assert_eq!(
                error.to_string(),
                format!("the multipart body is malformed: {rule}")
            );
        }
    }
    for (body, found) in [
        (swap("\"metadata\"", "\"rootfs\""), "rootfs"),
        (swap("\"metadata\"", "\"\u{7}\""), "\\u{7}"),
        (swap("name=\"metadata\"; ", ""), ""),
    ] {
        let error = take_apart(&body, 9).expect_err("another part");
        assert_eq!(
            error.to_string(),
            format!("the multipart body has a part `{found}` where `metadata` is expected")
        );
    }
    let unnamed = swap("Content-Disposition", "X-Disposition");
    let error = take_apart(&unnamed, 9).expect_err("no name");
    assert_eq!(
        error.to_string(),
        "the multipart body is malformed: a part has no disposition, or several"
    );
    let cut = body("\r\n--b0");
    let error = take_apart(&cut, 5).expect_err("no end line");
    assert_eq!(
        error.to_string(),
        "the multipart body ends before its end line"
    );
    let changed = swap("root\r\n", "r00t\r\n");
    assert!(matches!(
        take_apart(&changed, 5),
        Err(MultipartError::Check(_))
    ));
}

#[test]
fn reads_the_boundary_of_a_media_type() {
    for text in [
        TYPE,
        "Multipart/Form-Data;Boundary=\"b0\"",
        "multipart/form-data; a=b; boundary=b0",
    ] {
        assert_eq!(boundary(text).expect(text), "b0");
    }
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    for text in [
        "text/plain; boundary=b0",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        &long,
    ] {
        assert!(boundary(text).is_err(), "{text}");
    }
}
