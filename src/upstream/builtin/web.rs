//! HTTP for the built-in servers: one client that reaches public addresses only, unless the entry says otherwise.
//! Rule: the address that is connected to is what counts. Names are filtered as they are resolved, addresses
//! written out are checked in every hop, and the peer of the answer is checked once more.

use super::Options;
use super::reply;
use crate::error::{Error, Result, codes};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, Url, redirect};
use std::error::Error as _;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The variable of an entry that opens private addresses: `1` for all, or a list of addresses.
const ALLOW: &str = "UMCP_ALLOW_PRIVATE";
const CONNECT_TIME: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 5;

/// Which private addresses may be reached. Public ones always may.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    Public,
    Everything,
    /// Public ones and these.
    Also(Vec<IpAddr>),
}

impl Reach {
    pub fn from(options: &Options) -> Result<Self> {
        let value = options.env.get(ALLOW).map(|value| value.trim()).unwrap_or_default();
        match value {
            "" | "0" | "false" | "no" => return Ok(Self::Public),
            "1" | "true" | "yes" => return Ok(Self::Everything),
            _ => {}
        }
        let listed: Result<Vec<IpAddr>, _> = value.split(',').map(|address| address.trim().parse()).collect();
        listed.map(Self::Also).map_err(|_| {
            Error::new(&codes::VALUE_INVALID, format!("`{value}` cannot be the value of {ALLOW}"))
                .hint("use `1` for all private addresses, or a list such as `127.0.0.1,10.0.0.5`")
        })
    }

    fn allows(&self, address: IpAddr) -> bool {
        match self {
            _ if is_public(address) => true,
            Self::Public => false,
            Self::Everything => true,
            Self::Also(listed) => listed.contains(&address.to_canonical()),
        }
    }
}

/// Whether an address is reachable from anywhere: no loopback, private, link-local, shared or reserved range,
/// and none that carries such an address of the older protocol inside.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            | (224.., ..)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let part = address.segments();
    let inside = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match part {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inside(high, low),
        [0x2002, high, low, ..] => inside(high, low),
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only 2000::/3 is given out for global use.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// The error of an address that may not be reached, as it travels through the client.
#[derive(Debug)]
struct Blocked(String);

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Blocked {}

fn blocked(what: &str) -> Blocked {
    Blocked(format!("`{what}` is a private, local or reserved address"))
}

struct Filter(Reach);

impl Resolve for Filter {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let name = name.as_str();
            let found: Vec<_> = tokio::net::lookup_host((name, 0)).await?.collect();
            let allowed: Vec<_> = found.iter().copied().filter(|found| reach.allows(found.ip())).collect();
            match allowed.is_empty() && !found.is_empty() {
                true => Err(blocked(name).into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Where a request may be led on to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Follow {
    Anywhere,
    /// To another host the answer is given as it is: headers of the caller may hold keys for this one.
    SameHost,
    /// The answer is given as it is: the request carried a secret.
    Nowhere,
}

/// A client that is made at its first use, since that reads the system's certificates.
pub struct Web {
    reach: Reach,
    follow: Follow,
    client: OnceLock<Result<Client>>,
}

impl Web {
    pub fn new(options: &Options, follow: Follow) -> Result<Self> {
        Ok(Self { reach: Reach::from(options)?, follow, client: OnceLock::new() })
    }

    /// A client for the flows of signing in, which choose for themselves what they reach.
    pub fn reaching(reach: Reach, follow: Follow) -> Self {
        Self { reach, follow, client: OnceLock::new() }
    }

    /// A request to a checked address.
    pub fn request(&self, method: reqwest::Method, url: &str) -> Result<reqwest::RequestBuilder> {
        let url = Url::parse(url.trim()).map_err(|error| {
            reply::invalid(format!("`{url}` is no URL")).because(error).hint("write it whole, with https://")
        })?;
        check(&url, &self.reach).map_err(|error| private(&error))?;
        let client = self.client.get_or_init(|| build(&self.reach, self.follow)).clone()?;
        Ok(client.request(method, url))
    }

    /// Sends a request. Whatever goes wrong is told with a next step.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| explain(&error))?;
        match response.remote_addr() {
            // A proxy, which only an entry open to everything uses, is its own peer.
            Some(peer) if !self.reach.allows(peer.ip()) => Err(private(&blocked(&peer.ip().to_string()))),
            _ => Ok(response),
        }
    }
}

fn build(reach: &Reach, follow: Follow) -> Result<Client> {
    // Ignored when there is one already, which is then the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let in_hops = reach.clone();
    let policy = redirect::Policy::custom(move |attempt| {
        if follow == Follow::Nowhere {
            return attempt.stop();
        }
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(format!("more than {MAX_REDIRECTS} redirects"));
        }
        if let Err(error) = check(attempt.url(), &in_hops) {
            return attempt.error(error);
        }
        let elsewhere = attempt.previous().last().is_none_or(|last| last.origin() != attempt.url().origin());
        if elsewhere && follow == Follow::SameHost { attempt.stop() } else { attempt.follow() }
    });
    let mut builder = Client::builder()
        .user_agent(concat!("umcp/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Filter(reach.clone())))
        .connect_timeout(CONNECT_TIME)
        .redirect(policy);
    if *reach != Reach::Everything {
        // A proxy would connect in our place, where nothing can be checked.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        Error::new(&codes::UPSTREAM_CONNECT, "the HTTP client could not be made")
            .because(root(&error))
            .hint("install the package `ca-certificates`, or name a file in `SSL_CERT_FILE`")
    })
}

/// Refuses other schemes, and addresses written out that may not be reached. Names are filtered when resolved.
fn check(url: &Url, reach: &Reach) -> Result<(), Blocked> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Blocked(format!("`{}:` is neither http nor https", url.scheme())));
    }
    let host = url.host_str().unwrap_or_default();
    let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    match literal {
        Some(address) if !reach.allows(address) => Err(blocked(host)),
        _ => Ok(()),
    }
}

fn private(error: &Blocked) -> Error {
    reply::refused("the request was not sent").because(error).hint(format!(
        "to reach private addresses, set {ALLOW} to `1` or to the address in the `env` of the server's entry"
    ))
}

fn root(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// An address without its query, its fragment and who signs in, any of which may hold a key.
pub fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Only addresses without a host refuse these, and they have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// An error of the client in words.
pub fn explain(error: &reqwest::Error) -> Error {
    let mut source = error.source();
    while let Some(this) = source {
        if let Some(error) = this.downcast_ref::<Blocked>() {
            return private(error);
        }
        source = this.source();
    }
    let place = error.url().map(|url| format!(" `{}`", bare(url))).unwrap_or_default();
    if error.is_timeout() {
        return reply::refused(format!("no answer from{place} in time"))
            .hint("try again, or allow more time");
    }
    let what = if error.is_connect() { "no connection to" } else { "no answer from" };
    reply::refused(format!("{what}{place}")).because(root(error)).hint("check the address")
}

/// The body, cut off at `limit` bytes, and whether it was.
pub async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| explain(&error))? {
        let room = limit - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

/// The text of a body in the charset its type names; UTF-8 where it names none.
pub fn decode(body: &[u8], content_type: &str) -> String {
    let label = content_type.split(';').find_map(|part| part.trim().strip_prefix("charset="));
    let label = label.map(|label| label.trim_matches('"')).unwrap_or("utf-8");
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    encoding.decode(body).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_key() {
        let url = Url::parse("https://me:pw@api.example/v1/x?api_key=k&a=1#t").unwrap();
        assert_eq!(bare(&url).as_str(), "https://api.example/v1/x");
    }

    #[test]
    fn only_addresses_anybody_can_reach_are_public() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("172.32.0.1", true),
            ("100.128.0.1", true),
            ("2606:4700::1111", true),
            ("64:ff9b::8.8.8.8", true),
            ("::ffff:8.8.8.8", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::127.0.0.1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2001:0:1::", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn the_entry_says_what_is_reachable() {
        let reach = |value: &str| {
            Reach::from(&Options {
                env: [(ALLOW.to_string(), value.to_string())].into(),
                ..Options::default()
            })
        };
        assert_eq!(Reach::from(&Options::default()).unwrap(), Reach::Public);
        assert_eq!(reach("0").unwrap(), Reach::Public);
        assert_eq!(reach("1").unwrap(), Reach::Everything);
        let listed = reach("127.0.0.1, ::1").unwrap();
        assert!(
            listed.allows("127.0.0.1".parse().unwrap()) && listed.allows("::ffff:127.0.0.1".parse().unwrap())
        );
        assert!(!listed.allows("127.0.0.2".parse().unwrap()));
        assert!(reach("localhost").unwrap_err().message.contains("`localhost`"));
    }

    #[test]
    fn every_spelling_of_an_address_is_seen() {
        for (url, good) in [
            ("https://example.com/", true),
            ("http://8.8.8.8/", true),
            ("http://127.0.0.1/", false),
            ("http://2130706433/", false),
            ("http://0x7f.1/", false),
            ("http://0177.0.0.1/", false),
            ("http://[::1]/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("http://169.254.169.254/latest/meta-data/", false),
            ("file:///etc/passwd", false),
            ("ftp://example.com/", false),
        ] {
            assert_eq!(check(&Url::parse(url).unwrap(), &Reach::Public).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn bodies_are_decoded_as_their_type_says() {
        for (body, content_type, expected) in [
            (&b"\xC3\xA4"[..], "text/html", "ä"),
            (b"\xE4", "text/html; charset=ISO-8859-1", "ä"),
            (b"\xE4", "text/plain; charset=\"nonsense\"", "\u{FFFD}"),
        ] {
            assert_eq!(decode(body, content_type), expected, "{content_type}");
        }
    }
}
