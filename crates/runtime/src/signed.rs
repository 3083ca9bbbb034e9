//! Short signed words: what an address of ours says when it comes back from strangers, such as in a mail's return path.
//!
//! A word is the octets and a tag of 80 bits (HMAC-SHA-256, cut by RFC 2104 §5), in letters and digits that survive a change
//! of case on the way. It is no secret: it says that we have made it, and for what.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secrets::Vault;

/// Octets of the tag: nobody guesses one in as many tries as a mail server takes.
const TAG_OCTETS: usize = 10;
/// Octets that a word carries, so that it stays a part of an address.
const OCTETS_MAX: usize = 24;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Signs and reads words of one purpose.
#[derive(Clone)]
pub struct Signer {
    /// One from each root key; the first signs, so what was signed before a new root key came is read until the old one is
    /// forgotten.
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    /// A signer whose words only another of the same vault and purpose reads.
    pub fn new(vault: &Vault, purpose: &'static str) -> Self {
        Self { keys: vault.derive(purpose) }
    }

    /// A word of letters and digits for at most 24 octets; more are cut off, which no caller does.
    pub fn sign(&self, octets: &[u8]) -> String {
        let octets = &octets[..octets.len().min(OCTETS_MAX)];
        let tag = mac(&self.keys[0], octets).finalize().into_bytes();
        base32([octets, &tag[..TAG_OCTETS]].concat().as_slice())
    }

    /// The octets of a word that we have signed, in either case; nothing for any other text.
    pub fn read(&self, word: &str) -> Option<Vec<u8>> {
        let mut octets = unbase32(word)?;
        let at = octets.len().checked_sub(TAG_OCTETS)?;
        let tag = octets.split_off(at);
        let signed = |key| mac(key, &octets).verify_truncated_left(&tag).is_ok();
        self.keys.iter().any(signed).then_some(octets)
    }
}

fn mac(key: &Zeroizing<[u8; 32]>, octets: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key.as_slice())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(octets);
    mac
}

/// RFC 4648 §6 in lower case, without padding.
fn base32(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0u32, 0u32);
    for octet in octets {
        held = held << 8 | u32::from(*octet);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    if text.len() > (OCTETS_MAX + TAG_OCTETS) * 8 / 5 + 1 {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0u32, 0u32);
    for ch in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == ch.to_ascii_lowercase())?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            octets.push((held >> bits & 255) as u8);
        }
        held &= (1 << bits) - 1;
    }
    // Left-over bits are zero in what we have written.
    (held == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_comes_back_in_either_case_and_cannot_be_made_up() {
        let vault = Vault::from_key([7; 32]);
        let signer = Signer::new(&vault, "replies");
        for length in 0..=OCTETS_MAX {
            let octets: Vec<u8> = (0..length).map(|at| (at * 37) as u8).collect();
            let word = signer.sign(&octets);
            assert!(word.len() <= 55, "{word} leaves room in a local part of 64");
            assert_eq!(signer.read(&word), Some(octets.clone()));
            assert_eq!(signer.read(&word.to_uppercase()), Some(octets));
            let mut other = word.clone().into_bytes();
            other[0] = if other[0] == b'a' { b'b' } else { b'a' };
            assert_eq!(signer.read(std::str::from_utf8(&other).unwrap()), None);
        }
        let word = signer.sign(b"x");
        assert_eq!(Signer::new(&vault, "receipts").read(&word), None);
        assert_eq!(Signer::new(&Vault::from_key([8; 32]), "replies").read(&word), None);
        for text in ["", "a", "!", "aaaaaaaaaaaaaaaa", &"a".repeat(1_000)] {
            assert_eq!(signer.read(text), None, "{text}");
        }
    }
}
