//! Where a receiver may be: anywhere in a hospital's network, and nowhere that only this machine
//! or its cloud should ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long a name may take to be resolved.
const PATIENCE: Duration = Duration::from_secs(5);

/// Addresses at which clouds tell a machine its secrets, beyond the link-local ones.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
];

/// What keeps an address from being a receiver's, if anything does.
pub fn unfit(address: IpAddr) -> Option<&'static str> {
    let address = inner(address);
    if METADATA.contains(&address) {
        return Some("is where a cloud tells machines their secrets");
    }
    let (link_local, special) = match address {
        IpAddr::V4(a) => (
            a.is_link_local(),
            a.octets()[0] == 0 || a.is_multicast() || a.is_broadcast(),
        ),
        IpAddr::V6(a) => (
            a.is_unicast_link_local(),
            a.is_unspecified() || a.is_multicast(),
        ),
    };
    if link_local {
        return Some("is link-local, where clouds tell machines their secrets");
    }
    special.then_some("is no single machine's address")
}

/// The IPv4 address that one of IPv6 stands for (mapped, compatible, NAT64, 6to4).
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let last = |at: usize| {
        let o = six.octets();
        IpAddr::V4(Ipv4Addr::new(o[at], o[at + 1], o[at + 2], o[at + 3]))
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, _] if high != 0 => last(12),
        [0x64, 0xff9b, ..] => last(12),
        [0x2002, ..] => last(2),
        _ => address,
    }
}

/// The addresses of a host that may be asked.
///
/// # Errors
/// Why there is none.
pub async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port)))
        .await
        .map_err(|_| "its name takes too long to be resolved".to_owned())?
        .map_err(|error| format!("its name cannot be resolved: {}", error.kind()))?;
    let found: Vec<_> = found.collect();
    let fit = found.iter().filter(|a| unfit(a.ip()).is_none());
    let fit: Vec<_> = fit.copied().collect();
    if !fit.is_empty() {
        return Ok(fit);
    }
    Err(match found.first() {
        None => "its name has no address".to_owned(),
        Some(first) => {
            let why = unfit(first.ip()).unwrap_or_default();
            format!("it is refused: its address {} {why}", first.ip())
        }
    })
}

/// The same for HTTPS. It is asked at every connection, so that a name that points elsewhere later
/// is found out.
#[derive(Debug)]
pub struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = resolve(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hospitals_are_reached_and_metadata_is_not() {
        for fit in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "fd12::1",
            "::1",
            "8.8.8.8",
        ] {
            assert_eq!(unfit(fit.parse().expect("an address")), None, "{fit}");
        }
        for unwanted in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            let address = unwanted.parse().expect("an address");
            assert!(unfit(address).is_some(), "{unwanted}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        let error = resolve("169.254.169.254", 443).await.expect_err("refused");
        assert!(error.contains("link-local"), "{error}");
        assert!(resolve("127.0.0.1", 443).await.is_ok());
    }
}
