//! The transport against real servers on this machine: good ones, slow ones, broken ones and hostile ones.

mod bodies;
mod cache;
mod cache_faults;
mod causes;
mod certificates;
mod changes;
mod identities;
mod proxies;
mod raw;
mod redirects;
mod requests;
mod resume;
mod retries;
mod setup;
mod sockets;
mod tls;
