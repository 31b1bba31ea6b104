use std::time::Duration;

use url::Url;

/// How long to wait, how often to try, and by which way to go.
///
/// # Defaults
/// Those of [`HttpOptions::default`], given at each field. There is no limit on the time a whole file takes:
/// a slow line is no attack, a stalled one is caught by the other limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Time to connect, with the TLS handshake: 10 s.
    pub connect: Duration,
    /// Time from the connection to the head of the answer: 30 s. A server that accepts and is silent.
    pub first_byte: Duration,
    /// Time between two pieces of a body: 30 s. A server that falls silent.
    pub idle: Duration,
    /// Time for a whole document, with all tries and redirects: 120 s. A server that trickles.
    pub document: Duration,
    /// Lowest number of bytes in one second, on average over [`rate_window`](Self::rate_window): 4,096.
    pub lowest_rate: u64,
    /// Over what time the rate is averaged: 60 s.
    pub rate_window: Duration,
    /// Redirects followed for one request: 5; more than 10 count as 10.
    pub redirects: usize,
    /// Tries for one request, the first one too: 3. Only what fails before a body begins is tried again.
    pub tries: u32,
    /// Pause before the second try: half a second. It doubles with each further try, and up to half of it is
    /// added at random, so that many machines do not come back at once.
    pub back_off: Duration,
    /// Highest sum of the pauses of one request, whatever the server asks for: 60 s.
    pub longest_wait: Duration,
    /// Highest number of bytes in the head of an answer: 64 KiB.
    pub head_bytes: usize,
    /// By which proxy to go: [`Proxy::None`].
    pub proxy: Proxy,
    /// Whose certificates count for remotes with system roots: [`Authorities::System`].
    pub authorities: Authorities,
    /// Users whose unix sockets are believed, beside root and the user of this process: none.
    pub socket_owners: Vec<u32>,
}

impl HttpOptions {
    pub(crate) fn most_redirects(&self) -> usize {
        self.redirects.min(MOST_REDIRECTS)
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            document: Duration::from_secs(120),
            lowest_rate: 4096,
            rate_window: Duration::from_secs(60),
            redirects: 5,
            tries: 3,
            back_off: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            head_bytes: 64 << 10,
            proxy: Proxy::None,
            authorities: Authorities::System,
            socket_owners: Vec::new(),
        }
    }
}

/// By which proxy requests go. Sockets never use one.
///
/// Behind a proxy, names are resolved by the proxy: addresses in redirects are checked as far as they are written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// What `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say. Right for programs a person starts; a
    /// daemon must not let its environment choose.
    FromEnvironment,
    /// Straight to the remote.
    #[default]
    None,
    /// This one, for all requests.
    Through(Url),
}

/// Whose signature under a certificate counts where no certificate is pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorities {
    /// Only that of these authorities, as PEM certificates.
    Only(Vec<u8>),
    /// That of the authorities the system knows.
    #[default]
    System,
}

const MOST_REDIRECTS: usize = 10;
