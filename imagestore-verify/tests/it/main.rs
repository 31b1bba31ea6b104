//! Integration tests of imagestore-verify.

mod round_trip;
