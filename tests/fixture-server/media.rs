//! The smallest image and the smallest sound, built from their formats, in Base64.
//! Rule: computed once per call; no binary files in the repository.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A PNG of one red pixel.
pub fn png() -> String {
    let mut bytes = vec![0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    chunk(&mut bytes, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
    // zlib header, one stored block of four bytes (filter 0, red), Adler-32 of those bytes.
    let pixel = [0, 0xff, 0, 0];
    let mut data = vec![0x78, 0x01, 0x01, 4, 0, 0xfb, 0xff];
    data.extend(pixel);
    data.extend(adler(&pixel).to_be_bytes());
    chunk(&mut bytes, b"IDAT", &data);
    chunk(&mut bytes, b"IEND", &[]);
    STANDARD.encode(bytes)
}

/// A WAV of eight silent samples.
pub fn wav() -> String {
    let samples = [0x80_u8; 8];
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 8_u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    // PCM, one channel, 8000 samples a second, 8000 bytes a second, one byte a frame, 8 bits.
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(8000_u32.to_le_bytes());
    bytes.extend(8000_u32.to_le_bytes());
    bytes.extend([1, 0, 8, 0]);
    bytes.extend(b"data");
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(samples);
    STANDARD.encode(bytes)
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("chunks here have a few bytes");
    out.extend(length.to_be_bytes());
    let body = [kind.as_slice(), data].concat();
    out.extend(&body);
    out.extend(crc32fast::hash(&body).to_be_bytes());
}

fn adler(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (a + b) % 65521)
    });
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::{adler, png, wav};

    #[test]
    fn both_begin_with_their_magic() {
        assert!(png().starts_with("iVBORw0KGgo"));
        assert!(wav().starts_with("UklGRiwAAABXQVZF"));
        assert_eq!(adler(b"Wikipedia"), 0x11e6_0398);
    }
}
