//! Where HTTP clients may be listened for: how an address is written, and which ones need a word more.
//! It serves nobody. Rule: what other machines can reach is asked for by name, and a key stays necessary there.

use crate::error::{Error, Result, codes};
use std::net::{SocketAddr, TcpListener};

/// The address that words mean, where they may be used.
/// `private`: the connection is TLS, or the user spelled out that it need not be.
pub fn permitted(text: &str, private: bool, no_key: bool) -> Result<SocketAddr> {
    let address = parse(text)?;
    if !address.ip().is_loopback() && (!private || no_key) {
        let message = format!("`{address}` can be reached by other machines");
        let error = Error::new(&codes::BIND_REFUSED, message);
        return Err(match private {
            true => error.hint("leave out --no-key: a key is necessary there"),
            false => error
                .hint("say --tls, or give a certificate with --tls-cert and --tls-key")
                .hint("listen on 127.0.0.1 and use an SSH tunnel or a reverse proxy with TLS")
                .hint("or spell out --insecure; a key stays necessary"),
        });
    }
    Ok(address)
}

/// Whether a URL leads to this very machine; one that is no URL leads nowhere.
pub fn leads_here(url: &str) -> bool {
    match url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Whether one could listen there now. A port among `held` is taken by somebody who is about to let go of it.
pub fn check(text: &str, private: bool, no_key: bool, held: &[String]) -> Result<()> {
    let address = permitted(text, private, no_key)?;
    if held.iter().any(|held| held.parse::<SocketAddr>().is_ok_and(|held| held.port() == address.port())) {
        return Ok(());
    }
    TcpListener::bind(address).map(drop).map_err(|error| not_bound(address, error))
}

pub fn not_bound(address: SocketAddr, error: std::io::Error) -> Error {
    Error::new(&codes::BIND_FAILED, format!("cannot listen on `{address}`")).because(error)
}

/// `127.0.0.1:7332`, `localhost:7332`, `[::1]:7332`, or only a port of this machine.
pub fn parse(text: &str) -> Result<SocketAddr> {
    let full = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.replace("localhost:", "127.0.0.1:"),
    };
    full.parse().map_err(|error| {
        Error::new(&codes::VALUE_INVALID, format!("`{text}` is no address to listen on"))
            .because(error)
            .hint("write 127.0.0.1:7332, or only the port")
    })
}

/// The origin a public address stands for, such as `https://mcp.example.com`: no path, no user, nothing behind.
pub fn origin(text: &str) -> Result<String> {
    let refuse = || {
        Error::new(
            &codes::VALUE_INVALID,
            format!("`{text}` is no address under which clients find the endpoint"),
        )
        .hint("write it like https://mcp.example.com, without a path")
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let scheme = scheme.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    match ["http", "https"].contains(&scheme.as_str()) && !authority.is_empty() && authority.chars().all(fits)
    {
        true => Ok(format!("{scheme}://{}", authority.to_ascii_lowercase())),
        false => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_here() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://127.8.0.1/x", true),
            ("http://LocalHost/x", true),
            ("http://[::1]:80/x", true),
            ("http://localhost.evil.example/x", false),
            ("http://127.0.0.1@evil.example/x", false),
            ("http://127.0.0.1:80@evil.example/x", false),
            // A backslash is a slash in addresses of the web.
            ("http://evil.example\\@127.0.0.1/x", false),
            ("http://evil.example/127.0.0.1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(leads_here(url), expected, "{url}");
        }
    }

    #[test]
    fn words_mean_an_address_or_are_refused() {
        for (text, private, no_key, expected) in [
            ("7332", false, true, Ok("127.0.0.1:7332")),
            ("localhost:7332", false, false, Ok("127.0.0.1:7332")),
            ("[::1]:7332", false, false, Ok("[::1]:7332")),
            ("0.0.0.0:7332", true, false, Ok("0.0.0.0:7332")),
            ("0.0.0.0:7332", true, true, Err(&codes::BIND_REFUSED)),
            ("0.0.0.0:7332", false, false, Err(&codes::BIND_REFUSED)),
            ("foo", false, false, Err(&codes::VALUE_INVALID)),
        ] {
            match (permitted(text, private, no_key), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(error), Err(code)) => assert!(error.is(code), "{text}: {error}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_taken_port_is_refused_unless_its_holder_lets_go() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap().to_string();
        assert!(check(&address, false, false, &[]).is_err_and(|error| error.is(&codes::BIND_FAILED)));
        assert!(check(&address, false, false, std::slice::from_ref(&address)).is_ok());
        assert!(check("0", false, false, &[]).is_ok());
    }

    #[test]
    fn a_public_address_is_an_origin() {
        for (text, expected) in [
            ("https://MCP.example.com/", Some("https://mcp.example.com")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("https://mcp.example.com/mcp", None),
            ("https://me@mcp.example.com", None),
            ("https://a\"b", None),
            ("ftp://x", None),
            ("mcp.example.com", None),
            ("https://", None),
        ] {
            assert_eq!(origin(text).ok().as_deref(), expected, "{text}");
        }
    }
}
