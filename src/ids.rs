//! Identifiers: version 7 UUIDs with a short prefix that says what they name. No randomness elsewhere.

/// A fresh id such as `srv_0199c3f0a1b27e0c8d3f5a6b7c8d9e0f`; sorts by time of creation within one prefix.
pub fn fresh(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
}

/// `length` bytes from the operating system's generator, as lower-case hex.
pub fn random_hex(length: usize) -> String {
    use ring::rand::SecureRandom;
    let mut bytes = vec![0; length];
    ring::rand::SystemRandom::new().fill(&mut bytes).expect("the operating system has a random generator");
    hex(&bytes)
}

/// A random number, from the same generator.
pub fn random_number() -> u64 {
    u64::from_str_radix(&random_hex(8), 16).expect("eight bytes in hex are a number")
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of all parts, one behind the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// SHA-256 of `bytes`, as lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
