//! Servers over TLS with a certificate that nobody signed, and clients that trust it, or nobody.
//!
//! The certificate is for `localhost` and `server.invalid`. It is a file and not made here, because what makes
//! certificates would be many crates, and a C compiler, for every `cargo test`. It has a P-256 key, no CA flag, and is
//! valid until 2099.

use std::sync::Arc;

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.der");
const KEY: &[u8] = include_bytes!("tls/key.der");

/// A server with the certificate.
pub(crate) fn acceptor() -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key).unwrap()).into()
}

/// A client that trusts the certificate.
pub(crate) fn trusting() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(CERTIFICATE)).unwrap();
    client(roots)
}

/// A client that trusts nobody.
pub(crate) fn trusting_nobody() -> Arc<ClientConfig> {
    client(RootCertStore::empty())
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
