#[test]
fn unverified_bytes_cannot_be_read_and_verified_ones_cannot_be_made() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
