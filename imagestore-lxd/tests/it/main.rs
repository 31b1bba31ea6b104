//! How the source behaves towards hosts that are honest, recorded, real or hostile.

mod attacks;
mod conformance;
mod door;
mod first_contact;
mod host;
mod lookup;
mod metadata;
mod peers;
mod peers_work;
mod real_host;
mod recorded;
mod secrets;
mod serve;
mod work;
