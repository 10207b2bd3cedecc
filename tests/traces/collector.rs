//! A collector: takes OTLP over HTTP, as protobuf, and keeps what it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::node::wait_for;

#[derive(Debug, Clone)]
pub struct Told {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub spans: ResourceSpans,
}

/// It listens until the process ends.
pub struct Collector {
    pub port: u16,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Collector {
    pub fn open() -> Self {
        Self::at(0, "200 OK")
    }

    /// On this port, always with this answer.
    pub fn at(port: u16, answer: &'static str) -> Self {
        Self::with(port, move |stream| serve(stream, answer))
    }

    /// By TLS, with this certificate and key.
    pub fn secure(certificate: &Path, key: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        Self::with(0, move |mut stream| {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            serve(rustls::Stream::new(&mut connection, &mut stream), "200 OK")
        })
    }

    fn with(port: u16, serve: impl Fn(TcpStream) -> Option<Told> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let into = told.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let one = serve(stream);
                into.lock().unwrap().extend(one);
            }
        });
        Self { port, told }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub fn spans(&self) -> Vec<Span> {
        let told = self.told();
        told.iter().flat_map(|told| &told.spans.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// All spans of this trace, once its root is there.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        wait_for(&format!("the trace {id}"), || {
            let spans: Vec<Span> = self.spans().into_iter().filter(|span| hex(&span.trace_id) == id).collect();
            spans.iter().any(|span| span.parent_span_id.is_empty()).then_some(spans)
        })
    }
}

fn serve(stream: impl Read + Write, answer: &str) -> Option<Told> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> =
        lines[1..].iter().filter_map(|l| l.split_once(": ")).map(|(k, v)| (k.to_lowercase(), v.to_owned())).collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let _gone = reader.get_mut().write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes());
    let mut request = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP");
    assert_eq!(request.resource_spans.len(), 1);
    Some(Told { path, headers, spans: request.resource_spans.remove(0) })
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Attributes as text.
pub fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
