//! Seals `requestState`: what the client carries back to us must be what we gave it, for the same request, in time.
//! It hides nothing; it only proves origin. Rule: the key lives as long as the process.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::{Value, json};

const LIFETIME_S: i64 = 600;

pub struct Seal {
    key: hmac::Key,
}

impl Seal {
    pub fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the operating system has random bytes");
        Self { key }
    }

    /// Text that `open` accepts for the same purpose within ten minutes of `now` (seconds).
    pub fn close(&self, purpose: &str, data: &Value, now: i64) -> String {
        let body = URL_SAFE_NO_PAD.encode(json!({"for": purpose, "at": now, "data": data}).to_string());
        let tag = hmac::sign(&self.key, body.as_bytes());
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    /// The data inside, or nothing when the text was altered, is for something else, or is too old.
    pub fn open(&self, purpose: &str, text: &str, now: i64) -> Option<Value> {
        let (body, tag) = text.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.key, body.as_bytes(), &tag).ok()?;
        let mut content: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let fresh = now - content["at"].as_i64()? <= LIFETIME_S;
        (fresh && content["for"] == purpose).then(|| content["data"].take())
    }
}

#[cfg(test)]
mod tests {
    use super::Seal;
    use serde_json::json;

    #[test]
    fn only_the_untouched_text_opens() {
        let seal = Seal::new();
        let data = json!({"step": 1});
        let text = seal.close("tool", &data, 1000);
        assert_eq!(seal.open("tool", &text, 1000), Some(data));
        assert_eq!(seal.open("tool", &format!("{text}-TAMPERED"), 1000), None);
        assert_eq!(seal.open("tool", &text.replacen('e', "f", 1), 1000), None);
        assert_eq!(seal.open("other", &text, 1000), None);
        assert_eq!(seal.open("tool", &text, 1601), None);
        assert_eq!(Seal::new().open("tool", &text, 1000), None);
    }
}
