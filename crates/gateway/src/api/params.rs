//! What requests say: pairs of a query string and of a form, and the values in them, read as Prometheus reads them.

use axum::{
    extract::{FromRequest, Request},
    http::{Method, header},
};
use prometheus_model::{TimeRange, TimestampMs};
use prometheus_promql::{Parser, quote};
use prometheus_queryable::{MatchOp, Matcher};

use crate::{api::error::ApiError, gateway::Gateway, request_body::RequestBody};

/// As Go's servers.
const MAX_FORM_BYTES: usize = 10 << 20;
/// Most parameters that are looked at.
const MAX_PAIRS: usize = 10_000;
/// Regular expressions of all selectors of a request, as many as one query may have: each takes memory and time.
const MAX_REGEXES: usize = 1000;

/// The earliest and latest time that Prometheus knows, as its API gives them.
const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";
const MIN_TIME: TimestampMs = (i64::MIN / 1000 + 62_135_596_801) * 1000;
const MAX_TIME: TimestampMs = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

/// Parameters of a request: those of a form before those of the URL.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// Counts while the parameters are held, which take about as much.
    body: Option<RequestBody>,
}

impl FromRequest<Gateway> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Gateway) -> Result<Self, ApiError> {
        let mut params = Self::default();
        let (parts, body) = request.into_parts();
        if parts.method == Method::POST && is_form(&parts.headers) {
            let failed =
                |why: ApiError| ApiError { message: format!("error parsing form values: {}", why.message), ..why };
            let mut body = gateway.0.bodies.read(body, MAX_FORM_BYTES).await.map_err(failed)?;
            params.extend(&std::mem::take(&mut body.bytes))?;
            params.body = Some(body);
        }
        params.extend(parts.uri.query().unwrap_or_default().as_bytes())?;
        Ok(params)
    }
}

fn is_form(headers: &axum::http::HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

impl Params {
    #[cfg(test)]
    pub(crate) fn of(query: &str) -> Self {
        let mut params = Self::default();
        params.extend(query.as_bytes()).unwrap();
        params
    }

    fn extend(&mut self, encoded: &[u8]) -> Result<(), ApiError> {
        for (name, value) in form_urlencoded::parse(encoded) {
            if self.pairs.len() == MAX_PAIRS {
                return Err(ApiError::bad_data(format!("more than {MAX_PAIRS} parameters")));
            }
            self.pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(())
    }

    /// The first value, or the empty text.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A time that must be there.
    pub(crate) fn time(&self, name: &str) -> Result<TimestampMs, ApiError> {
        parse_time(self.get(name)).map_err(|why| ApiError::parameter(name, why))
    }

    /// A time that need not be there.
    pub(crate) fn time_or(&self, name: &str, default: TimestampMs) -> Result<TimestampMs, ApiError> {
        match self.get(name) {
            "" => Ok(default),
            text => parse_time(text)
                .map_err(|why| ApiError::parameter(name, format!("invalid time value for '{name}': {why}"))),
        }
    }

    /// `start` and `end`, both inclusive; `None` if no time is in between.
    pub(crate) fn range(&self) -> Result<Option<TimeRange>, ApiError> {
        let (start, end) = (self.time_or("start", MIN_TIME)?, self.time_or("end", MAX_TIME)?);
        Ok(TimeRange::new(start, end.saturating_add(1)).ok())
    }

    /// Nanoseconds, if it is there.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, String> {
        match self.get(name) {
            "" => Ok(None),
            text => parse_duration(text).map(Some),
        }
    }

    /// `limit`; 0 is no limit.
    pub(crate) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(None);
        }
        match text.parse::<i64>() {
            Ok(limit) if limit < 0 => Err(ApiError::parameter("limit", "limit must be non-negative")),
            Ok(limit) => Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0)),
            Err(error) => {
                use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                let why = match error.kind() {
                    PosOverflow | NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Err(ApiError::parameter("limit", format!("strconv.Atoi: parsing {}: {why}", quote(text))))
            }
        }
    }

    /// The selectors of `match[]`, of which none may fit every series.
    pub(crate) fn matchers(&self, parser: &Parser) -> Result<Vec<Vec<Matcher>>, String> {
        let mut sets = Vec::new();
        let mut regexes = 0;
        for selector in self.all("match[]") {
            let matchers = parser.parse_selector(selector).map_err(|error| error.to_string())?;
            if matchers.iter().all(Matcher::matches_absent) {
                return Err("match[] must contain at least one non-empty matcher".into());
            }
            regexes += matchers.iter().filter(|m| matches!(m.op(), MatchOp::Regex | MatchOp::NotRegex)).count();
            if regexes > MAX_REGEXES {
                return Err(format!("more than {MAX_REGEXES} regular expressions"));
            }
            sets.push(matchers);
        }
        Ok(sets)
    }
}

/// Unix seconds with a fraction, or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<TimestampMs, String> {
    let cannot = || format!("cannot parse {} to a valid timestamp", quote(text));
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() || seconds.abs() > 9.2e15 {
            return Err(cannot());
        }
        let whole = seconds.trunc();
        return Ok((whole as i64).saturating_mul(1000).saturating_add((seconds.fract() * 1000.0).round() as i64));
    }
    match text {
        MIN_TIME_TEXT => return Ok(MIN_TIME),
        MAX_TIME_TEXT => return Ok(MAX_TIME),
        _ => {}
    }
    // Others would take more than RFC 3339 has.
    let is_rfc3339 = text.as_bytes().get(10) == Some(&b'T') && text.len() >= 20;
    let time: Option<jiff::Timestamp> = text.parse().ok().filter(|_| is_rfc3339);
    time.map(|time| time.as_nanosecond().div_euclid(1_000_000) as i64).ok_or_else(cannot)
}

/// Nanoseconds: seconds with a fraction, or a duration as Prometheus writes it.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = seconds * 1e9;
        if nanos.is_nan() || nanos.abs() >= i64::MAX as f64 {
            return Err(format!("cannot parse {} to a valid duration. It overflows int64", quote(text)));
        }
        return Ok(nanos as i64);
    }
    units(text).ok_or_else(|| format!("cannot parse {} to a valid duration", quote(text)))
}

/// `1h30m`: each unit at most once, the longer before the shorter.
fn units(text: &str) -> Option<i64> {
    const MS: i64 = 1_000_000;
    let mut rest = text;
    let mut total: i64 = 0;
    for (unit, nanos) in [
        ("y", 365 * 86_400_000 * MS),
        ("w", 7 * 86_400_000 * MS),
        ("d", 86_400_000 * MS),
        ("h", 3_600_000 * MS),
        ("m", 60_000 * MS),
        ("s", 1_000 * MS),
        ("ms", MS),
    ] {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let Some(after) = after.strip_prefix(unit).filter(|after| unit != "m" || !after.starts_with('s')) else {
            continue;
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(nanos)?)?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_prometheus() {
        for (text, ms) in [
            ("0", 0),
            ("1.5", 1500),
            ("-1.5", -1500),
            ("1e3", 1_000_000),
            ("1735689600.123", 1_735_689_600_123),
            ("2025-01-01T00:00:00Z", 1_735_689_600_000),
            ("2025-01-01T00:00:00.123456789Z", 1_735_689_600_123),
            ("2025-01-01T01:00:00+01:00", 1_735_689_600_000),
            (MIN_TIME_TEXT, MIN_TIME),
            (MAX_TIME_TEXT, MAX_TIME),
        ] {
            assert_eq!(parse_time(text), Ok(ms), "{text}");
        }
        for text in ["", "now", "2025-01-01", "2025-01-01 00:00:00Z", "NaN", "inf", "1e300", "2025-13-01T00:00:00Z"] {
            assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")), "{text}");
        }
    }

    #[test]
    fn durations_are_prometheus() {
        let seconds = |s: f64| Ok((s * 1e9) as i64);
        for (text, expected) in [
            ("15", seconds(15.0)),
            ("0.5", seconds(0.5)),
            ("-1", seconds(-1.0)),
            ("5m", seconds(300.0)),
            ("1h30m", seconds(5400.0)),
            ("1m500ms", seconds(60.5)),
            ("1y2w3d", seconds(365.0 * 86_400.0 + 17.0 * 86_400.0)),
            ("90s", seconds(90.0)),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        for text in ["", "m", "30m1h", "1h1h", "5 m", "1x", "-5m", "300y1", "999999999999y"] {
            assert_eq!(parse_duration(text), Err(format!("cannot parse {text:?} to a valid duration")), "{text}");
        }
        assert!(parse_duration("1e300").unwrap_err().ends_with("It overflows int64"));
    }

    #[test]
    fn limits_and_matchers() {
        assert_eq!(Params::of("limit=3").limit().unwrap(), Some(3));
        assert_eq!(Params::of("limit=0").limit().unwrap(), None);
        for (text, why) in [
            ("-1", "limit must be non-negative"),
            ("x", r#"strconv.Atoi: parsing "x": invalid syntax"#),
            ("99999999999999999999", r#"strconv.Atoi: parsing "99999999999999999999": value out of range"#),
        ] {
            let error = Params::of(&format!("limit={text}")).limit().unwrap_err();
            assert_eq!(error.message, format!("invalid parameter \"limit\": {why}"));
        }
        let parser = Parser::default();
        let sets = Params::of("match[]=up&match%5B%5D=%7Ba%3D%22b%22%7D").matchers(&parser).unwrap();
        assert_eq!(sets.len(), 2);
        assert!(Params::of("match[]={a=~\".*\"}").matchers(&parser).is_err());
        assert!(Params::of("match[]={").matchers(&parser).is_err());
    }
}
