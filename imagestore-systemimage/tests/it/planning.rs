//! The planning vectors: what the phone's own client plans from the same indexes.

use imagestore_systemimage::{Channels, Filter, Index, Plan, Request, phase};
use serde_json::{Value, json};

use crate::shared::{data, read, vector};

#[test]
fn plans_what_the_phone_plans() {
    let cases: Vec<Value> = serde_json::from_slice(&read(&data("candidates.json"))).expect("cases");
    for case in &cases {
        let name = case["index"].as_str().expect("a name");
        let place = match name.strip_prefix("../") {
            Some(real) => format!("real/{real}"),
            None => format!("indexes/{name}"),
        };
        let Some(path) = vector(&place) else {
            continue;
        };
        let parsed = Index::parse(&read(&path));
        if !case["error"].is_null() {
            let error = parsed.expect_err(name).to_string();
            assert!(error.contains("not between 1 and 65535"), "{name}: {error}");
            continue;
        }
        let index = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let number = |key: &str| case[key].as_u64().expect("a number") as u32;
        let request = Request::new(number("build"))
            .with_device_phase(number("device_phase"))
            .with_maximum(case["maximage"].as_i64())
            .with_filter(match case["filter"].as_str() {
                Some("delta") => Some(Filter::Delta),
                Some("full") => Some(Filter::Full),
                Some(other) => panic!("the filter {other}"),
                None => None,
            });
        let plan = Plan::new(&index, request).expect("few ways");
        let shown = format!("{name} at {}", case["build"]);
        let candidates: Vec<Value> = plan
            .candidates()
            .iter()
            .map(|candidate| {
                let path: Vec<_> = candidate
                    .path
                    .iter()
                    .map(|place| index.builds()[*place].to_string())
                    .collect();
                json!({"path": path, "score": candidate.score, "target_phase": candidate.target_phase})
            })
            .collect();
        // Between equal scores the order of the phone is not defined.
        let sorted = |list: &Value| {
            let mut texts: Vec<_> = list
                .as_array()
                .expect("a list")
                .iter()
                .map(ToString::to_string)
                .collect();
            texts.sort();
            texts
        };
        assert_eq!(
            sorted(&json!(candidates)),
            sorted(&case["candidates"]),
            "{shown}"
        );
        assert_eq!(
            json!(plan.candidate_count()),
            case["candidate_count"],
            "{shown}"
        );
        let winner: Vec<_> = plan.winner().map(ToString::to_string).collect();
        assert_eq!(json!(winner), case["winner"], "{shown}");
        let downloads: Vec<_> = plan
            .downloads()
            .iter()
            .map(|it| json!({"image": it.image, "order": it.file.order, "path": it.file.path}))
            .collect();
        assert_eq!(json!(downloads), case["downloads"], "{shown}");
        let order: Vec<_> = plan
            .apply_order()
            .iter()
            .map(|it| it.file.path.as_str())
            .collect();
        assert_eq!(json!(order), case["apply_order"], "{shown}");
        assert_eq!(
            json!(plan.formats_system()),
            case["format_system"],
            "{shown}"
        );
    }
    assert_eq!(cases.len(), 39);
}

#[test]
fn draws_the_percentages_that_cpython_draws() {
    let cases: Value = serde_json::from_slice(&read(&data("phased.json"))).expect("cases");
    let cases = cases["vectors"].as_array().expect("a list");
    for case in cases {
        let text = |key: &str| case[key].as_str().expect("text");
        let target = case["target"].as_u64().expect("a number") as u32;
        let found = phase(text("channel"), target, text("machine_id"));
        assert_eq!(json!(found), case["percentage"], "{case}");
    }
    assert!(cases.len() >= 40, "only {} cases", cases.len());
}

#[test]
fn parses_every_real_index_and_list_of_channels() {
    let Some(root) = vector("real") else { return };
    let mut builds = Vec::new();
    for (file, count, skipped) in [
        ("canonical-2013-live/daily-grouper-index.json", 19, 36),
        ("canonical-2014-live/devel-mako-index.json", 0, 0),
        ("canonical-2014-live/devel-mako-only-delta-index.json", 0, 0),
        ("snappy-2015-live/devel-generic_armhf-index.json", 0, 0),
        ("ubports-2017-live/bacon-index.json", 19, 0),
    ] {
        let index = Index::parse(&read(&root.join(file))).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(
            index.skipped().len(),
            skipped,
            "{file}: {:?}",
            index.skipped()
        );
        if count > 0 {
            assert_eq!(index.builds().len(), count, "{file}");
        }
        assert!(!index.builds().is_empty(), "{file}");
        builds.push(index.builds().len());
    }
    let channels = Channels::parse(&read(&root.join("ubports-2017-live/normal-channels.json")))
        .expect("channels of 2017");
    assert_eq!(channels.iter().count(), 15);
    assert!(channels.skipped().is_empty(), "{:?}", channels.skipped());
    let redirected = channels.iter().filter(|(_, it)| it.redirect.is_some());
    assert_eq!(redirected.count(), 5);
    assert_eq!(channels.iter().filter(|(_, it)| it.hidden).count(), 11);
    let old = Channels::parse(&read(&root.join("canonical-2014-live/channels.json")))
        .expect("channels of 2014");
    assert_eq!(
        old.channel("devel").expect("there").alias.as_deref(),
        Some("trusty")
    );
}

#[test]
fn parses_every_index_of_the_reference_tests() {
    let Some(folder) = vector("indexes") else {
        return;
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let bytes = read(&path);
        if name == "index.index_05.json" {
            // Dates in place of versions, which the phone refuses.
            assert!(Index::parse(&bytes).is_err());
        } else if name.contains(".index_") {
            Index::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else {
            Channels::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        count += 1;
    }
    assert!(count > 50, "only {count} files");
}
