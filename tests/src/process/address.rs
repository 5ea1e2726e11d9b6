//! Addresses that nobody else uses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// As many free ports of a loopback address that no other cluster of this machine's tests has: the ports stay
/// free until they are listened on, since nobody else asks for ports of that address.
pub(super) fn free(count: usize) -> io::Result<Vec<SocketAddr>> {
    static CLUSTERS: AtomicU16 = AtomicU16::new(0);
    // All of 127.0.0.0/8 is this machine. Two processes' numbers may agree in what is left of them here, and
    // then the ports that the system hands out still differ.
    let [.., high, low] = process::id().to_be_bytes();
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let address = Ipv4Addr::new(127, 1 + (cluster % 250) as u8, high, low.clamp(1, 254));
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((address, 0)))
        .collect::<io::Result<_>>()?;
    listeners.iter().map(TcpListener::local_addr).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_are_of_this_machine_and_free() {
        let mut all = BTreeSet::new();
        for _ in 0..3 {
            let addresses = free(3).unwrap();
            for address in &addresses {
                assert!(address.ip().is_loopback());
                TcpListener::bind(address).unwrap();
            }
            all.extend(addresses);
        }
        assert_eq!(all.len(), 9);
    }
}
