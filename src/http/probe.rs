//! Asking a node whether it lives, or is ready: for container engines and scripts, on machines without curl.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

/// Far more than readiness says of a thousand cameras.
const LARGEST: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{0} is not the address of a node; write it as http://127.0.0.1:8720")]
    Address(String),
    #[error("{address}: no answer: {why}; does the node run, and is this its http.listen?")]
    Silent { address: String, why: String },
}

/// What the node said.
#[derive(Debug, PartialEq, Eq)]
pub struct Health {
    pub well: bool,
    /// In words: what is not ready, as far as the node tells who asks.
    pub said: String,
}

/// Asks `/healthz` of the node at `node`, or with `ready` its `/readyz`; `token` has it name the parts.
///
/// # Errors
/// The address is none, or nobody answers there in time.
pub async fn ask(node: &str, ready: bool, token: Option<&str>, patience: Duration) -> Result<Health, ProbeError> {
    let wrong = || ProbeError::Address(crate::domain::redact(node));
    let url = Url::parse(node).map_err(|_| wrong())?;
    // TLS is a proxy's work, and whether a proxy lives is another question.
    let (Some(host), true) = (url.host_str(), url.scheme() == "http") else { return Err(wrong()) };
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
    let path = if ready { "/readyz" } else { "/healthz" };
    let silent = |why: String| ProbeError::Silent { address: format!("http://{address}{path}"), why };
    let asking = tokio::time::timeout(patience, get(&address, path, token)).await;
    let (status, body) =
        asking.map_err(|_| silent(format!("within {patience:?}")))?.map_err(|error| silent(error.to_string()))?;
    Ok(read(status, &body))
}

async fn get(address: &str, path: &str, token: Option<&str>) -> Result<(StatusCode, Vec<u8>), axum::BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    // No proxy and no rebinding can stand between: the node is asked by the name that any node answers to.
    let mut request = Request::get(path).header(header::HOST, "localhost").header(header::CONNECTION, "close");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(request.body(Body::empty())?).await?;
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), LARGEST).await?;
    driving.abort();
    Ok((status, body.to_vec()))
}

fn read(status: StatusCode, body: &[u8]) -> Health {
    let well = status == StatusCode::OK;
    let parts: Value = serde_json::from_slice(body).unwrap_or_default();
    let unready = |kind: &str, list: &str| {
        let parts = parts[list].as_array().into_iter().flatten().filter(|part| part["ready"] == false);
        let told = parts.map(|part| format!("{kind} {}: {}", text(&part["name"]), text(&part["detail"])));
        told.collect::<Vec<_>>()
    };
    let told = [unready("bus", "buses"), unready("camera", "cameras"), unready("spool", "spools")].concat();
    let said = match (well, told.is_empty()) {
        (true, true) => "ok".into(),
        (true, false) => format!("ok, but {}", told.join("; ")),
        (false, false) => format!("not ready: {}", told.join("; ")),
        (false, true) if status == StatusCode::SERVICE_UNAVAILABLE => {
            "not ready; who brings the token is told why".into()
        }
        (false, true) => format!("answered {status}"),
    };
    Health { well, said }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> (bool, String) {
        let health = read(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        (health.well, health.said)
    }

    #[test]
    fn what_is_not_ready_is_named() {
        let body = r#"{"ready":false,"buses":[{"name":"mqtt","ready":true,"detail":"connected"}],
            "cameras":[{"name":"door","ready":false,"detail":"failed: no route"}],"spools":[]}"#;
        assert_eq!(said(503, body), (false, "not ready: camera door: failed: no route".into()));
        assert_eq!(said(200, "ok\n"), (true, "ok".into()));
        let spool =
            r#"{"ready":true,"buses":[],"cameras":[],"spools":[{"name":"nats","ready":false,"detail":"disk full"}]}"#;
        assert_eq!(said(200, spool), (true, "ok, but spool nats: disk full".into()));
        let stranger = r#"{"ready":false,"buses":[],"cameras":[],"spools":[]}"#;
        assert_eq!(said(503, stranger), (false, "not ready; who brings the token is told why".into()));
        assert_eq!(said(404, "<html>"), (false, "answered 404 Not Found".into()));
    }

    #[tokio::test]
    async fn what_is_no_nodes_address_and_who_is_silent_is_an_error() {
        for odd in ["localhost:8720", "https://localhost", "nats://localhost", "8720"] {
            let error = ask(odd, false, None, Duration::from_secs(30)).await.unwrap_err();
            assert!(matches!(error, ProbeError::Address(_)), "{odd}: {error}");
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let error = ask(&address, false, None, Duration::from_millis(50)).await.unwrap_err();
        assert!(error.to_string().contains("no answer: within 50ms"), "{error}");
        drop(listener);
        let error = ask(&address, true, None, Duration::from_secs(30)).await.unwrap_err();
        assert!(error.to_string().contains("/readyz: no answer"), "{error}");
    }
}
