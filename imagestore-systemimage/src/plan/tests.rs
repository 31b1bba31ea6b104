use super::*;

fn index(images: &str) -> Index {
    let global = r#""global": {"generated_at": "Mon Dec 18 08:54:59 UTC 2017"}"#;
    Index::parse(format!(r#"{{{global}, "images": [{images}]}}"#).as_bytes()).expect("an index")
}

fn image(version: u32, base: Option<u32>, megabytes: u64, more: &str) -> String {
    let kind = match base {
        Some(base) => format!(r#""type": "delta", "base": {base}"#),
        None => r#""type": "full""#.to_owned(),
    };
    let size = megabytes << 20;
    format!(
        r#"{{{kind}, "version": {version}, "files": [{{"path": "/{version}.txt", "signature":
           "/{version}.asc", "checksum": "", "order": 0, "size": {size}}}]{more}}}"#
    )
}

fn winner(index: &Index, request: Request) -> String {
    let plan = Plan::new(index, request).expect("few ways");
    let names: Vec<_> = plan.winner().map(ToString::to_string).collect();
    names.join(" ")
}

#[test]
fn weighs_restarts_bytes_and_distance() {
    let index = index(
        &[
            image(10, None, 400, ""),
            image(11, Some(10), 5, ""),
            image(11, None, 400, r#", "bootme": true"#),
            image(9, None, 1, ""),
        ]
        .join(","),
    );
    let plan = Plan::new(&index, Request::new(1)).expect("few ways");
    let scores: Vec<_> = plan.candidates().iter().map(|it| it.score).collect();
    // 404 MiB above the smallest; 399 and a restart; two versions behind.
    assert_eq!(scores, [404, 499, 18_002]);
    assert_eq!(winner(&index, Request::new(1)), "F10 D11<10");
    assert_eq!(plan.target(), Some(11));
}

#[test]
fn breaks_ties_by_images_then_bytes_then_full_then_first_version() {
    let cases = [
        // The same mebibyte: fewer images win though they are larger.
        (
            [
                image(5, None, 10, ""),
                image(3, None, 5, ""),
                image(5, Some(3), 4, ""),
            ]
            .join(","),
            1,
            "F3 D5<3",
        ),
        (
            [
                image(5, None, 9, ""),
                image(3, None, 5, ""),
                image(5, Some(3), 4, ""),
            ]
            .join(","),
            1,
            "F5",
        ),
        (
            [image(5, None, 9, ""), image(5, Some(1), 9, "")].join(","),
            1,
            "F5",
        ),
        (
            [
                image(4, Some(1), 5, ""),
                image(5, Some(4), 5, ""),
                image(3, Some(1), 5, ""),
                image(5, Some(3), 5, ""),
            ]
            .join(","),
            1,
            "D3<1 D5<3",
        ),
    ];
    for (images, build, expected) in cases {
        assert_eq!(
            winner(&index(&images), Request::new(build)),
            expected,
            "{images}"
        );
    }
}

#[test]
fn chooses_the_best_that_is_offered_to_the_device() {
    let index = index(
        &[
            image(12, None, 10, r#", "phased-percentage": 30"#),
            image(11, None, 10, ""),
        ]
        .join(","),
    );
    let at = |phase| winner(&index, Request::new(1).with_device_phase(phase));
    assert_eq!(
        (at(30), at(31), at(100), at(101)),
        ("F12".into(), "F11".into(), "F11".into(), String::new())
    );
    let plan = Plan::new(&index, Request::new(1).with_device_phase(66)).expect("few ways");
    assert!(
        plan.to_string()
            .contains("a better way, to 12, is offered to 30 % of the devices; this one has 66 %"),
        "{plan}"
    );
}

#[test]
fn never_offers_what_was_withdrawn() {
    let index = index(&image(12, None, 10, r#", "phased-percentage": 0"#));
    let plan = Plan::new(&index, Request::new(1)).expect("few ways");
    assert_eq!(plan.winner().count(), 0);
    assert_eq!(
        plan.to_string(),
        "no update from build 1: 12 was withdrawn by its publisher"
    );
}

#[test]
fn explains_why_there_is_no_update() {
    let limited = image(10, None, 1, r#", "minversion": 600"#);
    let phased = image(10, None, 1, r#", "phased-percentage": 20"#);
    for (images, request, text) in [
        (
            String::new(),
            Request::new(4),
            "no update from build 4: nothing is published",
        ),
        (
            image(4, None, 1, ""),
            Request::new(4),
            "no update from build 4: 4 is the newest",
        ),
        (
            image(4, None, 1, ""),
            Request::new(9),
            "no update from build 9: 4 is the newest",
        ),
        (
            limited,
            Request::new(0),
            "no update from build 0: every newer full image asks for an installed build of at least 600",
        ),
        (
            image(6, Some(5), 1, ""),
            Request::new(4),
            "no update from build 4: 6 is there, but no image leads to it",
        ),
        (
            image(6, None, 1, ""),
            Request::new(4).with_filter(Some(Filter::Delta)),
            "no update from build 4: 6 is there, but no image leads to it; allow full images",
        ),
        (
            phased,
            Request::new(4).with_device_phase(21),
            "no update from build 4: 10 is offered to 20 % of the devices, and this one has 21 %",
        ),
        (
            image(6, None, 1, ""),
            Request::new(4).with_maximum(Some(5)),
            "no update from build 4: the way to 6 has no image up to the maximum of 5",
        ),
    ] {
        let index = index(&images);
        let plan = Plan::new(&index, request).expect("few ways");
        assert_eq!(plan.to_string(), text);
    }
}

#[test]
fn explains_the_way() {
    let index = index(
        &[
            image(10, None, 3, ""),
            image(11, Some(10), 1, r#", "bootme": true"#),
            image(12, Some(11), 1, ""),
            image(12, None, 4, ""),
        ]
        .join(","),
    );
    let request = Request::new(1).with_filter(None);
    let plan = Plan::new(&index, request.without(&index.builds()[3])).expect("few ways");
    assert_eq!(
        plan.to_string(),
        "from build 1 to 12, 5242880 bytes:\n  \
         full 10, 1 files, 3145728 bytes\n  \
         delta 11 on 10, 1 files, 1048576 bytes, then a restart\n  \
         delta 12 on 11, 1 files, 1048576 bytes\n\
         chosen for score 100 (1 restarts, 0 MiB above the smallest, 0 versions behind)\n\
         this run stops at 11; plan again after the restart\n\
         there is no other way"
    );
    assert_eq!(plan.reached(), Some(11));
    assert_eq!(plan.downloads().len(), 2);
}

#[test]
fn plans_around_a_delta_that_failed_and_ends_with_the_full_image() {
    let index = index(
        &[
            image(12, Some(10), 1, ""),
            image(11, Some(10), 1, ""),
            image(12, Some(11), 1, ""),
            image(12, None, 400, ""),
        ]
        .join(","),
    );
    let mut request = Request::new(10);
    for expected in ["D12<10", "D11<10 D12<11", "F12"] {
        assert_eq!(winner(&index, request.clone()), expected);
        let plan = Plan::new(&index, request.clone()).expect("few ways");
        let failed = plan.winner().last().expect("a winner").clone();
        request = request.without(&failed);
    }
    // What is left of the forks leads to 11 and no further.
    assert_eq!(winner(&index, request), "D11<10");
}

#[test]
fn drops_what_is_above_the_maximum_without_planning_anew() {
    let index = index(
        &[
            image(12, Some(10), 1, ""),
            image(11, Some(10), 5, ""),
            image(12, Some(11), 1, ""),
        ]
        .join(","),
    );
    assert_eq!(winner(&index, Request::new(10).with_maximum(Some(11))), "");
}

#[test]
fn is_not_led_astray_by_forks_without_end() {
    // Two to the power of sixty ways.
    let mut images = vec![image(1, None, 1, "")];
    for step in 0..60 {
        let base = 1 + step * 3;
        images.push(image(base + 1, Some(base), 1, ""));
        images.push(image(base + 2, Some(base), 2, ""));
        images.push(image(base + 3, Some(base + 1), 1, ""));
        images.push(image(base + 3, Some(base + 2), 1, ""));
    }
    let index = index(&images.join(","));
    let plan = Plan::new(&index, Request::new(0)).expect("few states");
    assert_eq!(plan.candidate_count(), 1 << 60);
    assert_eq!(plan.candidates().len(), 1000);
    assert_eq!(plan.candidates()[0].score, 0);
    assert_eq!(plan.winner().map(Build::size).sum::<u64>(), 121 << 20);
    assert_eq!(plan.reached(), Some(181));
}

#[test]
fn gives_up_on_an_index_made_to_have_too_many_ways() {
    let mut images = Vec::new();
    for version in 1..141_u32 {
        for base in 0..version {
            let more = if (version + base) % 2 == 0 {
                r#", "bootme": true"#
            } else {
                ""
            };
            images.push(format!(
                r#"{{"type": "delta", "version": {version}, "base": {base}{more}}}"#
            ));
        }
    }
    images.truncate(10_000);
    let index = index(&images.join(","));
    let begun = std::time::Instant::now();
    let outcome = Plan::new(&index, Request::new(0)).map(|plan| plan.reached());
    assert!(
        matches!(outcome, Ok(Some(_)) | Err(TooManyWays { build: 0 })),
        "{outcome:?}"
    );
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
