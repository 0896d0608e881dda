//! A collector of traces, as small as it can be: it takes OTLP over HTTP with protobuf, and remembers
//! every span. It answers one request a connection.
//!
//! ```ignore
//! let collector = Collector::start();
//! let mount = mount.arg(format!("--otlp={}", collector.url()));
//! ...; mount.unmount();                          // the last spans are sent at the end
//! assert!(collector.spans().iter().any(|span| span.name == "flush"));
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// What arrived.
#[derive(Debug, Default)]
struct Arrived {
    spans: Vec<Span>,
    /// Of the resources that they came from.
    services: Vec<String>,
    requests: Vec<String>,
}

/// It listens as long as the test process lives.
pub(super) struct Collector {
    address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

impl Collector {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::<Mutex<Arrived>>::default();
        let taking = Arc::clone(&arrived);
        thread::spawn(move || {
            for stream in listener.incoming() {
                take(stream.unwrap(), &taking);
            }
        });
        Self { address, arrived }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.arrived.lock().unwrap().spans.clone()
    }

    /// The names of the services that the spans came from.
    pub(super) fn services(&self) -> Vec<String> {
        self.arrived.lock().unwrap().services.clone()
    }

    /// The first line of each request.
    pub(super) fn requests(&self) -> Vec<String> {
        self.arrived.lock().unwrap().requests.clone()
    }
}

fn take(stream: TcpStream, arrived: &Mutex<Arrived>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        lines.push(line.trim_end().to_ascii_lowercase());
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"));
    let Some(length) = length else { return };
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let request = ExportTraceServiceRequest::decode(&*body).expect("it is protobuf");
    {
        let mut arrived = arrived.lock().unwrap();
        arrived.requests.push(lines[0].clone());
        for from in request.resource_spans {
            let resource = from.resource.unwrap_or_default();
            let name = resource
                .attributes
                .iter()
                .find(|it| it.key == "service.name");
            let name = name.and_then(|it| it.value.clone()?.value);
            if let Some(Value::StringValue(name)) = name {
                arrived.services.push(name);
            }
            let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
            arrived.spans.extend(spans);
        }
    }
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = reader.into_inner().write_all(answer.as_bytes());
}

/// An attribute of a span, as text.
pub(super) fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == name)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
