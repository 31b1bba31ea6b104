use super::*;

const PLAIN: &str = "\
ubuntu;trusty;amd64;default;20150427_03:49;/images/ubuntu/trusty/amd64/default/20150427_03:49/
ubuntu;trusty;i386;default;20150427_03:49;/images/ubuntu/trusty/i386/default/20150427_03:49/
";

fn parse(text: impl AsRef<[u8]>) -> Index {
    Index::parse(text.as_ref(), 1000).expect("an index")
}

fn printed(index: &Index) -> String {
    index.lines().map(|line| format!("{line}\n")).collect()
}

#[test]
fn reads_every_column() {
    let index = parse(PLAIN);
    let lines: Vec<_> = index.lines().collect();
    assert_eq!(
        lines[1],
        Line {
            number: 2,
            distribution: "ubuntu",
            release: "trusty",
            architecture: "i386",
            variant: "default",
            build: "20150427_03:49",
            path: "/images/ubuntu/trusty/i386/default/20150427_03:49/",
        }
    );
    assert_eq!(
        (index.line_count(), index.skipped(), index.first_skipped()),
        (2, 0, None)
    );
    assert_eq!(printed(&index), PLAIN);
}

#[test]
fn takes_line_ends_blanks_comments_and_a_byte_order_mark_as_they_come() {
    for text in [
        PLAIN.replace('\n', "\r\n"),
        PLAIN.replace('\n', " \t\r\n"),
        PLAIN.trim_end().to_owned(),
        format!("\u{feff}{PLAIN}"),
        format!("\n{}\n   \n# a comment\n#\n", PLAIN.replace('\n', "\n\n")),
        PLAIN.replace("/\n", "/;more;columns\n"),
        PLAIN.replace("/\n", "/;\n"),
    ] {
        let index = parse(&text);
        assert_eq!(printed(&index), PLAIN, "{text:?}");
        assert_eq!(index.skipped(), 0, "{text:?}");
    }
}

#[test]
fn skips_and_counts_lines_that_name_no_image() {
    let long = format!("{}\n", "x".repeat(9000));
    let bad: [&[u8]; 16] = [
        b"ubuntu;trusty\n",
        b"a;b;c;d;e\n",
        b"<html>\n",
        b"\0\0\0\n",
        b";;;;;\n",
        b"a;;c;d;e;/f\n",
        b"..;b;c;d;e;/f\n",
        b"a;.;c;d;e;/f\n",
        b"a/b;b;c;d;e;/f\n",
        b"a;b\\;c;d;e;/f\n",
        b"a;b;\x1b[31m;d;e;/f\n",
        b"a;b;c;d\0;e;/f\n",
        b"\xff;b;c;d;e;/f\n",
        b"a;b;c;d;e;/\xff\n",
        "a;\u{202e}b;c;d;e;/f\n".as_bytes(),
        long.as_bytes(),
    ];
    for line in bad {
        let index = parse([b"# first\n", line, PLAIN.as_bytes()].concat());
        assert_eq!(printed(&index), PLAIN, "{}", line.escape_ascii());
        assert_eq!(
            (index.line_count(), index.skipped(), index.first_skipped()),
            (3, 1, Some(2))
        );
    }
}

#[test]
fn keeps_lines_that_name_an_image_and_say_something_wrong_about_it() {
    for (build, path, fault) in [
        ("..", "/x/", Fault::Build),
        ("", "/x/", Fault::Build),
        ("../../../tmp/x", "/x/", Fault::Build),
        ("1", "", Fault::NoPath),
        ("1", "//evil.example/x/", Fault::Path),
        ("1", "https://evil.example/x/", Fault::Path),
        ("1", "/images/../../etc/", Fault::Path),
        ("1", "/images/%2e%2e/etc/", Fault::Path),
        ("1", "..", Fault::Path),
        ("1", "/x\\y", Fault::Path),
        ("1", "/x?y", Fault::Path),
        ("1", "/x#y", Fault::Path),
        ("1", "/x//y", Fault::Path),
        ("1", "/x//", Fault::Path),
        ("1", "/./x", Fault::Path),
        ("1", "/x y", Fault::Path),
        ("1", "/ä", Fault::Path),
        ("1", "/x\u{7f}", Fault::Path),
    ] {
        let index = parse(format!("{PLAIN}a;b;c;d;{build};{path}\n"));
        let rows: Vec<_> = index.rows().collect();
        assert_eq!(rows[2].1, Some(fault), "{build} {path}");
        assert_eq!(index.lines().count(), 2, "{build} {path}");
        assert_eq!((index.skipped(), index.first_skipped()), (1, Some(3)));
    }
}

#[test]
fn takes_paths_with_or_without_slashes_at_their_ends() {
    for path in ["/images/a/b/", "images/a/b", "/images/a/b", "images/a/b/"] {
        let index = parse(format!("a;b;c;d;e;{path}"));
        let line = index.lines().next().expect("one line");
        assert_eq!(line.path, path);
        assert_eq!(line.plain_path(), "images/a/b");
        assert_eq!(line.file("x"), format!("{}/x", path.trim_end_matches('/')));
    }
    assert_eq!(
        parse("a;b;c;d;e;/")
            .lines()
            .next()
            .map(|line| line.file("x")),
        Some("/x".into())
    );
}

#[test]
fn says_what_is_no_index() {
    let html = b"<!DOCTYPE html>\n<html><body>Log in; then; go; on</body></html>\n";
    let nul = [0; 20_000];
    let cases: [(&[u8], ParseError); 8] = [
        (b"", ParseError::Empty),
        (b"\n", ParseError::Empty),
        (b" \n\r\n\t", ParseError::Empty),
        (b"# only\n", ParseError::Empty),
        (b"\xef\xbb\xbf", ParseError::Empty),
        (html, ParseError::NotAnIndex { lines: 2 }),
        (&nul, ParseError::NotAnIndex { lines: 1 }),
        (b"a;b;c\nd\n", ParseError::NotAnIndex { lines: 2 }),
    ];
    for (bytes, wanted) in cases {
        assert_eq!(
            Index::parse(bytes, 1000),
            Err(wanted),
            "{}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(
        ParseError::NotAnIndex { lines: 2 }.to_string(),
        "not an index: none of its 2 lines names an image"
    );
}

#[test]
fn bounds_lines_and_their_number() {
    let long = format!("a;b;c;d;e;/{}", "x".repeat(9000));
    assert_eq!(
        Index::parse(format!("{PLAIN}{long}\n").as_bytes(), 1000),
        Err(ParseError::LineTooLong {
            line: 3,
            found: 9011,
            limit: 8192
        })
    );
    let many = "a;b;c;d;e;/f\n".repeat(1000);
    assert_eq!(parse(&many).lines().count(), 1000);
    let more = format!("{many}a;b;c;d;e;/f");
    assert_eq!(
        Index::parse(more.as_bytes(), 1000),
        Err(ParseError::TooManyLines { limit: 1000 })
    );
    assert_eq!(
        Index::parse(&b"\n".repeat(2000), 1000),
        Err(ParseError::TooManyLines { limit: 1000 })
    );
}

#[test]
fn reads_a_quarter_of_a_million_lines_in_linear_time_and_bounded_memory() {
    let mut text = String::new();
    for n in 0..250_000 {
        text.push_str(&format!(
            "dist;release{n};amd64;default;20150427_03:49;/images/{n}/x.y/\n"
        ));
    }
    let begin = std::time::Instant::now();
    let index = Index::parse(text.as_bytes(), 1_000_000).expect("an index");
    assert_eq!(index.lines().count(), 250_000);
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    assert!(index.text.len() < text.len());
    assert!(size_of::<Row>() <= 40);
}

#[test]
fn whatever_is_accepted_prints_as_what_it_is() {
    let seeds = [
        PLAIN.as_bytes(),
        b"a;b;c;d;2024-03-13;images/x\r\n# c\n;;;;;;\n\xef\xbb\xbf\n",
        b"a;b;c;d;../x;/../y\n\0\n\xff;\n//e;\x1b;%2e;\\;?;#\n",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).expect("smaller than a usize")
    };
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..=next(4) {
            let (at, from) = (next(bytes.len()), next(bytes.len()));
            match next(4) {
                0 => bytes[at] = b";/.\n\r\0 #\xff"[next(9)],
                1 => bytes.truncate(at + 1),
                2 => bytes.extend_from_within(at.min(from)..at.max(from)),
                _ => bytes[at] ^= 1 << next(8),
            }
        }
        let Ok(index) = Index::parse(&bytes, 1000) else {
            continue;
        };
        accepted += 1;
        assert_eq!(index.skipped() + index.lines().count(), index.line_count());
        for line in index.lines() {
            let again = parse(line.to_string());
            let again: Vec<_> = again.lines().map(|again| again.to_string()).collect();
            assert_eq!(again, [line.to_string()]);
            assert!(ground().document(&line.file("x")).is_ok(), "{line}");
        }
    }
    assert!(accepted > 5000, "{accepted} were accepted");
}
