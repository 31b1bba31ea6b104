use crate::twister::Twister;

/// The percentage that decides whether a device is offered a build that is rolled out by and by:
/// it is, if this is not above the build's own. From 0 to 100, both included.
///
/// `channel` is the channel that counts, see [`phase_channel`]; `target` is the highest version
/// that any candidate ends in.
///
/// # Examples
/// ```
/// assert_eq!(imagestore_systemimage::phase("ubuntu", 11, "0123456789abcdef"), 51);
/// ```
#[must_use]
pub fn phase(channel: &str, target: u32, machine_id: &str) -> u8 {
    Twister::new(&format!("{channel}.{target}.{machine_id}")).percentage()
}

/// The channel by which [`phase`] is counted: what the channel is an alias for, else the channel
/// that was installed as an alias' target, else the text `None`, which is what the phone puts there.
#[must_use]
pub fn phase_channel<'a>(alias: Option<&'a str>, channel_target: Option<&'a str>) -> &'a str {
    alias.or(channel_target).unwrap_or("None")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_what_cpython_draws() {
        for (channel, target, machine_id, percentage) in [
            ("ubuntu", 11, "0123456789abcdef", 51),
            ("ubuntu", 11, "fedcba9876543210", 25),
            ("devel", 11, "0123456789abcdef", 96),
            ("ubuntu", 12, "0123456789abcdef", 1),
            ("stable", 1304, "0000000000000000aaaaaaaaaaaaaaaa", 12),
        ] {
            assert_eq!(
                phase(channel, target, machine_id),
                percentage,
                "{channel} {target}"
            );
        }
    }

    #[test]
    fn counts_by_the_alias_then_by_the_target_then_by_none() {
        assert_eq!(phase_channel(Some("a"), Some("b")), "a");
        assert_eq!(phase_channel(None, Some("b")), "b");
        assert_eq!(phase_channel(None, None), "None");
    }
}
