//! Random octets.

/// Returns random octets of the system. Processes that have forked get others, which a generator in memory does not ensure.
pub(crate) fn random_octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the system has random octets");
    octets
}
