use imagestore_core::{Error, ErrorKind, Result};

/// What `system/etc/system-image/channel.ini` of an installed build says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelIni {
    /// The channel it came from.
    pub channel: String,
    /// The device it is for.
    pub device: String,
    /// Its number.
    pub build_number: u32,
    /// The channel whose images it mirrors, if it is of an alias.
    pub channel_target: Option<String>,
    /// What went into it.
    pub version_detail: Option<String>,
}

impl ChannelIni {
    /// The content of the file, which must have been checked.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if channel, device or build number are missing, or anything is
    /// there twice.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("is no text"))?;
        let mut found = Self::default();
        let (mut channel, mut device, mut build) = (None, None, None);
        let mut in_service = false;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with('[') {
                in_service = line == "[service]";
                continue;
            }
            if !in_service {
                continue;
            }
            let Some(split) = line.find([':', '=']) else {
                return Err(malformed("has a line without a value"));
            };
            let (key, value) = (line[..split].trim(), line[split + 1..].trim().to_owned());
            let slot = match key {
                "channel" => &mut channel,
                "device" => &mut device,
                "build_number" => &mut build,
                "channel_target" => &mut found.channel_target,
                "version_detail" => &mut found.version_detail,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(malformed(&format!("has `{key}` twice")));
            }
        }
        let missing = |key: &str| malformed(&format!("has no `{key}`"));
        found.channel = channel.ok_or_else(|| missing("channel"))?;
        found.device = device.ok_or_else(|| missing("device"))?;
        let build = build.ok_or_else(|| missing("build_number"))?;
        found.build_number = build
            .parse()
            .map_err(|_| malformed("has a `build_number` that is none"))?;
        Ok(found)
    }
}

fn malformed(problem: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("channel.ini {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_version_tarballs_hold() {
        let ini = ChannelIni::parse(
            b"[service]\nbase: system-image.ubports.com\nhttp_port: 80\nhttps_port: disabled\n\
              channel: ubports-touch/15.04/devel\ndevice: bacon\nbuild_number: 261\n\
              channel_target: vivid\nversion_detail: ubports=1,version=261\n[other]\ndevice: x\n",
        )
        .expect("an ini file");
        assert_eq!(
            (ini.channel.as_str(), ini.device.as_str(), ini.build_number),
            ("ubports-touch/15.04/devel", "bacon", 261)
        );
        assert_eq!(ini.channel_target.as_deref(), Some("vivid"));
        assert_eq!(ini.version_detail.as_deref(), Some("ubports=1,version=261"));
    }

    #[test]
    fn refuses_what_could_mean_two_things() {
        for (text, message) in [
            (
                "[service]\nchannel: a\ndevice: b\n",
                "channel.ini has no `build_number`",
            ),
            (
                "[service]\nchannel: a\ndevice: b\nbuild_number: 1\nbuild_number: 2\n",
                "channel.ini has `build_number` twice",
            ),
            (
                "channel: a\ndevice: b\nbuild_number: 1\n",
                "channel.ini has no `channel`",
            ),
            (
                "[service]\nchannel: a\ndevice: b\nbuild_number: -1\n",
                "channel.ini has a `build_number` that is none",
            ),
        ] {
            assert_eq!(
                ChannelIni::parse(text.as_bytes())
                    .expect_err(text)
                    .to_string(),
                message
            );
        }
    }
}
