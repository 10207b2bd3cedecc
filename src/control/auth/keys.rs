//! Keys: ed25519 (RFC 8032) and HMAC-SHA256 (RFC 2104), by `ring`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{digest, hmac};

/// PKCS#8 of an ed25519 key without its public half (RFC 8410): what every tool reads.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// The same before a public key (`SubjectPublicKeyInfo`).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// RFC 7518, 3.2: a key as long as the hash.
const SHORTEST_SECRET: usize = 32;

/// What checks an operator's signatures.
pub enum PublicKey {
    Ed25519([u8; 32]),
    Hmac(hmac::Key),
}

/// What makes signatures.
pub enum SigningKey {
    Ed25519(Ed25519KeyPair),
    Hmac(hmac::Key),
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.algorithms()[0])
    }
}

impl PublicKey {
    /// Ed25519, in base64: the key alone, or as PEM files have it, their frame left out or not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn ed25519(text: &str) -> Result<Self, &'static str> {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
        let bytes = STANDARD
            .decode(&base64)
            .or_else(|_| URL_SAFE_NO_PAD.decode(base64.trim_end_matches('=')))
            .map_err(|_| "it is not base64")?;
        let key = bytes.strip_prefix(&SPKI).unwrap_or(&bytes);
        key.try_into().map(Self::Ed25519).map_err(|_| "it is not an ed25519 key of 32 bytes")
    }

    /// # Errors
    /// It is too short to be one.
    pub fn hmac(secret: &str) -> Result<Self, &'static str> {
        shared(secret).map(Self::Hmac)
    }

    /// By what names a header may call its signature: RFC 8037's, and RFC 9864's that replaces it.
    pub(super) fn algorithms(&self) -> &'static [&'static str] {
        match self {
            Self::Ed25519(_) => &["EdDSA", "Ed25519"],
            Self::Hmac(_) => &["HS256"],
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl SigningKey {
    /// A key file's text: PKCS#8 in PEM is ed25519; anything else a secret in its first line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let Some((_, pem)) = text.split_once("-----BEGIN PRIVATE KEY-----") else {
            return shared(text.lines().next().unwrap_or_default().trim_end()).map(Self::Hmac);
        };
        let base64: String = pem.split("-----").next().unwrap_or_default().split_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| "its PEM is not base64")?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der);
        pair.map(Self::Ed25519)
            .map_err(|_| "it is no ed25519 key; make one: sightwire keygen, openssl genpkey -algorithm ed25519")
    }

    /// The public half, as the configuration has it; of a secret there is none.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        match self {
            Self::Ed25519(pair) => Some(STANDARD.encode(pair.public_key().as_ref())),
            Self::Hmac(_) => None,
        }
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Hmac(_) => "HS256",
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
        }
    }
}

fn shared(secret: &str) -> Result<hmac::Key, &'static str> {
    if secret.len() < SHORTEST_SECRET {
        return Err("the first line is to hold a secret of at least 32 characters; make one: sightwire keygen --hmac");
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
}

/// A new key's file. `None`: the system gives no random numbers.
#[must_use]
pub fn generate(symmetric: bool) -> Option<String> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).ok()?;
    if symmetric {
        return Some(format!("{}\n", URL_SAFE_NO_PAD.encode(seed)));
    }
    let der = STANDARD.encode([&PKCS8[..], &seed].concat());
    Some(format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n"))
}

/// What an id is remembered by: of one length, whatever its sender made of it.
pub(super) fn fingerprint(operator: &str, id: &str) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    // Names hold no zero byte.
    for part in [operator.as_bytes(), &[0], id.as_bytes()] {
        context.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&context.finish().as_ref()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
    }

    fn signing(seed: &[u8]) -> SigningKey {
        let der = STANDARD.encode([&PKCS8[..], seed].concat());
        SigningKey::read(&format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")).unwrap()
    }

    #[test]
    fn rfc_8032_s_own_examples_hold() {
        // 7.1, tests 1 to 3: secret key, public key, message, signature.
        let examples = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ];
        for (secret, public, message, signature) in examples {
            let (key, message, signature) = (signing(&hex(secret)), hex(message), hex(signature));
            assert_eq!(key.sign(&message), signature);
            let public = STANDARD.encode(hex(public));
            assert_eq!(key.public_key().as_deref(), Some(public.as_str()));
            let key = PublicKey::ed25519(&public).unwrap();
            assert!(key.verifies(&message, &signature));
            assert!(!key.verifies(b"other", &signature) && !key.verifies(&message, &signature[..63]));
        }
    }

    #[test]
    fn rfc_4231_s_example_holds() {
        // Test case 7: a key longer than the block (shorter ones are refused here).
        let secret = [0xaa_u8; 131];
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let message = b"This is a test using a larger than block-size key and a larger than block-size data. \
                        The key needs to be hashed before being used by the HMAC algorithm.";
        let signature = hex("9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
        assert_eq!(SigningKey::Hmac(key.clone()).sign(message), signature);
        assert!(PublicKey::Hmac(key).verifies(message, &signature));
    }

    #[test]
    fn keys_are_read_as_tools_write_them() {
        let text = generate(false).unwrap();
        let key = SigningKey::read(&text).unwrap();
        let public = key.public_key().unwrap();
        let bytes = STANDARD.decode(&public).unwrap();
        let der = STANDARD.encode([&SPKI[..], &bytes].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        for form in [public.as_str(), &URL_SAFE_NO_PAD.encode(&bytes), &der, &pem] {
            let read = PublicKey::ed25519(form).unwrap();
            assert!(read.verifies(b"m", &key.sign(b"m")), "{form}");
        }
        for wrong in ["", "x", "AAAA", "!!!"] {
            assert!(PublicKey::ed25519(wrong).is_err(), "{wrong}");
        }
        let secret = generate(true).unwrap();
        let signature = SigningKey::read(&secret).unwrap().sign(b"m");
        assert!(PublicKey::hmac(secret.trim_end()).unwrap().verifies(b"m", &signature));
        for short in ["", "short\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(SigningKey::read(short).is_err(), "{short}");
        }
    }
}
