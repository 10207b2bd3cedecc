//! One request to the collector: HTTP/1.1, over TLS where the URL says so. A connection each; they are seconds apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{TracesConfig, TracesError, headers};

/// From the connection to the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer; more is not read.
const MOST_ANSWER: usize = 64 * 1024;

pub(super) struct Post {
    host: String,
    port: u16,
    authority: String,
    path: String,
    headers: HeaderMap,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why the collector did not take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// Later it may.
    pub(super) passes: bool,
}

impl Post {
    pub(super) fn new(config: &TracesConfig) -> Result<Self, TracesError> {
        let wrong = |what: &str| TracesError::Endpoint(what.to_owned());
        let url = Url::parse(&config.endpoint).map_err(|error| wrong(&error.to_string()))?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
        let host = host.ok_or_else(|| wrong("it is not http:// or https:// with a host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it holds credentials; put an 'Authorization' header into headers_file"));
        }
        let port = url.port_or_known_default().unwrap_or(4318);
        let path = if url.path() == "/" { "/v1/traces" } else { url.path() };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = (url.scheme() == "https").then(|| tls(config, &bare)).transpose()?;
        Ok(Self {
            port,
            authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: format!("{path}{query}"),
            headers: config.headers_file.as_deref().map_or_else(|| Ok(HeaderMap::new()), headers::read)?,
            tls,
            host: bare,
        })
    }

    /// Where it goes, as logs may show it: a query may hold a key.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path.split('?').next().unwrap_or_default())
    }

    /// Sends one request and gives the answer's body.
    pub(super) async fn send(&self, body: Vec<u8>) -> Result<Bytes, NotTaken> {
        let later = |why: String| NotTaken { why, passes: true };
        let sending = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| later(e.to_string()))?;
            match &self.tls {
                None => self.exchange(stream, body).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await;
                    self.exchange(stream.map_err(|e| later(format!("TLS: {e}")))?, body).await
                }
            }
        };
        tokio::time::timeout(PATIENCE, sending)
            .await
            .unwrap_or_else(|_| Err(later(format!("no answer within {PATIENCE:?}"))))
    }

    async fn exchange<S>(&self, stream: S, body: Vec<u8>) -> Result<Bytes, NotTaken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let later = |why: String| NotTaken { why, passes: true };
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|e| later(e.to_string()))?;
        let connection = tokio::spawn(connection);
        let mut request = Request::post(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("sightwire/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| NotTaken { why: e.to_string(), passes: false })?;
        let own = self.headers.iter().map(|(name, value): (_, &HeaderValue)| (name.clone(), value.clone()));
        request.headers_mut().extend(own);
        let response = sender.send_request(request).await.map_err(|e| later(e.to_string()))?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        connection.abort();
        if status.is_success() {
            return Ok(answer.map(http_body_util::Collected::to_bytes).unwrap_or_default());
        }
        // Those that the standard lets a client send again.
        let passes = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(NotTaken { why: format!("it answers {status}"), passes })
    }
}

fn tls(config: &TracesConfig, host: &str) -> Result<(TlsConnector, ServerName<'static>), TracesError> {
    let wrong = |error: String| TracesError::Endpoint(format!("TLS cannot be set up: {error}"));
    let mut roots = RootCertStore::empty();
    if let Some(path) = &config.ca_file {
        let error = |what: String| TracesError::File { field: "ca_file", path: path.clone(), what };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| error(e.to_string()))? {
            let certificate = certificate.map_err(|e| error(e.to_string()))?;
            roots.add(certificate).map_err(|e| error(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(error("no certificate in PEM".into()));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|e| wrong(e.to_string()))?;
    Ok((TlsConnector::from(Arc::new(client)), name))
}
