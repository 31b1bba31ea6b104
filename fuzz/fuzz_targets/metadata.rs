//! `metadata.yaml` of an image.

#![no_main]

use imagestore_lxd::Metadata;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(metadata) = Metadata::parse(bytes) else {
        return;
    };
    assert!(!metadata.architecture.is_empty());
    for (path, template) in &metadata.templates {
        // Both are names of files, one in an instance and one in the image.
        let mut segments = path.strip_prefix('/').expect("absolute").split('/');
        assert!(
            segments.all(|segment| !matches!(segment, "" | "." | "..")),
            "{path}"
        );
        let name = &template.template;
        assert!(
            !name.contains(['/', '\\', '\0']) && !matches!(&**name, "" | "." | ".."),
            "{name}"
        );
    }
});
