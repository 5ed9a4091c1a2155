//! Masking (RFC 6455, 5.3).

/// Masks or unmasks octets in place. `offset` is the position of the first octet in the payload of
/// its frame.
pub(super) fn apply_mask(octets: &mut [u8], mut key: [u8; 4], offset: usize) {
    key.rotate_left(offset % 4);
    let word = u64::from_ne_bytes([
        key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3],
    ]);
    let (words, rest) = octets.as_chunks_mut::<8>();
    for octets in words {
        *octets = (u64::from_ne_bytes(*octets) ^ word).to_ne_bytes();
    }
    for (octet, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *octet ^= key;
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_octet_is_combined_with_the_octet_of_the_key_at_its_position() {
        const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        for offset in 0..9 {
            for length in 0..40 {
                let payload: Vec<u8> = (0..).take(length).collect();
                let mut masked = payload.clone();
                apply_mask(&mut masked, KEY, offset);
                for (n, octet) in payload.iter().enumerate() {
                    assert_eq!(masked[n], octet ^ KEY[(offset + n) % 4]);
                }
            }
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_unmasked() {
        // RFC 6455, 5.7: "A single-frame masked text message".
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply_mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }
}
