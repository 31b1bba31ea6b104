//! Small archives in memory.

use imagestore_unpack::{
    Member, MemberLimits, UnpackErrorKind, read_members, read_members_from_bytes,
};

use crate::archive::{Archive, Header};
use crate::scene::{filter, verified, verified_bytes};

fn member(name: &str, data: &[u8]) -> Member {
    Member {
        name: name.into(),
        data: data.to_vec(),
    }
}

#[test]
fn files_come_in_their_order() {
    let archive = Archive::new()
        .directory("./")
        .file("./create-message", b"hello\n")
        .file("config", b"")
        .file("excludes-user", b"\n");
    let archive = filter("gzip", &["-c"], &archive.end());
    let expected = [
        member("create-message", b"hello\n"),
        member("config", b""),
        member("excludes-user", b"\n"),
    ];
    let limits = MemberLimits::default();
    assert_eq!(
        read_members(&verified(&archive), &limits).expect("flat"),
        expected
    );
    assert_eq!(
        read_members_from_bytes(&verified_bytes(&archive), &limits).expect("flat"),
        expected
    );
}

#[test]
fn directories_are_taken_only_where_names_may_be_deep() {
    let archive = Archive::new()
        .file("metadata.yaml", b"architecture: x86_64\n")
        .directory("templates")
        .file("templates/hostname.tpl", b"{{ name }}\n")
        .end();
    let mut limits = MemberLimits::default();
    let error = read_members(&verified(&archive), &limits).expect_err("not flat");
    assert_eq!(error.kind(), UnpackErrorKind::Unsafe);
    assert_eq!(
        error.to_string(),
        "metadata may hold regular files only: `templates` at byte 1024 of the unpacked archive"
    );
    limits.components = 2;
    let members = read_members(&verified(&archive), &limits).expect("two levels");
    assert_eq!(
        members[1],
        member("templates/hostname.tpl", b"{{ name }}\n")
    );
}

#[test]
fn everything_but_files_is_refused() {
    let fifo = Header::new(b'6', "x");
    for (archive, kind, message) in [
        (
            Archive::new().symlink("x", "/etc/shadow"),
            UnpackErrorKind::Unsafe,
            "metadata may hold regular files only: `x`",
        ),
        (
            Archive::new().file("y", b"").hard_link("x", "y"),
            UnpackErrorKind::Unsafe,
            "metadata may hold regular files only: `x`",
        ),
        (
            Archive::new().device(b'3', "x", 1, 3),
            UnpackErrorKind::Unsafe,
            "metadata may hold regular files only: `x`",
        ),
        (
            Archive::new().member(fifo, b""),
            UnpackErrorKind::Unsafe,
            "metadata may hold regular files only: `x`",
        ),
        (
            Archive::new().file("../x", b""),
            UnpackErrorKind::Unsafe,
            "the name leaves the target: `../x`",
        ),
        (
            Archive::new().file("/x", b""),
            UnpackErrorKind::Unsafe,
            "the name is absolute: `/x`",
        ),
        (
            Archive::new().file("a/b", b""),
            UnpackErrorKind::TooLarge,
            "a name has more components than the limit of 1: `a/b`",
        ),
        (
            Archive::new().file("x", b"").file("./x", b""),
            UnpackErrorKind::Malformed,
            "the name comes twice: `./x`",
        ),
    ] {
        let error = read_members(&verified(&archive.end()), &MemberLimits::default());
        let error = error.expect_err("it must be refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{message} at byte ")),
            "{error}"
        );
    }
}

#[test]
fn limits_hold_for_each_and_for_all() {
    let mut limits = MemberLimits::default();
    (limits.bytes, limits.member_bytes, limits.members) = (100 << 10, 1000, 3);
    let read = |archive: Archive| read_members_from_bytes(&verified_bytes(&archive.end()), &limits);
    let error = read(Archive::new().file("x", &[0; 1001])).expect_err("too long");
    assert_eq!(
        error.to_string(),
        "a file of 1001 bytes is over the limit of 1000 for metadata: `x` at byte 0 of the \
         unpacked archive"
    );
    assert_eq!(error.kind(), UnpackErrorKind::TooLarge);
    let four = "abcd"
        .chars()
        .fold(Archive::new(), |a, name| a.file(name.to_string(), b""));
    assert_eq!(
        read(four).expect_err("too many").kind(),
        UnpackErrorKind::TooLarge
    );
    let padded = Archive::new().raw(&[0; 200 << 10]);
    let error = read(padded).expect_err("too much");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            UnpackErrorKind::TooLarge,
            "the archive unpacks to more than the limit of 102400 bytes"
        )
    );
}
