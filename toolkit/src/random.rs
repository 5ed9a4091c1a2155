//! Random texts.

/// Returns 128 random bits of the system as 32 hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).expect("the system has random octets");
    format!("{:032x}", u128::from_ne_bytes(octets))
}
