use imagestore_lxd::Metadata;

#[test]
fn reads_the_files_of_two_makers() {
    let built = Metadata::parse(include_bytes!(
        "../data/metadata/distrobuilder-shape.metadata.yaml"
    ))
    .expect("metadata");
    assert_eq!(built.architecture, "amd64");
    assert_eq!(built.properties["serial"], "20260829_05:24");
    assert_eq!(built.templates["/etc/hosts"].when, ["create", "copy"]);
    let old = Metadata::parse(include_bytes!("../data/metadata/spec-2015.metadata.yaml"))
        .expect("metadata");
    assert_eq!(old.properties["release"], "trusty, 14.04");
    assert!(old.templates["/etc/network/interfaces"].create_only);
    assert_eq!(old.expiry_date, None);
}
