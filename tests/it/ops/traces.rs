//! What a collector is sent of calls, and what it never is.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use concordat::proto::v1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tower::Service as _;

use crate::harness::{Engine, run};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Keeps what it is sent of calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.sent().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) fn sent(&self) -> std::sync::MutexGuard<'_, Vec<ExportTraceServiceRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until the test ends, and says where.
    pub(crate) async fn listen(&self) -> String {
        let listener = TcpListener::bind(concordat::dev::loopback(0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let routes = Routes::new(TraceServiceServer::new(self.clone())).prepare();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let routes = routes.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let mut routes = routes.clone();
                        async move { Ok::<_, Infallible>(routes.call(request).await.unwrap()) }
                    });
                    let settings = auto::Builder::new(TokioExecutor::new());
                    settings.serve_connection(TokioIo::new(socket), service).await.ok();
                });
            }
        });
        endpoint
    }
}

fn said(attributes: &[KeyValue], key: &str) -> Option<Value> {
    attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone()).and_then(|AnyValue { value }| value)
}

#[test]
fn a_call_is_one_span_that_is_linked_to_its_callers_and_tells_of_nobody() {
    run(Engine::Sqlite, |mut world| async move {
        let collector = Collector::default();
        let endpoint = collector.listen().await;
        world = world.stop().await.start_with(|config| config.traces.endpoint = Some(endpoint)).await;
        let permitted = world.permitted("ncsc").await;
        let mut ask = Request::new(world.ask(&permitted.held));
        let parent = format!("00-{TRACE}-{SPAN}-01");
        ask.metadata_mut().insert("traceparent", parent.parse().unwrap());
        ask.metadata_mut().insert("tracestate", "ico=aardvarks".parse().unwrap());
        ask.metadata_mut().insert("baggage", "officer=aardvarks".parse().unwrap());
        world.requester(&permitted.held.recipient).request_release(ask).await.unwrap();
        let wrong = v1::RequestReleaseRequest { purpose: String::new(), ..world.ask(&permitted.held) };
        world.put(&permitted.held, wrong).await.unwrap_err();
        // What waits to be sent is sent when the node stops.
        world = world.stop().await.start_with(|config| config.traces.endpoint = None).await;
        let sent = collector.sent().clone();
        world.outcome(&permitted.held).await;

        let resource = sent[0].resource_spans[0].resource.clone().unwrap();
        assert_eq!(said(&resource.attributes, "service.name"), Some(Value::StringValue("concordat".into())));
        let spans = || sent.iter().flat_map(|sent| &sent.resource_spans).flat_map(|of| &of.scope_spans);
        let spans: Vec<_> = spans().flat_map(|of| of.spans.clone()).collect();
        let asks: Vec<_> =
            spans.iter().filter(|span| span.name == "concordat.v1.ReleaseService/RequestRelease").collect();
        let [asked, turned_away] = asks.as_slice() else { panic!("{spans:?}") };
        let code = |number| Some(Value::IntValue(number));
        assert_eq!(said(&asked.attributes, "rpc.method"), Some(Value::StringValue("RequestRelease".into())));
        assert_eq!(said(&asked.attributes, "rpc.grpc.status_code"), code(0));
        assert_eq!(said(&turned_away.attributes, "rpc.grpc.status_code"), code(3));
        assert!(asked.start_time_unix_nano <= asked.end_time_unix_nano);

        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(asked.links.len(), 1);
        assert_eq!((hex(&asked.links[0].trace_id), hex(&asked.links[0].span_id)), (TRACE.to_owned(), SPAN.to_owned()));
        assert_ne!(hex(&asked.trace_id), TRACE, "a caller does not choose under which id it is recorded");
        assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
        assert!(turned_away.links.is_empty());
        // Which RPC, and how it ended: no agency, no officer, no words of the caller's.
        let all = spans.iter().all(|span| span.attributes.len() == 4 && span.events.is_empty());
        assert!(all, "{spans:?}");
        for secret in ["aardvarks", "Example Water", "ncsc", "harm-reduction"] {
            let found = sent.iter().any(|sent| String::from_utf8_lossy(&sent.encode_to_vec()).contains(secret));
            assert!(!found, "`{secret}` was sent");
        }
        assert_eq!(collector.sent().len(), sent.len(), "without a collector nothing is sent");
        world
    });
}

#[test]
fn no_call_waits_for_a_collector_that_is_away() {
    run(Engine::Sqlite, |mut world| async move {
        let nobody = super::free();
        world = world.stop().await.start_with(|config| config.traces.endpoint = Some(format!("http://{nobody}"))).await;
        let permitted = world.permitted("ncsc").await;
        crate::builders::assert_released(&world.outcome(&permitted.held).await, &["identity", "timeline"]);
        world
    });
}
