//! Signed assertions with which a client proves itself (RFC 7523): RS256, ES256 or EdDSA, by the kind of key.
//! Only signs; umcp verifies no such token here.

use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::json;

/// An assertion is used at once.
const LIFE_SECONDS: u64 = 60;

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Key {
    fn parse(pem: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Error::new(&codes::VALUE_INVALID, "the client's key cannot be used")
                .because(why)
                .hint("give a key in PKCS#8: openssl pkcs8 -topk8 -nocrypt -in KEY")
        };
        let (start, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let inner = pem.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(inner, _)| inner);
        let text: String =
            inner.ok_or_else(|| invalid("it is no PEM of a private key"))?.split_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| invalid("its Base64 is damaged"))?;
        let random = SystemRandom::new();
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random) {
            return Ok(Self::Ec(key));
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Ok(Self::Ed(key));
        }
        RsaKeyPair::from_pkcs8(&der)
            .map(Self::Rsa)
            .map_err(|_| invalid("it is neither RSA (2048 bits and more), P-256 nor Ed25519"))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_| Error::bug("a key that was read does not sign");
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Ec(key) => Ok(key.sign(&random, message).map_err(failed)?.as_ref().into()),
            Self::Ed(key) => Ok(key.sign(message).as_ref().into()),
        }
    }
}

/// Whether a key can sign.
pub fn check(pem: &str) -> Result<()> {
    Key::parse(pem).map(drop)
}

/// The assertion of client `client` for `audience`; `id` is never used twice.
pub fn sign(pem: &str, client: &str, audience: &str, id: &str, now: Timestamp) -> Result<String> {
    let key = Key::parse(pem)?;
    let seconds = now.millis() / 1000;
    let header = json!({"alg": key.algorithm(), "typ": "JWT"});
    let claims = json!({
        "iss": client, "sub": client, "aud": audience, "jti": id, "iat": seconds, "exp": seconds + LIFE_SECONDS,
    });
    let body = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = key.sign(body.as_bytes())?;
    Ok(format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey};

    #[test]
    fn an_assertion_verifies() {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(document.as_ref())
        );
        let token = sign(&pem, "me", "https://i", "j1", Timestamp::from_millis(5_000)).unwrap();
        let (body, signature) = token.rsplit_once('.').unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key());
        public.verify(body.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(body.split_once('.').unwrap().1).unwrap();
        assert_eq!(
            String::from_utf8(claims).unwrap(),
            r#"{"iss":"me","sub":"me","aud":"https://i","jti":"j1","iat":5,"exp":65}"#
        );
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_showing_it() {
        for pem in [
            "",
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            let error = check(pem).unwrap_err();
            assert!(error.is(&codes::VALUE_INVALID) && !format!("{error}").contains("hunter2"));
        }
    }
}
