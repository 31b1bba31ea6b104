use serde_json::{Map, Value, json};

use super::contents::SystemChannel;
use super::entry::{Version, version};
use super::keyring::RoleKeyring;
use super::publisher::{SystemImagePublisher, check_path};
use super::run::Run;
use super::text;
use crate::error::PublishError;

impl SystemImagePublisher<'_> {
    /// Adds a channel, or makes it another kind of channel.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn channel(&self, name: &str, channel: &SystemChannel) -> Result<(), PublishError> {
        check_path("a channel", name)?;
        let run = self.run()?;
        let mut channels = run.channels()?;
        let entry = match channel {
            SystemChannel::Own { hidden } => {
                let mut entry = json!({"devices": devices(&channels, name)});
                if *hidden {
                    entry["hidden"] = json!(true);
                }
                entry
            }
            SystemChannel::Alias { target } => json!({"alias": target, "devices": {}}),
            SystemChannel::Redirect { target } => {
                json!({"redirect": target, "hidden": true, "devices": {}})
            }
        };
        channels.insert(name.to_owned(), entry);
        self.settle(&run, channels)
    }

    /// Sends one device of a channel to another channel.
    ///
    /// # Errors
    /// [`PublishError`], also if the other channel does not have the device.
    pub fn redirect_device(
        &self,
        channel: &str,
        device: &str,
        target: &str,
    ) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut channels = run.channels()?;
        let mut there = devices(&channels, target);
        let Some(mut entry) = there.remove(device) else {
            let name = format!("{target}/{device}");
            return Err(PublishError::field("a device", "is not published", name));
        };
        entry["redirect"] = json!(target);
        let whole = channels.entry(channel).or_insert(json!({"devices": {}}));
        whole["devices"][device] = entry;
        self.settle(&run, channels)
    }

    /// Publishes the keyring of a device, whose keys may then sign its index and files.
    ///
    /// # Errors
    /// [`PublishError`], also if the device is not published.
    pub fn device_keyring(
        &self,
        channel: &str,
        device: &str,
        keyring: &RoleKeyring,
    ) -> Result<(), PublishError> {
        let run = self.run()?;
        let mut channels = run.channels()?;
        let entry = &mut channels[channel]["devices"][device];
        if !entry.is_object() {
            let name = format!("{channel}/{device}");
            return Err(PublishError::field("a device", "is not published", name));
        }
        let path = format!("{channel}/{device}/device-signing.tar.xz");
        entry["keyring"] = json!({"path": format!("/{path}"), "signature": format!("/{path}.asc")});
        let bytes = keyring.tarball(run.publication.seconds())?;
        run.replace(&path, &bytes, self.keys.image_signing)?;
        self.settle(&run, channels)
    }

    /// Copies what aliases and redirects stand for, and replaces the channels.
    pub(super) fn settle(
        &self,
        run: &Run<'_>,
        mut channels: Map<String, Value>,
    ) -> Result<(), PublishError> {
        let names: Vec<String> = channels.keys().cloned().collect();
        for name in &names {
            let target = |key: &str| channels[name][key].as_str().map(str::to_owned);
            if let Some(target) = target("redirect") {
                channels[name]["devices"] = Value::Object(devices(&channels, &target));
            } else if let Some(target) = target("alias") {
                let mut copied = Map::new();
                for device in devices(&channels, &target).keys() {
                    self.copy(run, name, &target, device)?;
                    let index = format!("/{name}/{device}/index.json");
                    copied.insert(device.clone(), json!({"index": index}));
                }
                channels[name]["devices"] = Value::Object(copied);
            }
        }
        let bytes = text::json(&Value::Object(channels));
        run.replace("channels.json", &bytes, self.keys.image_signing)
    }

    /// The images of a device of another channel, each with a version tarball that names this one.
    fn copy(
        &self,
        run: &Run<'_>,
        channel: &str,
        target: &str,
        device: &str,
    ) -> Result<(), PublishError> {
        let mut index = run.index(target, device)?;
        let own = format!("/{target}/{device}/version-");
        for image in &mut index.images {
            let number = version(image);
            let detail = image["version_detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let made = self.version(
                run,
                &Version {
                    channel,
                    device,
                    number,
                    target: Some(target),
                    detail: &detail,
                },
            )?;
            for file in image["files"].as_array_mut().into_iter().flatten() {
                if file["path"]
                    .as_str()
                    .is_some_and(|path| path.starts_with(&own))
                {
                    let order = file["order"].clone();
                    *file = made.clone();
                    file["order"] = order;
                }
            }
        }
        run.put_index(channel, device, &index)
    }
}

fn devices(channels: &Map<String, Value>, channel: &str) -> Map<String, Value> {
    let whole = channels
        .get(channel)
        .and_then(|it| it["devices"].as_object());
    whole.cloned().unwrap_or_default()
}
