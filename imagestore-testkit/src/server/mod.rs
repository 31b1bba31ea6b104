//! A real server on this machine, with faults.

mod answer;
mod certificate;
mod connection;
mod date;
mod fault;
mod gzip;
mod plan;
mod request;
mod running;
mod site;

pub use self::answer::Answer;
pub use self::certificate::Certificate;
pub use self::fault::{Fault, Framing, WrongRange};
pub use self::request::Request;
pub use self::running::Server;
pub use self::site::Site;
