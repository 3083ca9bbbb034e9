//! Which pictures are taken as a logo: known by their octets, not by what somebody says they are, and bounded in both
//! directions. Nothing is decoded here; SVG is not taken, because it is a document that can carry script.

use db::record;
use types::{Error, Result};

/// Pixels of a side.
const SIDE_MAX: u32 = 2_048;

record! {
    /// A logo as it is served.
    #[derive(Debug, Clone)]
    pub struct Logo {
        /// What it is: `image/png`, `image/jpeg` or `image/webp`.
        pub media_type: String,
        /// The octets.
        pub octets: Vec<u8>,
    }
}

/// What the octets are, where that is a picture that is taken.
///
/// # Errors
/// `invalid_value` at `logo`.
pub(super) fn media_type(octets: &[u8]) -> Result<&'static str> {
    let (kind, size) = if octets.starts_with(b"\x89PNG\r\n\x1a\n") {
        ("image/png", png(octets))
    } else if octets.starts_with(&[0xff, 0xd8, 0xff]) {
        ("image/jpeg", jpeg(octets))
    } else if octets.starts_with(b"RIFF") && octets.get(8..12) == Some(b"WEBP") {
        ("image/webp", webp(octets))
    } else {
        return Err(Error::invalid("logo", "give a picture as PNG, JPEG or WebP"));
    };
    let (width, height) =
        size.ok_or_else(|| Error::invalid("logo", "the picture is damaged: it names no size"))?;
    if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX {
        let why =
            format!("the picture has {width} × {height} pixels, and at most {SIDE_MAX} each way are taken");
        return Err(Error::invalid("logo", why));
    }
    Ok(kind)
}

fn big(octets: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(octets.get(at..at + length)?.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
}

fn little(octets: &[u8], at: usize, length: usize) -> Option<u32> {
    Some(octets.get(at..at + length)?.iter().rev().fold(0, |sum, octet| sum << 8 | u32::from(*octet)))
}

/// Width and height stand in the first chunk (PNG, third edition, §11.2.1).
fn png(octets: &[u8]) -> Option<(u32, u32)> {
    (octets.get(12..16)? == b"IHDR").then_some(())?;
    Some((big(octets, 16, 4)?, big(octets, 20, 4)?))
}

/// Height and width stand in the frame header, behind other segments (ITU-T T.81 §B.2.2).
fn jpeg(octets: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let (mark, kind) = (*octets.get(at)?, *octets.get(at + 1)?);
        if mark != 0xff {
            return None;
        }
        match kind {
            0xff => at += 1,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((big(octets, at + 7, 2)?, big(octets, at + 5, 2)?));
            }
            0xd0..=0xd9 | 0x01 => at += 2,
            _ => at += 2 + usize::try_from(big(octets, at + 2, 2)?).ok()?.max(2),
        }
    }
}

/// Lossy, lossless or extended (RFC 9649 §2.5 to §2.7).
fn webp(octets: &[u8]) -> Option<(u32, u32)> {
    match octets.get(12..16)? {
        b"VP8 " => Some((little(octets, 26, 2)? & 0x3fff, little(octets, 28, 2)? & 0x3fff)),
        b"VP8L" => {
            let bits = little(octets, 21, 4)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(octets, 24, 3)? + 1, little(octets, 27, 3)? + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut octets = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        octets.extend(width.to_be_bytes());
        octets.extend(height.to_be_bytes());
        octets
    }

    #[test]
    fn pictures_are_known_by_their_octets() {
        assert_eq!(media_type(&png_of(32, 16)).unwrap(), "image/png");
        let jpeg =
            [&[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 17, 8, 0, 16, 0, 32][..], &[0; 8]].concat();
        assert_eq!(media_type(&jpeg).unwrap(), "image/jpeg");
        assert_eq!(super::jpeg(&jpeg), Some((32, 16)));
        let webp = [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".as_slice(), &[31, 0, 0, 15, 0, 0]].concat();
        assert_eq!(media_type(&webp).unwrap(), "image/webp");
        assert_eq!(super::webp(&webp), Some((32, 16)));
    }

    #[test]
    fn what_is_none_or_too_large_is_refused() {
        for bad in [
            b"".to_vec(),
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec(),
            b"GIF89a".to_vec(),
            b"\x89PNG\r\n\x1a\n".to_vec(),
            vec![0xff, 0xd8, 0xff, 0xe0, 0, 0],
            vec![0xff, 0xd8, 0xff],
            png_of(0, 10),
            png_of(10, 2_049),
        ] {
            assert_eq!(media_type(&bad).unwrap_err().place(), Some("logo"), "{bad:?}");
        }
    }
}
