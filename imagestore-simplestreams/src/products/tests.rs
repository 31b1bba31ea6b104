use std::fmt::Write as _;

use super::*;

const LIMIT: usize = 1_000_000;

fn parse(text: &str) -> Result<Products, ParseError> {
    Products::parse(text.as_bytes(), "images", LIMIT)
}

fn file(more: &str, products: &str) -> String {
    format!(r#"{{"format":"products:1.0",{more}"products":{{{products}}}}}"#)
}

/// So many of these, each with its number in the place of `N`.
fn many(count: usize, text: &str) -> String {
    let each = (0..count).map(|n| text.replace('N', &format!("{n:06}")));
    each.collect::<Vec<_>>().join(",")
}

#[test]
fn what_holds_for_all_products_is_there_once() {
    let long = "x".repeat(100_000);
    let more = format!(
        r#""label":"{long}","os":"{0}","release":"{0}","variant":"{0}","arch":"{0}","#,
        "y".repeat(20)
    );
    let products = parse(&file(&more, &many(100_000, r#""pN":{}"#))).expect("a product file");
    assert_eq!(products.all.len(), 100_000);
    let (first, last) = (&products.all[0], &products.all[99_999]);
    assert!(first.properties.is_empty());
    assert!(Arc::ptr_eq(&first.inherited, &last.inherited));
    assert_eq!(
        first.inherited.get("label").map(|label| label.len()),
        Some(4096)
    );
    let columns = |product: &Product| product.columns.clone().expect("columns");
    for (one, other) in [
        (columns(first).os, columns(last).os),
        (columns(first).release, columns(last).release),
        (columns(first).variant, columns(last).variant),
        (first.architecture.clone(), last.architecture.clone()),
        (first.machine.clone(), last.machine.clone()),
    ] {
        assert!(Arc::ptr_eq(&one, &other), "{one}");
    }
}

#[test]
fn what_comes_along_with_a_value_counts_wherever_it_comes() {
    let fields = many(5000, r#""fieldN":"x""#);
    let more = format!(r#""_aliases":{{"a":{{"b":{{{fields}}}}}}},"#);
    let items = many(5000, r#""N":{"a":"b"}"#);
    let text = file(
        &more,
        &format!(r#""p":{{"versions":{{"1":{{"items":{{{items}}}}}}}}}"#),
    );
    let too_many = ParseError::TooMany {
        limit: LIMIT,
        what: "objects and fields",
    };
    assert_eq!(parse(&text).expect_err("25 million fields"), too_many);

    let aliases = many(10_000, "aliasN");
    let text = file(
        &format!(r#""aliases":"{aliases}","#),
        &many(1000, r#""pN":{}"#),
    );
    assert_eq!(parse(&text).expect_err("10 million aliases"), too_many);

    // In upper case it cannot be shared.
    let more = format!(r#""os":"{}","release":"r","#, "X".repeat(255));
    let text = file(&more, &many(3000, r#""pN":{}"#));
    let error = Products::parse(text.as_bytes(), "images", 10_000).expect_err("3000 names");
    assert_eq!(error.to_string(), "has more than 10000 objects and fields");
}

#[test]
fn empty_and_long_things_count_as_well() {
    for text in [
        file(
            &format!(r#""_aliases":{{"a":{{{}}}}},"#, many(1001, r#""N":{}"#)),
            "",
        ),
        file(
            &format!(r#""_aliases":{{{}}},"#, many(1001, r#""N":{}"#)),
            "",
        ),
        file(&format!(r#""{}":1,"#, "x".repeat(64_001)), ""),
        file(&format!(r#""aliases":"{}","#, "x".repeat(64_001)), ""),
        file("", &many(1001, r#""N":{}"#)),
        file(
            "",
            &format!(r#""p":{{"versions":{{{}}}}}"#, many(1001, r#""N":{}"#)),
        ),
    ] {
        let error = Products::parse(text.as_bytes(), "images", 1000).expect_err("too many");
        assert_eq!(error.to_string(), "has more than 1000 objects and fields");
    }
    let text = file(&format!(r#""_aliases":{{{}}},"#, many(65, r#""N":{}"#)), "");
    let error = parse(&text).expect_err("too many");
    assert_eq!(error.to_string(), "has more than 64 fields with `_aliases`");
}

#[test]
fn fields_of_another_kind_are_none_and_take_nothing_along() {
    for odd in [
        "null",
        "false",
        "true",
        "5",
        "-5",
        "1.5",
        "\"x\"",
        "[1,{}]",
        "{\"y\":{}}",
        "{}",
    ] {
        let more = format!(r#""_aliases":{odd},"datatype":{odd},"updated":{odd},"license":{odd},"#);
        let product = format!(
            r#"{{"requirements":{odd},"lxd_requirements":{odd},"os":{odd},
             "versions":{{"1":{{"label":{odd},"items":{{"i":{{"ftype":"squashfs","more":{odd}}}}}}}}}}}"#
        );
        let text = file(
            &more,
            &format!(r#""p":{product},"q":{{"versions":{odd}}},"r":{odd}"#),
        );
        let products = parse(&text).unwrap_or_else(|error| panic!("{odd}: {error}"));
        assert_eq!(products.all.len(), 3, "{odd}");
        assert_eq!(products.all[0].versions.len(), 1, "{odd}");
    }
}

#[test]
fn an_unknown_value_adds_nothing_at_any_level() {
    let more = r#""_aliases":{"kind":{"known":{"label":"added","ftype":"squashfs"}}},"#;
    let labels = |kind: &str| {
        let product = format!(
            r#""p":{{"versions":{{"1":{{"kind":"{kind}","items":{{"i":{{"kind":"{kind}","ftype":"x"}}}}}}}}}}"#
        );
        let products = parse(&file(more, &product)).expect("a product file");
        let product = &products.all[0];
        let label = product.property(&product.versions[0], "label");
        label.map(str::to_owned)
    };
    assert_eq!(labels("known").as_deref(), Some("added"));
    assert_eq!(labels("unknown"), None);
}

#[test]
fn a_product_without_an_architecture_is_of_an_unknown_one() {
    let products = parse(&file("", r#""p":{"os":"O","release":"r"}"#)).expect("a product file");
    let product = &products.all[0];
    assert_eq!(product.architecture(), "unknown");
    assert_eq!(product.place().to_string(), "o/r/unknown/default");
}

#[test]
fn versions_are_found_by_serials_of_any_kind() {
    let long = format!("20240101{}", "x".repeat(100_000));
    let mut serials = vec![
        "",
        "daily",
        "20240101.9",
        "20240101.10",
        "20240102_03:42",
        "1.9",
        &long,
    ];
    let longer = format!("{long}y");
    serials.push(&longer);
    let mut versions = String::new();
    for serial in &serials {
        write!(versions, r#""{serial}":{{}},"#).expect("a string");
    }
    let versions = versions.trim_end_matches(',');
    let text = file("", &format!(r#""p":{{"versions":{{{versions}}}}}"#));
    let products = parse(&text).expect("a product file");
    for serial in &serials {
        let found = products.all[0].version(serial).map(Version::serial);
        assert_eq!(found, Some(*serial));
    }
    assert!(products.all[0].version("20240103").is_none());
}
