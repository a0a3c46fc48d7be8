//! Signed tokens of other issuers (RFC 7519, RFC 9068): read, verified against an issuer's keys, and checked.
//! Pure: keys and time come in. Rule: the algorithm is the key's, never the token's word alone; whatever is not
//! understood refuses the token. Long because every way in which a token can be false is one small step here.

use crate::clock::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A longer token is none.
const MOST_BYTES: usize = 16 << 10;
/// Keys of one issuer that are looked at.
const MOST_KEYS: usize = 64;
/// Keys that a token without a key's name is tried with.
const MOST_TRIES: usize = 8;
/// Clocks differ by no more.
const SKEW_SECONDS: u64 = 60;
/// The longest name of a subject.
const LONGEST_NAME: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    fn of(word: &str) -> Option<Self> {
        match word {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point.
    Ec(Vec<u8>),
    Ed(Vec<u8>),
}

/// Why a token is refused. Words are fixed, so that nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Malformed,
    Algorithm,
    /// Its key is not among those that are known; a fresh look at the issuer may help.
    UnknownKey,
    Signature,
    Issuer,
    Audience,
    Expired,
    NotYet,
    Subject,
}

impl Fault {
    pub fn words(self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::Algorithm => "the token's algorithm is not taken",
            Self::UnknownKey => "the token's key is not one of the issuer",
            Self::Signature => "the token's signature is wrong",
            Self::Issuer => "the token's issuer is not trusted",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Subject => "the token names no usable subject",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token as it reads, not yet verified.
pub struct Jwt<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
}

/// What is expected of a token.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    /// Path of the claim with roles, such as `realm_access.roles`.
    pub roles: Option<&'a str>,
    pub now: Timestamp,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`, or else the client's id.
    pub subject: String,
    /// Words of `scope` or `scp`.
    pub scopes: Vec<String>,
    pub roles: Vec<String>,
    pub expires: Timestamp,
}

impl Claims {
    /// When nobody takes the token any more.
    pub fn ends(&self) -> Timestamp {
        self.expires.plus_ms(SKEW_SECONDS * 1000)
    }
}

/// Whether a bearer token may be one of these, and not a key.
pub fn looks_like(token: &str) -> bool {
    token.starts_with("ey") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl<'a> Jwt<'a> {
    pub fn parse(token: &'a str) -> Result<Self, Fault> {
        if token.len() > MOST_BYTES {
            return Err(Fault::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Fault::Malformed)?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Malformed);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Fault::Malformed)?;
        let algorithm = Algorithm::of(&header.alg).ok_or(Fault::Algorithm)?;
        let kind = header.typ.as_deref().map(|kind| kind.to_ascii_lowercase());
        let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
        // An extension that must be understood is not; an ID token or another kind is no access token.
        if header.crit.is_some() || kind.is_some_and(|kind| !["jwt", "at+jwt"].contains(&kind)) {
            return Err(Fault::Malformed);
        }
        let claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| Fault::Malformed)?;
        Ok(Self { signed, signature: bytes(signature)?, algorithm, kid: header.kid, claims })
    }

    /// Who says to have issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// What the token says, once one of the keys has signed it and it is meant for here and now.
    pub fn verify(&self, keys: &[Key], expected: Expected<'_>) -> Result<Claims, Fault> {
        let fits =
            |key: &&Key| key.algorithm() == self.algorithm && (self.kid.is_none() || key.id == self.kid);
        let mut candidates = keys.iter().filter(fits).take(MOST_TRIES).peekable();
        if candidates.peek().is_none() {
            return Err(Fault::UnknownKey);
        }
        if !candidates.any(|key| key.has_signed(self.signed.as_bytes(), &self.signature)) {
            return Err(Fault::Signature);
        }
        self.check(expected)
    }

    fn check(&self, expected: Expected<'_>) -> Result<Claims, Fault> {
        if self.issuer() != Some(expected.issuer) {
            return Err(Fault::Issuer);
        }
        let is_us = |value: &Value| value.as_str() == Some(expected.audience);
        let audience = match self.claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_us),
            Some(one) => is_us(one),
            None => false,
        };
        if !audience {
            return Err(Fault::Audience);
        }
        let now = expected.now.millis() / 1000;
        let expires = self.seconds("exp")?.ok_or(Fault::Malformed)?;
        if expires.saturating_add(SKEW_SECONDS) <= now {
            return Err(Fault::Expired);
        }
        for claim in ["nbf", "iat"] {
            if self.seconds(claim)?.is_some_and(|from| from > now + SKEW_SECONDS) {
                return Err(Fault::NotYet);
            }
        }
        let scopes =
            self.claims.get("scope").or_else(|| self.claims.get("scp")).map(words).unwrap_or_default();
        let roles = expected.roles.and_then(|path| self.at(path)).map(words).unwrap_or_default();
        let expires = Timestamp::from_millis(expires.min(u32::MAX.into()) * 1000);
        Ok(Claims { subject: self.subject()?, scopes, roles, expires })
    }

    fn subject(&self) -> Result<String, Fault> {
        let named = ["sub", "client_id", "azp"].iter().find_map(|claim| self.claims.get(*claim)?.as_str());
        let fits = |name: &&str| {
            !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
        };
        named.filter(fits).map(Into::into).ok_or(Fault::Subject)
    }

    /// A time in seconds. Fractions are cut off; what is no such number refuses the token.
    fn seconds(&self, claim: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.claims.get(claim) else { return Ok(None) };
        let whole = value.as_u64().or_else(|| {
            let number =
                value.as_f64().filter(|it| it.is_finite() && (0.0..=f64::from(u32::MAX)).contains(it))?;
            Some(number as u64)
        });
        whole.map(Some).ok_or(Fault::Malformed)
    }

    fn at(&self, path: &str) -> Option<&Value> {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let mut value = self.claims.get(path).or_else(|| self.claims.get(first))?;
        // Names of claims may be addresses, with dots in them.
        if self.claims.contains_key(path) {
            return Some(value);
        }
        for key in rest.into_iter().flat_map(|rest| rest.split('.')) {
            value = value.get(key)?;
        }
        Some(value)
    }
}

/// Words of a text, or the texts of a list.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_whitespace().map(Into::into).collect(),
        Value::Array(all) => all.iter().filter_map(|it| Some(it.as_str()?.to_string())).collect(),
        _ => Vec::new(),
    }
}

impl Key {
    /// The keys of a JWKS that can sign tokens here; others are left out. `None` when it is no JWKS.
    pub fn all(jwks: &[u8]) -> Option<Vec<Self>> {
        let document: Value = serde_json::from_slice(jwks).ok()?;
        let keys = document.get("keys")?.as_array()?;
        Some(keys.iter().take(MOST_KEYS).filter_map(Self::read).collect())
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
        if text("use").is_some_and(|purpose| purpose != "sig") || value.get("d").is_some() {
            return None;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                (x.len() == 32 && y.len() == 32).then(|| Material::Ec([&[4][..], &x, &y].concat()))?
            }
            ("OKP", Some("Ed25519")) => Material::Ed(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        let key = Self { id: text("kid").map(Into::into), material };
        let said = text("alg").map(Algorithm::of);
        said.is_none_or(|said| said == Some(key.algorithm())).then_some(key)
    }

    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::Ec(_) => Algorithm::Es256,
            Material::Ed(_) => Algorithm::EdDsa,
        }
    }

    fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::Ec(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Material::Ed(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
