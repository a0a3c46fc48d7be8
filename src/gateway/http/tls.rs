//! Certificates of listeners: given as files or made by ourselves, and taken anew when they change.
//! Rule: a certificate that cannot be read never replaces one that works, and no connection is dropped for a new one.

use crate::engine::live::Tls;
use crate::error::{Error, Result, codes};
use crate::paths::{self, Paths};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use tokio_rustls::TlsAcceptor;

/// A changed file is looked for so often at most, when somebody connects.
const LOOK: Duration = Duration::from_secs(2);
/// A certificate of our own is good for so long: no authority stands behind it, clients are told to trust it.
const OWN_YEARS: i32 = 10;

/// The certificate of one listener.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    looked: Mutex<(Instant, Stamp)>,
}

/// What tells one state of the two files from another.
type Stamp = [Option<(SystemTime, u64)>; 2];

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Certificate {
    /// Reads the certificate, or makes one of our own.
    pub fn open(tls: &Tls, paths: &Paths, year: i32, names: &[String]) -> Result<Self> {
        let (cert, key) = match tls {
            Tls::Files { cert, key } => (cert.clone(), key.clone()),
            Tls::SelfSigned => own(paths, year, names)?,
        };
        let stamp = stamp(&cert, &key);
        let current = Arc::new(Current(RwLock::new(Arc::new(load(&cert, &key)?))));
        Ok(Self { cert, key, current, looked: Mutex::new((Instant::now(), stamp)) })
    }

    /// What takes connections with it.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let failed = |error: rustls::Error| Error::bug("TLS cannot be set up").because(error);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }

    /// Takes the files anew.
    pub fn reload(&self) -> Result<()> {
        let fresh = load(&self.cert, &self.key)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// Takes the files anew if they changed since the last look; `None` when there was nothing to do.
    pub fn reload_if_changed(&self) -> Option<Result<()>> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.0.elapsed() < LOOK {
            return None;
        }
        looked.0 = Instant::now();
        let stamp = stamp(&self.cert, &self.key);
        if stamp == looked.1 {
            return None;
        }
        looked.1 = stamp;
        Some(self.reload())
    }

    /// SHA-256 of the certificate, as clients show it.
    pub fn fingerprint(&self) -> String {
        let current = self.current.0.read().unwrap_or_else(PoisonError::into_inner);
        let hash = current.cert.first().map_or([0; 32], |cert| crate::ids::sha256(&[cert.as_ref()]));
        hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

fn stamp(cert: &Path, key: &Path) -> Stamp {
    [cert, key].map(|path| {
        let facts = std::fs::metadata(path).ok()?;
        Some((facts.modified().ok()?, facts.len()))
    })
}

fn load(cert: &Path, key: &Path) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(|found| found.collect::<std::result::Result<Vec<_>, _>>())
        .map_err(|error| unusable("certificate", cert, error))?;
    if chain.is_empty() {
        return Err(unusable("certificate", cert, "there is none in the file"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("key", key, error))?;
    let certified = CertifiedKey::from_der(chain, secret, &ring::default_provider());
    // Which also says whether the two belong together.
    certified.map_err(|error| unusable("key", key, error))
}

fn unusable(what: &str, path: &Path, why: impl ToString) -> Error {
    Error::new(&codes::CERTIFICATE_INVALID, format!("the {what} in `{}` cannot be used", path.display()))
        .because(why.to_string())
        .hint("give both as PEM: --tls-cert fullchain.pem --tls-key privkey.pem")
}

/// The files of our own certificate; made once, for this machine and the names it is found by.
fn own(paths: &Paths, year: i32, names: &[String]) -> Result<(PathBuf, PathBuf)> {
    let (cert, key) = (paths.own_certificate(), paths.data.join("endpoint.key"));
    if cert.exists() && key.exists() {
        return Ok((cert, key));
    }
    let failed = |error: rcgen::Error| Error::bug("no certificate could be made").because(error);
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(Into::into).into();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    let mut wanted = rcgen::CertificateParams::new(all).map_err(failed)?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(rcgen::DnType::CommonName, "umcp endpoint");
    wanted.distinguished_name = subject;
    (wanted.not_before, wanted.not_after) =
        (rcgen::date_time_ymd(year, 1, 1), rcgen::date_time_ymd(year + OWN_YEARS, 1, 1));
    let pair = rcgen::KeyPair::generate().map_err(failed)?;
    let made = wanted.self_signed(&pair).map_err(failed)?;
    paths::write_atomic(&key, pem("PRIVATE KEY", &pair.serialize_der()).as_bytes())?;
    paths::write_atomic(&cert, pem("CERTIFICATE", made.der()).as_bytes())?;
    Ok((cert, key))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_certificate_is_made_once_and_belongs_to_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::in_folder(dir.path(), dir.path().into());
        paths.create().unwrap();
        let names = ["umcp.example".to_string(), "localhost".to_string(), "192.0.2.7".to_string()];
        let first = Certificate::open(&Tls::SelfSigned, &paths, 2026, &names).unwrap();
        first.acceptor().unwrap();
        let again = Certificate::open(&Tls::SelfSigned, &paths, 2027, &[]).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&first.key), mode(&first.cert)), (0o600, 0o600));
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_never_replaces_one_that_works() {
        let dir = tempfile::tempdir().unwrap();
        let places = |name: &str| {
            let paths = Paths::in_folder(&dir.path().join(name), dir.path().into());
            paths.create().unwrap();
            paths
        };
        let (one, other) = (places("one"), places("other"));
        let certificate = Certificate::open(&Tls::SelfSigned, &one, 2026, &[]).unwrap();
        let second = Certificate::open(&Tls::SelfSigned, &other, 2026, &[]).unwrap();
        let (before, key) = (certificate.fingerprint(), std::fs::read(&certificate.key).unwrap());
        for (name, text) in [("endpoint.crt", "hunter2"), ("endpoint.key", ""), ("endpoint.crt", "")] {
            let file = one.data.join(name);
            let good = std::fs::read(&file).unwrap();
            std::fs::write(&file, text).unwrap();
            let error = certificate.reload().unwrap_err();
            assert!(error.is(&codes::CERTIFICATE_INVALID) && !format!("{error:?}").contains("hunter2"));
            std::fs::write(&file, good).unwrap();
        }
        // The certificate of one pair with the key of the other.
        std::fs::copy(&second.cert, &certificate.cert).unwrap();
        assert!(certificate.reload().unwrap_err().is(&codes::CERTIFICATE_INVALID));
        assert_eq!(certificate.fingerprint(), before);
        std::fs::copy(&second.key, &certificate.key).unwrap();
        assert_ne!(std::fs::read(&certificate.key).unwrap(), key);
        certificate.reload().unwrap();
        assert_eq!(certificate.fingerprint(), second.fingerprint());
    }
}
