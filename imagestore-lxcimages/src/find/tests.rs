use super::*;

const TEXT: &str = "\
ubuntu;trusty;amd64;default;20150427_03:49;/images/a/1/
ubuntu;trusty;amd64;default;20150426_03:49;/images/a/0/
ubuntu;trusty;amd64;default;20150428_03:49;/images/a/2/
ubuntu;trusty;amd64;cloud;20150427_03:49;/images/c/
ubuntu;trusty;armv7l;default;2024-03-13;/images/d
ubuntu;xenial;amd64;default;v2;/images/e/2/
ubuntu;xenial;amd64;default;20150427;/images/e/1/
Debian;Buster;x86_64;default;20190101;/images/f/
Debian;Buster;amd64;default;20190102;/images/g/
";

fn index(text: &str) -> Index {
    Index::parse(text.as_bytes(), 1000).expect("an index")
}

fn find(text: &str, name: &str) -> Result<Found> {
    index(text).find(&Name::parse(&name.parse()?, "amd64")?)
}

fn found(name: &str) -> String {
    let found = find(TEXT, name).expect(name);
    format!(
        "{} {} {}",
        found.columns.join("/"),
        found.build,
        found.rootfs
    )
}

#[test]
fn finds_the_newest_build_or_the_named_one() {
    for (name, wanted) in [
        (
            "ubuntu/trusty",
            "ubuntu/trusty/amd64/default 20150428_03:49 /images/a/2/rootfs.tar.xz",
        ),
        (
            "ubuntu/trusty/amd64/20150426_03:49",
            "ubuntu/trusty/amd64/default 20150426_03:49 /images/a/0/rootfs.tar.xz",
        ),
        (
            "ubuntu/trusty/amd64/cloud",
            "ubuntu/trusty/amd64/cloud 20150427_03:49 /images/c/rootfs.tar.xz",
        ),
        // Builds of two forms have no order.
        (
            "ubuntu/xenial",
            "ubuntu/xenial/amd64/default v2 /images/e/2/rootfs.tar.xz",
        ),
        (
            "ubuntu/xenial/amd64/default/20150427",
            "ubuntu/xenial/amd64/default 20150427 /images/e/1/rootfs.tar.xz",
        ),
        (
            "ubuntu/trusty/armhf",
            "ubuntu/trusty/armv7l/default 2024-03-13 /images/d/rootfs.tar.xz",
        ),
        (
            "ubuntu/trusty/x86_64/cloud",
            "ubuntu/trusty/amd64/cloud 20150427_03:49 /images/c/rootfs.tar.xz",
        ),
        (
            "Debian/Buster/x86_64",
            "Debian/Buster/x86_64/default 20190101 /images/f/rootfs.tar.xz",
        ),
        (
            "Debian/Buster/amd64",
            "Debian/Buster/amd64/default 20190102 /images/g/rootfs.tar.xz",
        ),
        (
            "Debian/Buster/generic_64",
            "Debian/Buster/x86_64/default 20190101 /images/f/rootfs.tar.xz",
        ),
    ] {
        assert_eq!(found(name), wanted, "{name}");
    }
    let found = find(TEXT, "ubuntu/trusty/armhf").expect("it is there");
    assert_eq!(found.sums, "/images/d/SHA256SUMS");
    assert_eq!(found.meta, "/images/d/meta.tar.xz");
    assert_eq!(found.seconds, Some(1_710_288_000));
}

#[test]
fn dates_that_do_not_exist_have_no_order() {
    let text = "a;b;amd64;default;20150427;/1\na;b;amd64;default;99999999;/2\n";
    assert_eq!(find(text, "a/b").expect("the first").build, "20150427");
}

#[test]
fn says_what_is_nearest() {
    for (name, message) in [
        (
            "ubuntu/trusy",
            "no such image: `ubuntu/trusy/amd64/default`; nearest: ubuntu/trusty",
        ),
        (
            "Ubuntu/trusty",
            "no such image: `Ubuntu/trusty/amd64/default`; nearest: ubuntu",
        ),
        (
            "debian/buster",
            "no such image: `debian/buster/amd64/default`; nearest: Debian",
        ),
        (
            "Debian/buster",
            "no such image: `Debian/buster/amd64/default`; nearest: Debian/Buster",
        ),
        (
            "fedora/19",
            "no such image: `fedora/19/amd64/default`; there is Debian, ubuntu",
        ),
        (
            "ubuntu/trusty/sparc",
            "no such image: `ubuntu/trusty/sparc/default`; there is ubuntu/trusty/amd64, ubuntu/trusty/armv7l",
        ),
        (
            "ubuntu/trusty/amd64/clod",
            "no such image: `ubuntu/trusty/amd64/clod`; nearest: ubuntu/trusty/amd64/cloud",
        ),
        (
            "ubuntu/trusty/amd64/20150425",
            "no such build: `ubuntu/trusty/amd64/default/20150425`; \
          there is 20150426_03:49, 20150427_03:49, 20150428_03:49",
        ),
        (
            "ubuntu/trusty/amd64/20150427_03:48",
            "no such build: `ubuntu/trusty/amd64/default/20150427_03:48`; \
          nearest: 20150427_03:49, 20150426_03:49, 20150428_03:49",
        ),
    ] {
        let error = find(TEXT, name).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn equal_lines_are_one_and_two_places_for_one_build_are_an_error() {
    let line = "a;b;amd64;default;20150427;/images/x/\n";
    for again in ["/images/x/", "images/x", "/images/x"] {
        let text = format!("{line}a;b;amd64;default;20150427;{again}\n");
        assert_eq!(find(&text, "a/b").expect(again).build, "20150427");
        assert_eq!(
            index(&text)
                .below(&"a/b/amd64/default".parse().expect("a path"))
                .expect(again)
                .len(),
            1
        );
    }
    let text = format!("{line}a;b;amd64;default;20150427;/images/y/\n");
    let error = find(&text, "a/b").expect_err("two places");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "lines 1 and 2 of the index have two places for one build: a/b/amd64/default/20150427"
    );
}

#[test]
fn a_bad_line_is_an_error_for_its_image_and_for_no_other() {
    let good = "ubuntu;trusty;amd64;default;20150427_03:49;/images/a/\n";
    let cases = [
        (
            "20150428_03:49;//evil.example/x/",
            ErrorKind::Unsafe,
            "line 2 of the index has a path that could leave its server: a/b/amd64/default (`//evil.example/x/`)",
        ),
        (
            "20150428_03:49;/images/../../etc/",
            ErrorKind::Unsafe,
            "line 2 of the index has a path that could leave its server: a/b/amd64/default (`/images/../../etc/`)",
        ),
        (
            "20150428_03:49;",
            ErrorKind::Malformed,
            "line 2 of the index has no path: a/b/amd64/default (``)",
        ),
        (
            "../../x;/images/x/",
            ErrorKind::Malformed,
            "line 2 of the index has a build that is no plain name: a/b/amd64/default (`../../x`)",
        ),
    ];
    for (columns, kind, message) in cases {
        let text = format!("{good}a;b;amd64;default;{columns}\n");
        let error = find(&text, "a/b").expect_err(columns);
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        assert_eq!(
            find(&text, "ubuntu/trusty").expect("a good line").build,
            "20150427_03:49"
        );
        let names: Vec<_> = index(&text)
            .below(&ImagePath::default())
            .expect("a listing")
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["ubuntu"]);
    }
}

#[test]
fn a_bad_newest_build_does_not_give_way_to_an_older_one() {
    let text = "a;b;amd64;default;20150427;/1\na;b;amd64;default;20150428;/../2\n";
    assert_eq!(
        find(text, "a/b").expect_err("the newest is bad").kind(),
        ErrorKind::Unsafe
    );
    assert_eq!(
        find(text, "a/b/amd64/20150427")
            .expect("this one is good")
            .build,
        "20150427"
    );
    // A build that is no name is nobody's newest.
    let text = "a;b;amd64;default;../x;/1\na;b;amd64;default;20150428;/2\n";
    assert_eq!(find(text, "a/b").expect("the other").build, "20150428");
}

#[test]
fn an_index_of_bad_lines_only_is_no_index() {
    let text = "a;b;amd64;default;1;/../x\n";
    let error = find(text, "c/d").expect_err("no line can be used");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "not an index: none of its 1 lines names an image"
    );
    let error = index(text)
        .below(&ImagePath::default())
        .expect_err("no line can be used");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn lists_one_level_sorted() {
    let names = |prefix: &str| {
        let entries = index(TEXT)
            .below(&prefix.parse().expect(prefix))
            .expect(prefix);
        let shown = |entry: Entry| format!("{} {}", entry.kind.name(), entry.name);
        entries.into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["folder Debian", "folder ubuntu"]);
    assert_eq!(names("ubuntu"), ["folder trusty", "folder xenial"]);
    assert_eq!(names("ubuntu/trusty"), ["folder amd64", "folder armv7l"]);
    assert_eq!(
        names("ubuntu/trusty/amd64"),
        ["image cloud", "image default"]
    );
    assert_eq!(names("ubuntu/trusty/armhf"), ["image default"]);
    assert_eq!(
        names("ubuntu/trusty/amd64/default"),
        [
            "image 20150426_03:49",
            "image 20150427_03:49",
            "image 20150428_03:49"
        ]
    );
    assert_eq!(names("ubuntu/trusty/amd64/default/20150426_03:49"), [""; 0]);
    let entries = index(TEXT)
        .below(&"ubuntu/trusty/amd64".parse().expect("a path"))
        .expect("a listing");
    assert_eq!(
        entries[1].properties.get("build").map(String::as_str),
        Some("20150428_03:49")
    );
    for (prefix, message) in [
        ("fedora", "no such image: `fedora`; there is Debian, ubuntu"),
        (
            "ubuntu/trust",
            "no such image: `ubuntu/trust`; nearest: ubuntu/trusty",
        ),
        (
            "ubuntu/trusty/amd64/default/x",
            "no such build: `ubuntu/trusty/amd64/default/x`",
        ),
        (
            "ubuntu/trusty/amd64/default/20150426_03:49/x",
            "no such build: `ubuntu/trusty/amd64/default/20150426_03:49/x`",
        ),
    ] {
        let error = index(TEXT)
            .below(&prefix.parse().expect(prefix))
            .expect_err(prefix);
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_index_full_of_traps_gives_an_error_for_each_and_a_listing_of_none() {
    let text = "ubuntu;trusty;amd64;default;20150427_03:49;/images/../../etc/
ubuntu;trusty;i386;default;20150427_03:49;//evil.example/x/
ubuntu;trusty;armhf;default;20150427_03:49;https://evil.example/x/
../../x;trusty;amd64;default;20150427_03:49;/images/x/
ubuntu;trusty;amd64;default;../../../tmp/x;/images/x/
ubuntu;trusty;amd64;\x1b[31mred;20150427_03:49;/images/x/
";
    for name in [
        "ubuntu/trusty/amd64",
        "ubuntu/trusty/i386",
        "ubuntu/trusty/armhf",
    ] {
        assert_eq!(
            find(text, name).expect_err(name).kind(),
            ErrorKind::Unsafe,
            "{name}"
        );
    }
    for name in ["x/trusty/amd64", "ubuntu/trusty/amd64/red"] {
        assert_eq!(
            find(text, name).expect_err(name).kind(),
            ErrorKind::Malformed,
            "{name}"
        );
    }
    assert!(index(text).below(&ImagePath::default()).is_err());
}
