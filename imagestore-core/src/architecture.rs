//! The names of processor architectures, and which of them mean the same machine.

/// The architecture of this machine under its Debian name, such as `amd64`.
#[must_use]
pub fn native() -> &'static str {
    of_target(std::env::consts::ARCH, cfg!(target_endian = "little"))
}

/// What a target of Rust is called by Debian. Some names mean another machine there than in the
/// documents of servers.
fn of_target(machine: &'static str, little_endian: bool) -> &'static str {
    match (machine, little_endian) {
        ("arm", _) => "armhf",
        ("powerpc64", true) => "ppc64el",
        (machine, _) => canonical(machine),
    }
}

/// The Debian name of the architecture that goes by `name`; `name` itself if it is not known.
#[must_use]
pub fn canonical(name: &str) -> &str {
    NAMES
        .iter()
        .find(|names| names.contains(&name))
        .and_then(|names| names.first())
        .copied()
        .unwrap_or(name)
}

/// The other architecture, under its Debian name, whose programs run on this one as they are.
#[must_use]
pub fn personality(name: &str) -> Option<&'static str> {
    (canonical(name) == "amd64").then_some("i386")
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

/// The Debian name first, then those of LXD, `uname -m` and image servers.
const NAMES: &[&[&str]] = &[
    &["amd64", "x86_64", "amd64v3", "generic_64"],
    &["i386", "i686", "i586", "386", "x86", "generic_32"],
    &["arm64", "aarch64", "arm64_generic"],
    &["armhf", "armv7l", "armv7", "armhfp"],
    &["armel", "armv6l", "arm"],
    &["ppc64el", "ppc64le", "powerpc64le"],
    &["ppc64", "powerpc64"],
    &["powerpc", "ppc"],
    &["s390x"],
    &["riscv64", "riscv64gc"],
    &["mips64el", "mips64", "mips64le"],
    &["mipsel", "mips", "mipsle"],
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

    #[test]
    fn knows_the_names_that_image_servers_write() {
        for (written, wanted) in [
            ("amd64v3", "amd64"),
            ("generic_64", "amd64"),
            ("386", "i386"),
            ("generic_32", "i386"),
            ("arm64_generic", "arm64"),
            ("armhfp", "armhf"),
            ("armv7", "armhf"),
            ("arm", "armel"),
            ("armv6l", "armel"),
            ("armv8l", "armv8l"),
            ("ppc64le", "ppc64el"),
            ("mipsle", "mipsel"),
            ("mips64le", "mips64el"),
            ("loongarch64", "loong64"),
        ] {
            assert_eq!(canonical(written), wanted, "{written}");
        }
        let mut all: Vec<_> = NAMES.iter().flat_map(|names| names.iter()).collect();
        all.sort_unstable();
        let names = all.len();
        all.dedup();
        assert_eq!(all.len(), names, "a name of two machines");
    }

    #[test]
    fn targets_of_rust_are_not_taken_for_names_of_servers() {
        for (machine, little_endian, wanted) in [
            ("x86_64", true, "amd64"),
            ("x86", true, "i386"),
            ("arm", true, "armhf"),
            ("powerpc64", true, "ppc64el"),
            ("powerpc64", false, "ppc64"),
            ("riscv64", true, "riscv64"),
        ] {
            assert_eq!(of_target(machine, little_endian), wanted, "{machine}");
        }
    }

    #[test]
    fn only_a_machine_of_64_bits_runs_what_was_made_for_another() {
        assert_eq!(personality("x86_64"), Some("i386"));
        assert_eq!(personality("i686"), None);
        assert_eq!(personality("arm64"), None);
    }
}
