//! TLS: our own certificate and given ones, taken up anew while clients stay connected.

use crate::support::daemon::Daemon;
use crate::support::sandbox::Sandbox;
use insta::assert_snapshot;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use umcp::engine::live::{Listening, Live, LiveReply, Tls};

type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// A client that trusts the certificates of one file alone.
fn connect(address: &str, trusted: &Path) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(BufReader::new(StreamOwned::new(connection, stream)))
}

/// Asks on a connection that stays open; gives the status.
fn status(connection: &mut Connection) -> u16 {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: server/discover\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let (mut first, mut length) = (String::new(), 0);
    connection.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    first.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn our_own_certificate_is_the_same_after_a_restart() {
    let daemon = Daemon::start();
    let own = Listening { tls: Some(Tls::SelfSigned), no_key: true, ..Listening::default() };
    let first = daemon.listen_as(own.clone());
    let trusted = daemon.paths.data.join("endpoint.crt");
    assert_eq!(status(&mut connect(&first.address, &trusted).unwrap()), 200);
    assert_eq!(daemon.listen_as(own).fingerprint, first.fingerprint);
    assert!(first.fingerprint.is_some());
    // Whoever speaks no TLS gets nothing, and the listener goes on.
    let mut plain = TcpStream::connect(&first.address).unwrap();
    plain.write_all(b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(status(&mut connect(&first.address, &trusted).unwrap()), 200);
}

#[test]
fn a_new_certificate_is_taken_up_and_nobody_is_dropped() {
    let daemon = Daemon::start();
    let makers = [Daemon::start(), Daemon::start()];
    let [one, two] = makers.each_ref().map(|maker| {
        maker.listen_as(Listening { tls: Some(Tls::SelfSigned), no_key: true, ..Listening::default() });
        maker.paths.data.clone()
    });
    let folder = daemon.folder();
    let (cert, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let install = |from: &Path| {
        std::fs::copy(from.join("endpoint.crt"), &cert).unwrap();
        std::fs::copy(from.join("endpoint.key"), &key).unwrap();
    };
    install(&one);
    let tls = Some(Tls::Files { cert: cert.clone(), key: key.clone() });
    let listening = daemon.listen_as(Listening { tls, no_key: true, ..Listening::default() });
    let mut kept = connect(&listening.address, &one.join("endpoint.crt")).unwrap();
    assert_eq!(status(&mut kept), 200);
    // Half of a renewal: what was in use stays in use.
    std::fs::write(&key, "half a k").unwrap();
    let refused = daemon.try_ask(Live::Reload).unwrap_err();
    assert_eq!(refused.code.name, "certificate_invalid");
    assert_eq!(status(&mut connect(&listening.address, &one.join("endpoint.crt")).unwrap()), 200);
    install(&two);
    let LiveReply::Listeners(listeners) = daemon.live(Live::Reload) else { panic!("no listeners") };
    assert_ne!(listeners[0].fingerprint, listening.fingerprint);
    assert_eq!(status(&mut kept), 200, "a connection with the certificate before");
    assert_eq!(status(&mut connect(&listening.address, &two.join("endpoint.crt")).unwrap()), 200);
    assert!(connect(&listening.address, &one.join("endpoint.crt")).is_err());
}

#[test]
fn what_other_machines_reach_needs_tls_and_a_key() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["serve", "--http", "0.0.0.0:0"]), @"
    exit: 7
    --- stderr ---
    error: `0.0.0.0:0` can be reached by other machines [UM0602]
    hint: say --tls, or give a certificate with --tls-cert and --tls-key
    hint: listen on 127.0.0.1 and use an SSH tunnel or a reverse proxy with TLS
    hint: or spell out --insecure; a key stays necessary
    ");
    assert_snapshot!(sandbox.run(&["serve", "--http", "0.0.0.0:0", "--tls", "--no-key"]), @"
    exit: 7
    --- stderr ---
    error: `0.0.0.0:0` can be reached by other machines [UM0602]
    hint: leave out --no-key: a key is necessary there
    ");
    assert_snapshot!(sandbox.run(&["gateway", "start", "--http", "0", "--tls-cert", "none.pem"]), @"
    exit: 2
    --- stderr ---
    error: the following required arguments were not provided: --tls-key <FILE> [UM0003]
    hint: umcp gateway start --help
    ");
    assert_snapshot!(sandbox.run(&["serve", "--http", "0", "--public-url", "https://a/b"]), @"
    exit: 3
    --- stderr ---
    error: `https://a/b` is no address under which clients find the endpoint [UM0104]
    hint: write it like https://mcp.example.com, without a path
    ");
    assert_snapshot!(sandbox.run(&["serve", "--http", "0", "--trust-proxy", "all"]), @"
    exit: 3
    --- stderr ---
    error: `all` is no network [UM0104]
    hint: write 10.0.0.0/8, fd00::/8 or one address
    ");
    assert_snapshot!(sandbox.run(&["gateway", "reload"]), @"
    exit: 0
    --- stdout ---
    off  not running; it starts when a client or a call needs it
    ");
}

#[test]
fn a_certificate_that_is_not_there_is_told_with_its_file() {
    let daemon = Daemon::start();
    let file = |name: &str| daemon.folder().join(name);
    let tls = Some(Tls::Files { cert: file("none.pem"), key: file("none.key") });
    let error = daemon.try_ask(Live::Listen(Listening { address: "0".into(), tls, ..Listening::default() }));
    let error = error.unwrap_err();
    assert_eq!(error.code.name, "certificate_invalid");
    assert!(error.message.contains("none.pem"), "{error}");
}
