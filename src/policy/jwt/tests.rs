//! Tokens that are good, and every way in which one can be false.

use super::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

const NOW: u64 = 1_800_000_000;
const EXPECTED: Expected<'static> = Expected {
    issuer: "https://id.example",
    audience: "https://mcp.example/mcp",
    roles: Some("realm.roles"),
    now: Timestamp::from_millis(NOW * 1000),
};

struct Signer {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
        }
    }

    fn jwks(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [
            {"kty": "oct", "kid": "ec", "k": text(b"secret")},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": text(&point[1..33]), "y": text(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "x": text(self.ed.public_key().as_ref())},
            {"kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc", "x": text(&point[1..33]), "y": text(&point[33..])},
            {"kty": "RSA", "kid": "odd", "alg": "PS256", "n": "AQAB", "e": "AQAB"},
        ]})
    }

    fn keys(&self) -> Vec<Key> {
        Key::all(self.jwks().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", text(header), text(claims));
        let signature = match header["alg"].as_str() {
            Some("EdDSA") => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
            _ => self.ec.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": EXPECTED.issuer, "aud": EXPECTED.audience, "sub": "alice", "exp": NOW + 60, "iat": NOW, "nbf": NOW,
        "scope": "openid tools:read", "realm": {"roles": ["admin", "dev"]},
    })
}

fn verify(signer: &Signer, token: &str) -> Result<Claims, Fault> {
    Jwt::parse(token)?.verify(&signer.keys(), EXPECTED)
}

#[test]
fn a_good_token_says_who_comes() {
    let signer = Signer::new();
    assert_eq!(signer.keys().len(), 2, "keys for other purposes are left out");
    for header in [
        header(),
        json!({"alg": "ES256"}),
        json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"}),
        json!({"alg": "EdDSA", "typ": "application/at+jwt", "jwk": {"kty": "oct"}, "jku": "https://evil.example"}),
    ] {
        let good = verify(&signer, &signer.sign(&header, &claims())).unwrap();
        let expected = Claims {
            subject: "alice".into(),
            scopes: vec!["openid".into(), "tools:read".into()],
            roles: vec!["admin".into(), "dev".into()],
            expires: Timestamp::from_millis((NOW + 60) * 1000),
        };
        assert_eq!(good, expected, "{header}");
    }
}

#[test]
fn claims_are_checked_with_a_little_room_for_clocks() {
    let signer = Signer::new();
    for (claim, value, expected) in [
        ("iss", json!("https://id.example/"), Err(Fault::Issuer)),
        ("iss", json!(["https://id.example"]), Err(Fault::Issuer)),
        ("iss", Value::Null, Err(Fault::Issuer)),
        ("aud", json!(["other", EXPECTED.audience]), Ok("alice")),
        ("aud", json!("https://mcp.example"), Err(Fault::Audience)),
        ("aud", json!([]), Err(Fault::Audience)),
        ("aud", Value::Null, Err(Fault::Audience)),
        ("exp", json!(NOW - 59), Ok("alice")),
        ("exp", json!(NOW - 60), Err(Fault::Expired)),
        ("exp", json!(NOW as f64 + 0.5), Ok("alice")),
        ("exp", json!((NOW + 60).to_string()), Err(Fault::Malformed)),
        ("exp", json!(-1), Err(Fault::Malformed)),
        ("exp", json!(1e300), Err(Fault::Malformed)),
        ("exp", json!(u64::MAX), Ok("alice")),
        ("nbf", json!(NOW + 60), Ok("alice")),
        ("nbf", json!(NOW + 61), Err(Fault::NotYet)),
        ("iat", json!(NOW + 61), Err(Fault::NotYet)),
        ("iat", json!("now"), Err(Fault::Malformed)),
        ("sub", json!("bob@example.com"), Ok("bob@example.com")),
        ("sub", json!("a\u{7}"), Err(Fault::Subject)),
        ("sub", json!(""), Err(Fault::Subject)),
        ("sub", json!("x".repeat(129)), Err(Fault::Subject)),
    ] {
        let mut claims = claims();
        claims[claim] = value.clone();
        let got = verify(&signer, &signer.sign(&header(), &claims)).map(|claims| claims.subject);
        assert_eq!(got, expected.map(String::from), "{claim} {value}");
    }
    let mut none = claims();
    none.as_object_mut().unwrap().remove("exp");
    assert_eq!(verify(&signer, &signer.sign(&header(), &none)), Err(Fault::Malformed), "one that never ends");
    let mut machine = claims();
    machine.as_object_mut().unwrap().remove("sub");
    machine["client_id"] = json!("robot");
    assert_eq!(verify(&signer, &signer.sign(&header(), &machine)).unwrap().subject, "robot");
}

#[test]
fn a_false_token_is_refused() {
    let signer = Signer::new();
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let good = signer.sign(&header(), &claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let hmac = {
        // The public key as the secret of an HMAC, the classic confusion.
        let signed = format!("{}.{body}", text(&json!({"alg": "HS256", "kid": "ec"})));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, signer.ec.public_key().as_ref());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes())))
    };
    let mut more = claims();
    more["sub"] = json!("root");
    for (token, expected) in [
        (format!("{}.{body}.", text(&json!({"alg": "none"}))), Fault::Algorithm),
        (format!("{}.{body}.{signature}", text(&json!({"alg": "nOnE"}))), Fault::Algorithm),
        (hmac, Fault::Algorithm),
        (signer.sign(&json!({"alg": "RS256", "kid": "ec"}), &claims()), Fault::UnknownKey),
        (signer.sign(&json!({"alg": "ES256", "kid": "other"}), &claims()), Fault::UnknownKey),
        (signer.sign(&json!({"alg": "ES256", "kid": "ed"}), &claims()), Fault::UnknownKey),
        (Signer::new().sign(&header(), &claims()), Fault::Signature),
        (format!("{head}.{}.{signature}", text(&more)), Fault::Signature),
        (format!("{head}.{body}."), Fault::Signature),
        (
            signer.sign(&json!({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false}), &claims()),
            Fault::Malformed,
        ),
        (signer.sign(&json!({"alg": "ES256", "kid": "ec", "typ": "dpop+jwt"}), &claims()), Fault::Malformed),
        (
            format!("{}.{body}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none"}"#)),
            Fault::Malformed,
        ),
        (signer.sign(&header(), &json!(["alice"])), Fault::Malformed),
        (format!("{good}.x"), Fault::Malformed),
        (format!("{head}.{body}.{signature}="), Fault::Malformed),
        ("..".into(), Fault::Malformed),
        ("x".repeat(MOST_BYTES + 1), Fault::Malformed),
    ] {
        assert_eq!(verify(&signer, &token), Err(expected), "{token:.200}");
    }
}

#[test]
fn a_set_of_keys_is_bounded_and_never_trusted_to_be_whole() {
    let signer = Signer::new();
    let one = signer.jwks()["keys"][1].clone();
    let many = json!({"keys": vec![one; 10_000]});
    assert_eq!(Key::all(many.to_string().as_bytes()).unwrap().len(), MOST_KEYS);
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "\u{0}"] {
        assert!(Key::all(text.as_bytes()).is_none(), "{text}");
    }
    for key in [
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "!"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
        json!({"kty": 7}),
        json!("key"),
    ] {
        assert_eq!(Key::all(json!({"keys": [key]}).to_string().as_bytes()), Some(Vec::new()), "{key}");
    }
}
