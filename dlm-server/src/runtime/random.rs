//! Numbers that nobody else has.

/// 16 bytes of the kernel's random numbers.
pub(crate) fn number() -> u128 {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    assert_eq!(filled, Ok(16), "the kernel gives so few random bytes always");
    u128::from_le_bytes(bytes)
}
