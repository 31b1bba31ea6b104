use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::aliases::Withheld;
use super::item::Item;
use super::version::Version;
use crate::build_id::BuildId;
use crate::image_name::ImageName;
use crate::tree::seconds;

/// All versions that are listed, by image, the newest first.
pub(super) type Listed = Vec<(ImageName, Vec<(BuildId, Version)>)>;

/// The product file.
pub(super) fn products(
    listed: &Listed,
    withheld: &Withheld<'_>,
    updated: SystemTime,
) -> Result<String, serde_json::Error> {
    let products = listed.iter().filter_map(|(name, versions)| {
        let (_, newest) = versions.first()?;
        let aliases = newest.aliases.iter().map(String::as_str);
        let aliases = aliases.filter(|alias| !withheld.is_withheld(name, alias));
        let serials: Vec<_> = versions
            .iter()
            .map(|(build, _)| build.to_string())
            .collect();
        // A delta is of no use without the digest of what it starts from.
        let is_useful = |item: &Item| {
            let base = item.delta_base.as_ref();
            base.is_none_or(|base| serials.contains(base))
        };
        let versions = versions.iter().map(|(build, version)| {
            let items = version.items.iter();
            let items = items.filter(|(_, item)| is_useful(item)).collect();
            (build.to_string(), Versions { items })
        });
        let product = Product {
            aliases: aliases.collect::<Vec<_>>().join(","),
            arch: name.architecture(),
            os: name.distribution(),
            release: name.release(),
            release_title: name.release(),
            variant: name.variant(),
            versions: versions.collect(),
        };
        Some((key(name), product))
    });
    text(&Products {
        content_id: CONTENT_ID,
        datatype: DATATYPE,
        format: FORMAT,
        updated: mail_date(updated),
        products: products.collect(),
    })
}

/// The index, which names the product file under this ending.
pub(super) fn index(
    listed: &Listed,
    updated: SystemTime,
    ending: &str,
) -> Result<String, serde_json::Error> {
    let there = listed.iter().filter(|(_, versions)| !versions.is_empty());
    let mut products: Vec<_> = there.map(|(name, _)| key(name)).collect();
    products.sort_unstable();
    let entry = Entry {
        datatype: DATATYPE,
        format: FORMAT,
        path: format!("streams/v1/images.{ending}"),
        products,
        updated: mail_date(updated),
    };
    text(&Index {
        format: "index:1.0",
        index: BTreeMap::from([(CONTENT_ID, entry)]),
        updated: mail_date(updated),
    })
}

/// One value a line, so that no line grows with the tree: GnuPG calls clear-signed text with long lines badly signed.
fn text(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}

fn key(name: &ImageName) -> String {
    name.to_string().replace('/', ":")
}

/// A date as these trees write it: `Thu, 28 Aug 2014 21:36:56 +0000`.
pub(super) fn mail_date(time: SystemTime) -> String {
    let seconds = seconds(time);
    // YYYYMMDD_HH:MM
    let text = BuildId::at(time).to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let month: usize = part(4, 6).parse().unwrap_or(1);
    let name = |names: &str, n: usize| names.get(n * 3..n * 3 + 3).unwrap_or_default().to_owned();
    // 1970 began on a Thursday.
    let day = usize::try_from((seconds / 86_400 + 3) % 7).unwrap_or_default();
    format!(
        "{}, {} {} {} {}:{:02} +0000",
        name("MonTueWedThuFriSatSun", day),
        part(6, 8),
        name("JanFebMarAprMayJunJulAugSepOctNovDec", month - 1),
        part(0, 4),
        part(9, 14),
        seconds % 60
    )
}

#[derive(Serialize)]
struct Products<'a> {
    content_id: &'a str,
    datatype: &'a str,
    format: &'a str,
    products: BTreeMap<String, Product<'a>>,
    updated: String,
}

#[derive(Serialize)]
struct Product<'a> {
    aliases: String,
    arch: &'a str,
    os: &'a str,
    release: &'a str,
    release_title: &'a str,
    variant: &'a str,
    versions: BTreeMap<String, Versions<'a>>,
}

#[derive(Serialize)]
struct Versions<'a> {
    items: BTreeMap<&'a String, &'a Item>,
}

#[derive(Serialize)]
struct Index<'a> {
    format: &'a str,
    index: BTreeMap<&'a str, Entry<'a>>,
    updated: String,
}

#[derive(Serialize)]
struct Entry<'a> {
    datatype: &'a str,
    format: &'a str,
    path: String,
    products: Vec<String>,
    updated: String,
}

const CONTENT_ID: &str = "images";
const DATATYPE: &str = "image-downloads";
const FORMAT: &str = "products:1.0";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_a_calendar() {
        for (seconds, wanted) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (1_363_802_217, "Wed, 20 Mar 2013 17:56:57 +0000"),
            (1_709_164_805, "Thu, 29 Feb 2024 00:00:05 +0000"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(mail_date(time), wanted);
        }
    }
}
