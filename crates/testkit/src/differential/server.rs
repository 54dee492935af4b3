//! Prometheus' HTTP API, asked.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::TcpStream,
};

use prometheus_promql::QueryTimes;
use serde::Deserialize;

use super::{EvaluatedSeries, Evaluation, Request};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

/// Evaluates a request on the Prometheus at `address`, host and port. Settings are the server's.
///
/// # Errors
/// If it cannot be reached, or answers what cannot be understood.
pub fn ask_server(address: &str, request: &Request) -> io::Result<Evaluation> {
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let (path, more) = match request.times {
        QueryTimes::Instant(time) => ("query", format!("&time={}", seconds(time))),
        QueryTimes::Range { start, end, step_ms } => {
            ("query_range", format!("&start={}&end={}&step={}", seconds(start), seconds(end), seconds(step_ms)))
        }
    };
    let mut form = String::from("query=");
    for byte in request.query.bytes() {
        // Writing to a string does not fail.
        let _ = write!(form, "%{byte:02X}");
    }
    form += &more;
    let mut stream = TcpStream::connect(address)?;
    // Version 1.0: the body ends with the connection.
    let head = format!(
        "POST /api/v1/{path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(form.as_bytes())?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{address}: {what}"));
    let body = text.windows(4).position(|w| w == b"\r\n\r\n").and_then(|i| text.get(i + 4..));
    let body = body.ok_or_else(|| bad("no answer of HTTP".to_owned()))?;
    let response: Response = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
    evaluation(response).map_err(|e| bad(e.to_string()))
}

fn evaluation(response: Response) -> serde_json::Result<Evaluation> {
    let Some(data) = response.data.filter(|_| response.error_type.is_empty()) else {
        let class = if response.error_type == "bad_data" { "parse".to_owned() } else { response.error_type };
        return Ok(Evaluation { error_class: class, error: response.error, ..Evaluation::default() });
    };
    // Times have three decimals at most.
    let point =
        |(time, value): (f64, String)| ((time * 1000.0).round() as i64, value.parse().unwrap_or(f64::NAN).to_bits());
    let mut this = Evaluation { r#type: data.result_type, ..Evaluation::default() };
    match this.r#type.as_str() {
        "scalar" => {
            let floats = vec![point(serde_json::from_value(data.result)?)];
            this.series.push(EvaluatedSeries { floats, ..EvaluatedSeries::default() });
        }
        "string" => this.text = serde_json::from_value::<(f64, String)>(data.result)?.1,
        _ => {
            for Series { metric, values, value } in serde_json::from_value::<Vec<Series>>(data.result)? {
                let floats = values.into_iter().chain(value).map(point).collect();
                let labels = metric.into_iter().collect();
                this.series.push(EvaluatedSeries { labels, floats, ..EvaluatedSeries::default() });
            }
        }
    }
    Ok(this)
}
