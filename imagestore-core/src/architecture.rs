//! The names of processor architectures, and which of them mean the same machine.

/// The architecture of this machine under its Debian name, such as `amd64`.
#[must_use]
pub fn native() -> &'static str {
    let machine = match (std::env::consts::ARCH, cfg!(target_endian = "little")) {
        ("powerpc64", true) => "ppc64le",
        (machine, _) => machine,
    };
    NAMES
        .iter()
        .find(|names| names.contains(&machine))
        .and_then(|names| names.first())
        .copied()
        .unwrap_or(machine)
}

/// All names of the architecture that goes by `name`, the Debian one first; `name` alone if it is
/// not known.
///
/// Servers use Debian's names, `uname -m` and LXD's names side by side.
#[must_use]
pub fn aliases(name: &str) -> Vec<&str> {
    match NAMES.iter().find(|names| names.contains(&name)) {
        Some(names) => names.to_vec(),
        None => vec![name],
    }
}

/// Whether two names mean one architecture.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    one == other
        || NAMES
            .iter()
            .any(|names| names.contains(&one) && names.contains(&other))
}

const NAMES: &[&[&str]] = &[
    &["amd64", "x86_64", "generic_64"],
    &["i386", "i686", "x86", "i586", "generic_32"],
    &["arm64", "aarch64"],
    &["armhf", "armv7l", "arm", "armv7", "armhfp"],
    &["armel", "armv6l"],
    &["ppc64el", "ppc64le", "powerpc64le"],
    &["ppc64", "powerpc64"],
    &["powerpc", "ppc"],
    &["s390x"],
    &["riscv64", "riscv64gc"],
    &["mips64el", "mips64"],
    &["mipsel", "mips"],
    &["loong64", "loongarch64"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_one_machine_under_all_its_names() {
        assert!(same("amd64", "x86_64"));
        assert!(same("aarch64", "arm64"));
        assert!(!same("armhf", "arm64"));
        assert!(same("vax", "vax"));
        assert_eq!(aliases("armv7l").first(), Some(&"armhf"));
        assert_eq!(aliases("vax"), ["vax"]);
    }
}
