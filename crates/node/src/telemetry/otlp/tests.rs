//! The exporter against a collector that answers each signal as a test wants it.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use gateway::http::Figure;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use kernel::trace::{Kind, Span, Spans as _, TraceContext};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use super::send::Signal;
use super::{Clock, Export, Line};
use crate::telemetry::log::Exported;
use crate::telemetry::options::{Protocol, TelemetryOptions};

/// What a collector says: a status of HTTP, and of gRPC where that is spoken.
type Says = (u16, &'static str);

const YES: Says = (200, "0");

/// What was sent to a collector, and what it answers.
struct Given {
    says: [Says; 3],
    /// The number of the connection on which each request came, and its signal.
    requests: Vec<(usize, Signal)>,
    connections: Vec<AbortHandle>,
}

impl Given {
    fn count(&self, signal: Signal) -> usize {
        self.requests.iter().filter(|(_, given)| *given == signal).count()
    }
}

#[derive(Clone)]
struct Collector {
    port: u16,
    given: Arc<Mutex<Given>>,
}

impl Collector {
    async fn start(says: [Says; 3]) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let given = Given { says, requests: Vec::new(), connections: Vec::new() };
        let collector = Collector { port, given: Arc::new(Mutex::new(given)) };
        let serving = collector.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let task = tokio::spawn(serving.clone().serve(number, stream));
                serving.given().connections.push(task.abort_handle());
            }
        });
        collector
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap()
    }

    async fn serve(self, number: usize, stream: TcpStream) {
        let service = service_fn(move |request| self.clone().answer(number, request));
        let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        self,
        number: usize,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_ascii_lowercase();
        let is_of = |signal: &Signal| path.contains(signal.as_str().trim_end_matches('s'));
        let signal = Signal::ALL.into_iter().find(is_of).unwrap();
        request.into_body().collect().await.unwrap();
        let mut given = self.given();
        given.requests.push((number, signal));
        let (status, code) = given.says[signal as usize];
        let response = Response::builder().status(status).header("grpc-status", code);
        Ok(response.body(Full::default()).unwrap())
    }

    fn options(&self) -> TelemetryOptions {
        TelemetryOptions {
            otlp_endpoint: format!("http://127.0.0.1:{}", self.port),
            otlp_interval_ms: 5,
            otlp_metrics_interval_ms: 5,
            ..TelemetryOptions::default()
        }
    }
}

/// Lines of the log, as their level, what they are about and what they say.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["signal", "message"].contains(&field.name()) {
            self.0 += &format!(" {value:?}");
        }
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("node") {
            let mut fields = Fields(event.metadata().level().to_string());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

/// An exporter that runs beside the test, on its thread.
struct Running {
    export: Arc<Export>,
    log: Log,
    _subscriber: tracing::subscriber::DefaultGuard,
}

impl Running {
    fn start(options: &TelemetryOptions) -> Running {
        let (export, worker) = Export::prepare(options, "n", Clock::start()).unwrap().unwrap();
        export.metrics_from(Arc::new(|| vec![Figure::number("a_total", "A.", 1.0)]));
        let log = Log::default();
        let subscriber = tracing::subscriber::set_default(Registry::default().with(log.clone()));
        tokio::spawn(worker.run());
        Running { export, log, _subscriber: subscriber }
    }

    /// There is something of every signal.
    fn tell(&self) {
        let parent: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        self.export.ended(Span::behind(&parent, 1, "a step".into(), Kind::Server, 1));
        self.export.log(line());
    }

    /// Tells something again and again until a collector has what a test waits for.
    async fn until(&self, collector: &Collector, is_there: impl Fn(&Given) -> bool) {
        for _ in 0..4000 {
            self.tell();
            if is_there(&collector.given()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?} {:?}", collector.given().requests, self.said());
    }

    /// What was logged, in the order of its letters.
    fn said(&self) -> Vec<String> {
        let mut said = self.log.0.lock().unwrap().clone();
        said.sort();
        said
    }
}

fn line() -> Line {
    Line {
        wall_ns: 1,
        level: "INFO",
        target: "a".into(),
        message: "a line".into(),
        fields: Vec::new(),
        context: None,
        correlation: String::new(),
    }
}

#[tokio::test]
async fn a_signal_that_the_collector_does_not_know_takes_no_other_with_it() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        for known in Signal::ALL {
            let mut says = [(404, "12"); 3];
            says[known as usize] = YES;
            if protocol == Protocol::Grpc {
                says = says.map(|(_, code)| (200, code));
            }
            let collector = Collector::start(says).await;
            let running =
                Running::start(&TelemetryOptions { otlp_protocol: protocol, ..collector.options() });
            running
                .until(&collector, |given| {
                    Signal::ALL.iter().all(|signal| given.count(*signal) > 0) && given.count(known) >= 20
                })
                .await;
            let mut warnings = Vec::new();
            for signal in Signal::ALL.into_iter().filter(|signal| *signal != known) {
                assert_eq!(collector.given().count(signal), 1, "{signal:?} is not offered all the time");
                let what = "the collector does not know this signal";
                warnings.push(format!(
                    "WARN {what}; it is counted and dropped, and tried every 10 minutes {:?}",
                    signal.as_str()
                ));
            }
            warnings.sort();
            assert_eq!(running.said(), warnings, "{known:?}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_told_once_and_that_it_is_taken_again() {
    let collector = Collector::start([YES, (400, "3"), YES]).await;
    let running = Running::start(&collector.options());
    running
        .until(&collector, |given| given.count(Signal::Logs) >= 4 && given.count(Signal::Traces) >= 20)
        .await;
    let refused = r#"WARN the collector takes no telemetry; it is counted and dropped "logs""#;
    assert_eq!(running.said(), [refused]);
    collector.given().says = [YES; 3];
    let before = collector.given().count(Signal::Logs);
    running.until(&collector, |given| given.count(Signal::Logs) > before + 1).await;
    let again = r#"INFO the collector takes telemetry again "logs""#;
    assert_eq!(running.said(), [again, refused]);
}

#[tokio::test]
async fn a_collector_that_is_away_is_told_of_once_for_all_signals() {
    let gone = Collector::start([YES; 3]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().port();
    drop(listener);
    let options = TelemetryOptions { otlp_endpoint: format!("http://127.0.0.1:{closed}"), ..gone.options() };
    let running = Running::start(&options);
    let has_dropped_all = |_: &Given| {
        let dropped = &running.export.counters.dropped;
        dropped.iter().all(|count| count.load(std::sync::atomic::Ordering::Relaxed) > 2)
    };
    running.until(&gone, has_dropped_all).await;
    assert_eq!(running.said().len(), 1, "{:?}", running.said());
}

#[tokio::test]
async fn one_connection_serves_until_it_ends_and_nothing_is_lost_then() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let collector = Collector::start([YES; 3]).await;
        let running = Running::start(&TelemetryOptions { otlp_protocol: protocol, ..collector.options() });
        running.until(&collector, |given| given.requests.len() >= 30).await;
        assert_eq!(collector.given().connections.len(), 1);
        collector.given().connections[0].abort();
        running.until(&collector, |given| given.requests.len() >= 60).await;
        assert_eq!(collector.given().connections.len(), 2);
        assert_eq!(running.export.counters.failures.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(running.said(), [""; 0]);
    }
}

#[tokio::test]
async fn what_the_exporter_says_itself_is_not_sent() {
    let collector = Collector::start([YES; 3]).await;
    let options = TelemetryOptions { otlp_metrics_interval_ms: 0, ..collector.options() };
    let (export, worker) = Export::prepare(&options, "n", Clock::start()).unwrap().unwrap();
    let _subscriber = tracing::subscriber::set_default(Registry::default().with(Exported(export.clone())));
    tracing::warn!("of somebody else");
    assert_eq!(worker.lines_waiting(), 1);
    super::IS_EXPORTING.set(true);
    tracing::warn!("of the exporter");
    assert_eq!(worker.lines_waiting(), 1);
}
