//! Signing requests as RFC 5849 says (HMAC-SHA1, HMAC-SHA256), for the providers that still ask for it.
//! Pure: time and nonce come in as arguments. It sends nothing and stores nothing.

use base64::Engine as _;
use ring::hmac;

/// Who signs.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    pub consumer: &'a str,
    pub consumer_secret: &'a str,
    /// Token and its secret; the request for a temporary token has none.
    pub token: Option<(&'a str, &'a str)>,
}

/// How it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    HmacSha1,
    HmacSha256,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// What makes a signature unique.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    pub seconds: u64,
    pub nonce: &'a str,
}

/// The `Authorization` header of a request. `form` are the parameters of a form body; `extra` are parameters of the
/// protocol such as `oauth_callback`.
pub fn header(
    signer: Signer<'_>,
    method: Method,
    verb: &str,
    url: &url::Url,
    form: &[(&str, &str)],
    extra: &[(&str, &str)],
    stamp: Stamp<'_>,
) -> String {
    let seconds = stamp.seconds.to_string();
    let mut own = vec![
        ("oauth_consumer_key", signer.consumer),
        ("oauth_nonce", stamp.nonce),
        ("oauth_signature_method", method.word()),
        ("oauth_timestamp", &seconds),
        ("oauth_version", "1.0"),
    ];
    own.extend(signer.token.map(|(token, _)| ("oauth_token", token)));
    own.extend_from_slice(extra);
    let signature = sign(signer, method, &base_string(verb, url, form, &own));
    own.push(("oauth_signature", &signature));
    let pairs: Vec<String> =
        own.iter().map(|(name, value)| format!("{}=\"{}\"", encode(name), encode(value))).collect();
    format!("OAuth {}", pairs.join(", "))
}

/// The text that is signed (section 3.4.1).
fn base_string(verb: &str, url: &url::Url, form: &[(&str, &str)], own: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (encode(&name), encode(&value))).collect();
    pairs.extend(form.iter().chain(own).map(|(name, value)| (encode(name), encode(value))));
    pairs.sort();
    let joined: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{}&{}&{}", verb.to_ascii_uppercase(), encode(bare.as_str()), encode(&joined.join("&")))
}

fn sign(signer: Signer<'_>, method: Method, base: &str) -> String {
    let token_secret = signer.token.map_or("", |(_, secret)| secret);
    let key = format!("{}&{}", encode(signer.consumer_secret), encode(token_secret));
    let algorithm = match method {
        Method::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Method::HmacSha256 => hmac::HMAC_SHA256,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), base.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(tag)
}

/// Percent-encoding as section 3.6 wants it: everything but letters, digits and `-._~`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> url::Url {
        url::Url::parse(text).unwrap()
    }

    #[test]
    fn the_base_string_of_the_rfc() {
        // Section 3.4.1.1.
        let own = [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        let base = base_string(
            "post",
            &url("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b"),
            &[("c2", ""), ("a3", "2 q")],
            &own,
        );
        assert_eq!(
            base,
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%25\
             40%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method\
             %3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn the_signatures_of_the_rfc() {
        // Section 1.2: the request for a token, and the one for the picture. Both are without a version.
        let consumer =
            Signer { consumer: "dpf43f3p2l4k3l03", consumer_secret: "kd94hf93k423kf44", token: None };
        let token = Signer { token: Some(("hh5s93j4hdidpola", "hdhd0244k9j7ao03")), ..consumer };
        let own = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "hh5s93j4hdidpola"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "walatlh"),
            ("oauth_verifier", "hfdp7dh39dks9884"),
        ];
        let base = base_string("POST", &url("https://photos.example.net/token"), &[], &own);
        assert_eq!(encode(&sign(token, Method::HmacSha1, &base)), "gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D");

        let picture = Signer { token: Some(("nnch734d00sl2jdk", "pfkkdhi9sl3r4s00")), ..consumer };
        let own = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ];
        let base = base_string(
            "GET",
            &url("http://photos.example.net/photos?file=vacation.jpg&size=original"),
            &[],
            &own,
        );
        assert_eq!(encode(&sign(picture, Method::HmacSha1, &base)), "MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D");
    }

    #[test]
    fn a_header_holds_everything_but_the_secrets() {
        let signer = Signer { consumer: "c k", consumer_secret: "hidden1", token: Some(("t", "hidden2")) };
        let stamp = Stamp { seconds: 7, nonce: "n" };
        let address = url("https://a.example/x?q=1");
        let header =
            header(signer, Method::HmacSha256, "GET", &address, &[], &[("oauth_verifier", "v&")], stamp);
        let start = "OAuth oauth_consumer_key=\"c%20k\", oauth_nonce=\"n\", oauth_signature_method=\"HMAC-SHA256\", \
                     oauth_timestamp=\"7\", oauth_version=\"1.0\", oauth_token=\"t\", oauth_verifier=\"v%26\", \
                     oauth_signature=\"";
        assert!(header.starts_with(start), "{header}");
        assert!(!header.contains("hidden"));
    }

    #[test]
    fn reserved_characters_are_encoded() {
        assert_eq!(encode("aZ09-._~ +%&=ä"), "aZ09-._~%20%2B%25%26%3D%C3%A4");
    }
}
