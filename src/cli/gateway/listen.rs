//! Where HTTP clients are listened for, as the command line says it: address, certificate, proxies.

use crate::engine::live::{Listening, Tls};
use crate::error::{Error, Result, codes};
use crate::policy;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Http {
    /// Listen for HTTP clients at this address
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:7332", value_parser = address)]
    pub http: Option<String>,
    /// Listen where other machines reach it, without TLS
    #[arg(long, requires = "http", conflicts_with_all = ["tls", "tls_cert"])]
    insecure: bool,
    /// Take HTTP requests without a key
    #[arg(long, requires = "http")]
    no_key: bool,
    /// Speak TLS with a certificate made here
    #[arg(long, requires = "http", conflicts_with = "tls_cert")]
    tls: bool,
    /// Speak TLS with this certificate chain, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where clients find it, if not at ADDR
    #[arg(long, value_name = "URL", requires = "http")]
    public_url: Option<String>,
    /// Believe this proxy about the client's address
    #[arg(long, value_name = "NETWORK", requires = "http")]
    trust_proxy: Vec<String>,
}

impl Http {
    /// The listener that is meant, if one is.
    pub fn listening(self) -> Result<Option<Listening>> {
        let Some(address) = self.http else {
            return match self.tls_cert {
                Some(_) => Err(Error::new(&codes::USAGE, "`--tls-cert` needs an address to listen on")
                    .hint("add --http 0.0.0.0:7332")),
                None => Ok(None),
            };
        };
        for network in &self.trust_proxy {
            policy::network::Network::parse(network)?;
        }
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(Tls::Files { cert: absolute(cert), key: absolute(key) }),
            _ => self.tls.then_some(Tls::SelfSigned),
        };
        let public_url = self.public_url.as_deref().map(policy::address::origin).transpose()?;
        let Self { insecure, no_key, trust_proxy: trusted, .. } = self;
        let listening = Listening { address, insecure, no_key, tls, public_url, trusted, fingerprint: None };
        Ok(Some(listening))
    }
}

/// An address that can be understood, as it was typed; one that cannot is a mistake of the command line.
fn address(text: &str) -> std::result::Result<String, String> {
    let understood = policy::address::parse(text).map(|_| text.to_string());
    understood.map_err(|_| "write 127.0.0.1:7332, or only the port".into())
}
