use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// Who can be behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Machines on the same link; clouds keep credentials there.
    LinkLocal,
    /// This machine.
    Loopback,
    /// Nobody: unspecified, multicast, reserved and documentation addresses.
    Nobody,
    /// A private network.
    Private,
    /// Anybody.
    Public,
}

impl Class {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// The class of the host of a URL, unless it is a name that must be resolved first.
    pub(crate) fn of_host(url: &Url) -> Option<Self> {
        match url.host()? {
            Host::Domain(name) => is_this_machine(name).then_some(Self::Loopback),
            Host::Ipv4(address) => Some(of_v4(address)),
            Host::Ipv6(address) => Some(of_v6(address)),
        }
    }

    /// Whether a host of this class may send a request on to one of the other: out, or next door.
    pub(crate) fn may_lead_to(self, other: Self) -> bool {
        other == Self::Public || (other == self && other != Self::Nobody)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Nobody => "reserved",
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

/// Which addresses a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// Any: the name was configured.
    Any,
    /// Those to which a host of this class may redirect.
    From(Class),
}

/// Resolves names by the system, except for this machine's, and drops addresses out of reach.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let name = name.as_str();
            // RFC 6761, 6.3: the name must not leave this machine, and no server may define it.
            let found: Vec<SocketAddr> = if is_this_machine(name) {
                vec![
                    (Ipv4Addr::LOCALHOST, 0).into(),
                    (Ipv6Addr::LOCALHOST, 0).into(),
                ]
            } else {
                tokio::net::lookup_host((name, 0)).await?.collect()
            };
            let within: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| reach.covers(address.ip()))
                .collect();
            match (within.is_empty(), found.first()) {
                (true, Some(address)) => {
                    let class = Class::of(address.ip());
                    Err(OutOfReach {
                        name: name.to_owned(),
                        address: address.ip(),
                        class,
                    }
                    .into())
                }
                _ => Ok(Box::new(within.into_iter()) as Addrs),
            }
        })
    }
}

impl Reach {
    fn covers(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::From(class) => class.may_lead_to(Class::of(address)),
        }
    }
}

/// A redirect to a name that stands only for addresses it must not lead to.
#[derive(Debug, Error)]
#[error("{name} stands for the {class} address {address}")]
pub(crate) struct OutOfReach {
    name: String,
    address: IpAddr,
    class: Class,
}

/// Whether a name means this machine, whatever name servers say.
pub(crate) fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn of_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127, ..] => Class::Loopback,
        [169, 254, ..] => Class::LinkLocal,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Class::Private,
        // Carrier-grade NAT and benchmark networks are inside somebody's network.
        [100, 64..=127, ..] | [198, 18 | 19, ..] | [192, 0, 0, _] => Class::Private,
        [0, ..] | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => {
            Class::Nobody
        }
        _ => Class::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Class {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0] if (g, h) == (0, 1) => Class::Loopback,
        // Mapped, compatible, translated and 6to4 addresses are another way to write an IPv4 address.
        [0, 0, 0, 0, 0, 0xffff | 0] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            v4(g, h)
        }
        [0x64, 0xff9b, 1, ..] => Class::Private,
        [0x2002, ..] => v4(b, c),
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Class::Private,
        [0x2000..=0x3fff, ..] if a != 0x2001 || (b != 0 && b != 0xdb8) => Class::Public,
        _ => Class::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_addresses_by_who_is_behind_them() {
        let cases = [
            ("127.0.0.1", Class::Loopback),
            ("127.255.0.3", Class::Loopback),
            ("::1", Class::Loopback),
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::127.0.0.1", Class::Loopback),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("2002:7f00:1::", Class::Loopback),
            ("169.254.169.254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("::ffff:169.254.169.254", Class::LinkLocal),
            ("10.0.0.1", Class::Private),
            ("172.16.0.1", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.1.1", Class::Private),
            ("100.100.100.200", Class::Private),
            ("fd00:ec2::254", Class::Private),
            ("fec0::1", Class::Private),
            ("0.0.0.0", Class::Nobody),
            ("::", Class::Nobody),
            ("224.0.0.1", Class::Nobody),
            ("255.255.255.255", Class::Nobody),
            ("2001:db8::1", Class::Nobody),
            ("ff02::1", Class::Nobody),
            ("2001::1", Class::Nobody),
            ("100::1", Class::Nobody),
            ("1.1.1.1", Class::Public),
            ("172.32.0.1", Class::Public),
            ("2606:4700::1111", Class::Public),
            ("2001:4860:4860::8888", Class::Public),
            ("64:ff9b::101:101", Class::Public),
        ];
        for (address, class) in cases {
            assert_eq!(
                Class::of(address.parse().expect(address)),
                class,
                "{address}"
            );
        }
    }

    #[test]
    fn sees_through_unusual_spellings_of_hosts() {
        let cases = [
            ("http://2130706433/", Some(Class::Loopback)),
            ("http://0x7f.1/", Some(Class::Loopback)),
            ("http://0177.0.0.1/", Some(Class::Loopback)),
            ("http://[::ffff:7f00:1]/", Some(Class::Loopback)),
            ("http://LOCALHOST./", Some(Class::Loopback)),
            ("http://a.localhost/", Some(Class::Loopback)),
            ("http://0/", Some(Class::Nobody)),
            ("http://localhost.example/", None),
        ];
        for (url, class) in cases {
            assert_eq!(Class::of_host(&url.parse().expect(url)), class, "{url}");
        }
    }

    #[test]
    fn leads_out_or_next_door_only() {
        use Class::{LinkLocal, Loopback, Nobody, Private, Public};
        for from in [LinkLocal, Loopback, Nobody, Private, Public] {
            for to in [LinkLocal, Loopback, Nobody, Private, Public] {
                let wanted = to == Public || (from == to && to != Nobody);
                assert_eq!(from.may_lead_to(to), wanted, "{from} to {to}");
            }
        }
        assert!(Reach::Any.covers("127.0.0.1".parse().expect("an address")));
        assert!(!Reach::From(Public).covers("127.0.0.1".parse().expect("an address")));
    }

    #[tokio::test]
    async fn resolves_this_machine_without_asking_and_only_within_reach() {
        let found = |name: &str, reach| {
            let resolving = Resolver(reach).resolve(name.parse().expect(name));
            async {
                resolving
                    .await
                    .map(Iterator::collect::<Vec<_>>)
                    .map_err(|e| e.to_string())
            }
        };
        let here: Vec<SocketAddr> = vec![
            (Ipv4Addr::LOCALHOST, 0).into(),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ];
        for name in ["localhost", "no-such-name.localhost", "LocalHost."] {
            assert_eq!(found(name, Reach::Any).await, Ok(here.clone()));
            assert_eq!(
                found(name, Reach::From(Class::Loopback)).await,
                Ok(here.clone())
            );
            let refused = format!("{name} stands for the loopback address 127.0.0.1");
            assert_eq!(found(name, Reach::From(Class::Public)).await, Err(refused));
        }
    }
}
