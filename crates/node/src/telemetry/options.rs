//! Configuration of telemetry. Every field has its unit in its name, a default and bounds.

use std::path::PathBuf;

use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `telemetry`: traces, and where traces, logs and metrics are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryOptions {
    /// Part of all traces that is told when they begin here, 0.0 to 1.0. The profiles `production` and `development` set
    /// 0.01 and 1.0; `X-Sampling-Priority: 1` in a request forces one.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub trace_ratio: f64,
    /// Name of the service in what is sent.
    pub service_name: String,
    /// More about the sender, each as `name=value`.
    pub resource: Vec<String>,
    /// URL of an OTLP collector, such as `http://127.0.0.1:4318`; empty: nothing is sent.
    pub otlp_endpoint: String,
    /// `http/protobuf` or `grpc`.
    pub otlp_protocol: Protocol,
    /// Headers of every request to the collector, each as `name=value`; their values are secrets.
    #[schemars(extend("writeOnly" = true))]
    pub otlp_headers: Vec<String>,
    /// Certificates in PEM of those who sign the collector's; empty: those that the system trusts.
    pub otlp_ca_file: PathBuf,
    /// How long the collector may take, in milliseconds.
    #[schemars(range(min = 100, max = 60_000))]
    pub otlp_timeout_ms: u64,
    /// How often steps and log lines are sent, in milliseconds.
    #[schemars(range(min = 100, max = 60_000))]
    pub otlp_interval_ms: u64,
    /// How often metrics are sent, in milliseconds. 0: never.
    #[schemars(extend("anyOf" = [{"const": 0}, {"minimum": 1000, "maximum": 600_000}]))]
    pub otlp_metrics_interval_ms: u64,
    /// Steps that may wait, and log lines; further ones are dropped and counted.
    #[schemars(range(min = 64, max = 65_536))]
    pub otlp_queue_max: usize,
    /// Whether log lines are sent too.
    pub otlp_logs: bool,
    /// How long the end waits for what is not sent yet, in milliseconds.
    #[schemars(range(min = 0, max = 30_000))]
    pub otlp_flush_ms: u64,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    #[serde(rename = "http/protobuf")]
    Http,
    /// gRPC over HTTP/2.
    #[serde(rename = "grpc")]
    Grpc,
}

impl Default for TelemetryOptions {
    fn default() -> TelemetryOptions {
        TelemetryOptions {
            trace_ratio: 0.1,
            service_name: "neuroplex".into(),
            resource: Vec::new(),
            otlp_endpoint: String::new(),
            otlp_protocol: Protocol::Http,
            otlp_headers: Vec::new(),
            otlp_ca_file: PathBuf::new(),
            otlp_timeout_ms: 10_000,
            otlp_interval_ms: 1000,
            otlp_metrics_interval_ms: 15_000,
            otlp_queue_max: 2048,
            otlp_logs: true,
            otlp_flush_ms: 2000,
        }
    }
}

/// The variables that every OpenTelemetry program knows, and the keys that they set; ours count before them. Names and
/// values in their lists are percent-encoded, as in W3C Baggage.
pub(crate) const STANDARD: &[(&str, &str)] = &[
    ("OTEL_SERVICE_NAME", "service_name"),
    ("OTEL_RESOURCE_ATTRIBUTES", "resource"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "otlp_protocol"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "otlp_headers"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "otlp_ca_file"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "otlp_timeout_ms"),
];

impl TelemetryOptions {
    /// What bounds cannot say: what makes no sense, in one sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        if self.otlp_endpoint.is_empty() {
            return Ok(());
        }
        if self.otlp_endpoint.contains('@') {
            return Err("telemetry.otlp_endpoint holds a password; give it in telemetry.otlp_headers".into());
        }
        let is_url = self.endpoint().is_some();
        if !is_url {
            return Err(format!(
                "telemetry.otlp_endpoint {:?} is no URL of a collector; give one such as http://127.0.0.1:4318",
                self.otlp_endpoint
            ));
        }
        for (key, list) in [("otlp_headers", &self.otlp_headers), ("resource", &self.resource)] {
            // What is wrong with a header is not shown: it may be a secret.
            if let Some(at) =
                list.iter().position(|one| one.split_once('=').is_none_or(|(n, _)| n.trim().is_empty()))
            {
                return Err(format!("telemetry.{key}[{at}] must have the form name=value"));
            }
        }
        Ok(())
    }

    /// Where the collector is; `None`: nowhere, or what is given is no URL.
    pub(crate) fn endpoint(&self) -> Option<Uri> {
        let uri: Uri = self.otlp_endpoint.parse().ok()?;
        let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
    }

    /// Names and values of a list.
    pub(crate) fn pairs(list: &[String]) -> Vec<(String, String)> {
        let pairs = list.iter().filter_map(|one| one.split_once('='));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut TelemetryOptions)) -> Result<(), String> {
        let mut options =
            TelemetryOptions { otlp_endpoint: "http://127.0.0.1:4318".into(), ..TelemetryOptions::default() };
        change(&mut options);
        options.check()
    }

    type Change = fn(&mut TelemetryOptions);

    #[test]
    fn what_makes_no_sense_is_named_without_its_secrets() {
        check(|_| {}).unwrap();
        let cases: [(Change, &str); 4] = [
            (|o| o.otlp_endpoint = "http://ann:geheim@collector:4318".into(), "otlp_headers"),
            (|o| o.otlp_endpoint = "localhost:4318".into(), "otlp_endpoint"),
            (|o| o.otlp_headers = vec!["a=b".into(), "geheim".into()], "otlp_headers[1]"),
            (|o| o.resource = vec!["=x".into()], "resource[0]"),
        ];
        for (change, key) in cases {
            let refused = check(change).unwrap_err();
            assert!(refused.contains(key) && !refused.contains("geheim"), "{refused}");
        }
    }
}
