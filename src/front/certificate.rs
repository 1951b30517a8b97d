use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::error::FrontError;

const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";

/// The front's TLS certificate and key, from the credentials `tls.crt` and `tls.key`.
#[derive(Clone)]
pub(super) struct Certificate(TlsAcceptor);

impl Certificate {
    /// Loads the certificate from the credentials folder, if there is one.
    pub(super) fn load(credentials: &Path) -> Result<Option<Self>, FrontError> {
        match (read(credentials, CHAIN)?, read(credentials, KEY)?) {
            (Some(chain), Some(key)) => Self::new(&chain, &key).map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(FrontError::HalfCertificate { present: CHAIN, missing: KEY }),
            (None, Some(_)) => Err(FrontError::HalfCertificate { present: KEY, missing: CHAIN }),
        }
    }

    pub(super) fn new(chain: &[u8], key: &[u8]) -> Result<Self, FrontError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| FrontError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(FrontError::Certificate("it holds no certificate".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| FrontError::Key(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FrontError::Certificate(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| FrontError::Key(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.0
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Prints no fields: the acceptor holds the private key.
        f.write_str("Certificate")
    }
}

fn read(credentials: &Path, name: &str) -> Result<Option<Vec<u8>>, FrontError> {
    let path = credentials.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(FrontError::Credential { path, cause }),
    }
}
