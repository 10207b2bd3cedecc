//! Files that hold secrets or certificates: read when a link is configured, so that a mistake is found before anything runs.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::BusError;

/// Reads files for the settings of one bus.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader(pub(super) &'static str);

impl Reader {
    fn error(self, field: &'static str, path: &Path, why: impl Into<String>) -> BusError {
        BusError::File { bus: self.0, field, path: path.to_owned(), why: why.into() }
    }

    pub(super) fn setting(self, field: &'static str, why: impl Into<String>) -> BusError {
        BusError::Setting { bus: self.0, field, why: why.into() }
    }

    pub(super) fn text(self, field: &'static str, path: &Path) -> Result<String, BusError> {
        std::fs::read_to_string(path).map_err(|e| self.error(field, path, e.to_string()))
    }

    pub(super) fn first_line(self, field: &'static str, path: &Path) -> Result<String, BusError> {
        let text = self.text(field, path)?;
        match text.lines().next().map(str::trim_end) {
            Some(line) if !line.is_empty() => Ok(line.to_owned()),
            _ => Err(self.error(field, path, "its first line is empty")),
        }
    }

    /// Certificate and key for mutual TLS: both or neither.
    pub(super) fn identity<'a>(
        self,
        cert: Option<&'a Path>,
        key: Option<&'a Path>,
    ) -> Result<Option<(&'a Path, &'a Path)>, BusError> {
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.setting("cert_file", "needs key_file beside it")),
            (None, Some(_)) => Err(self.setting("key_file", "needs cert_file beside it")),
        }
    }

    /// TLS by rustls with ring: the authorities of `ca`, else the system's; `identity` is certificate and key.
    pub(super) fn tls(self, ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<ClientConfig, BusError> {
        let roots = match ca {
            Some(path) => self.roots_of(path)?,
            None => self.system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| self.setting("url", format!("TLS cannot be set up: {e}")))?
            .with_root_certificates(roots);
        let Some((cert, key)) = identity else { return Ok(builder.with_no_client_auth()) };
        let chain = self.certificates("cert_file", cert)?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|e| self.error("key_file", key, format!("no private key in PEM: {e}")))?;
        builder.with_client_auth_cert(chain, private).map_err(|e| self.error("key_file", key, e.to_string()))
    }

    fn roots_of(self, path: &Path) -> Result<RootCertStore, BusError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("ca_file", path)? {
            roots.add(certificate).map_err(|e| self.error("ca_file", path, e.to_string()))?;
        }
        Ok(roots)
    }

    fn system_roots(self) -> Result<RootCertStore, BusError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(self.setting(
                "ca_file",
                "this system has no certificate authorities; install ca-certificates or name a PEM file",
            ));
        }
        Ok(roots)
    }

    fn certificates(self, field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BusError> {
        let found: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(path).map_err(|e| self.error(field, path, e.to_string()))?.collect();
        match found {
            Ok(certificates) if certificates.is_empty() => Err(self.error(field, path, "no certificate in PEM")),
            Ok(certificates) => Ok(certificates),
            Err(e) => Err(self.error(field, path, e.to_string())),
        }
    }
}

/// User and password in a URL are percent-encoded; bytes that are no UTF-8 are replaced.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_setting() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let reader = Reader("mqtt");
        let missing = reader.first_line("password_file", &dir.path().join("no")).unwrap_err().to_string();
        assert!(missing.contains("buses.mqtt.password_file") && missing.contains("/no"), "{missing}");
        for error in
            [reader.first_line("password_file", &empty).unwrap_err(), reader.tls(Some(&empty), None).unwrap_err()]
        {
            assert!(error.to_string().contains("empty"), "{error}");
        }
    }
}
