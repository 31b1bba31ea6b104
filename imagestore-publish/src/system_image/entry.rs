//! A build as an index lists it, and the two small tarballs that go with every build.

use std::fs;

use serde_json::{Value, json};

use super::contents::BuildContents;
use super::publisher::SystemImagePublisher;
use super::run::{Run, described};
use super::tarball;
use super::tarball::Plain;
use crate::error::{At, PublishError};
use crate::tree::beside;

impl SystemImagePublisher<'_> {
    /// The archive-master keyring, as it goes into every image.
    pub(super) fn keyring_part(&self, run: &Run<'_>) -> Result<Value, PublishError> {
        let master = run.tree.path("gpg/archive-master.tar.xz");
        let (data, asc) = match (fs::read(&master), fs::read(beside(&master))) {
            (Ok(data), Ok(asc)) => (data, asc),
            (Err(error), _) | (_, Err(error)) => return Err(error).at("read", &master),
        };
        let folder = "system/usr/share/system-image/archive-master.tar.xz";
        let members = [
            Plain::new(folder, data),
            Plain::new(format!("{folder}.asc"), asc),
        ];
        let bytes = tarball::plain(&members, 0)?;
        run.pooled_bytes("keyring", &bytes)
    }

    pub(super) fn version(
        &self,
        run: &Run<'_>,
        version: &Version<'_>,
    ) -> Result<Value, PublishError> {
        let Version {
            channel,
            device,
            number,
            target,
            detail,
        } = version;
        let host = &self.host;
        let target = target.map_or(String::new(), |target| {
            format!("channel_target: {target}\n")
        });
        let ini = format!(
            "[service]\nbase: {host}\nhttp_port: 80\nhttps_port: 443\nchannel: {channel}\n\
             device: {device}\nbuild_number: {number}\n{target}version_detail: {detail}\n"
        );
        let folder = "system/etc/system-image";
        let members = [
            Plain::new("system/etc/ubuntu-build", format!("{number}\n")),
            Plain::new(format!("{folder}/channel.ini"), ini),
            Plain::folder(format!("{folder}/config.d"), 0o775),
            Plain::link(format!("{folder}/config.d/00_default.ini"), "../client.ini"),
            Plain::link(
                format!("{folder}/config.d/01_channel.ini"),
                "../channel.ini",
            ),
        ];
        let bytes = tarball::plain(&members, 0)?;
        let path = format!("{channel}/{device}/version-{number}.tar.xz");
        let place = run.tree.path(&path);
        if fs::read(&place).ok().as_deref() != Some(&bytes[..]) {
            run.replace(&path, &bytes, self.keys.image_signing)?;
        }
        described(&path, &place)
    }
}

pub(super) struct Version<'a> {
    pub(super) channel: &'a str,
    pub(super) device: &'a str,
    pub(super) number: u32,
    pub(super) target: Option<&'a str>,
    pub(super) detail: &'a str,
}

pub(super) fn entry(
    version: &Version<'_>,
    base: Option<u32>,
    contents: &BuildContents,
    mut files: Vec<Value>,
) -> Value {
    for (order, file) in files.iter_mut().enumerate() {
        file["order"] = json!(order);
    }
    let mut entry = json!({
        "description": version.detail,
        "files": files,
        "type": if base.is_some() { "delta" } else { "full" },
        "version": version.number,
        "version_detail": version.detail,
    });
    match (base, contents.minimum) {
        (Some(base), _) => entry["base"] = json!(base),
        (None, Some(minimum)) => entry["minversion"] = json!(minimum),
        (None, None) => {}
    }
    if contents.bootme {
        entry["bootme"] = json!(true);
    }
    entry
}

/// The highest version number of the full images.
pub(super) fn newest_full(images: &[Value]) -> Option<u32> {
    images.iter().filter(|it| is_full(it)).map(version).max()
}

pub(super) fn is_full(image: &Value) -> bool {
    image["type"] == "full"
}

pub(super) fn version(image: &Value) -> u32 {
    let number = image["version"].as_u64().unwrap_or_default();
    u32::try_from(number).unwrap_or_default()
}
