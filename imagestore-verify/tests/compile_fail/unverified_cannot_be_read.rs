//! Unverified bytes have no way to be read: no field, no `Deref`, no `AsRef`, no accessor.

use bytes::Bytes;
use imagestore_verify::Unverified;

fn main() {
    let data = Unverified::new(Bytes::from("data"));
    let _by_field: &Bytes = &data.0;
    let _by_deref: &Bytes = &*data;
    let _by_index: u8 = data[0];
    let _by_opening: Bytes = data.clone().open();
    let _by_peeking: &Bytes = data.peek();
    let _by_name: Bytes = data.clone().into_inner();
    read(data);
}

fn read(_bytes: impl AsRef<[u8]>) {}
