//! How a query was evaluated.
//!
//! ```text
//! {"steps": n, "selects": [text…], "root": NODE}
//! NODE = {"text": text, "start": byte of the query, "end": byte, "seconds": number|null, "series": n, "samples": n, "children": [NODE…]}
//! ```

use std::io::{self, Write};

use prometheus_promql::{Explain, ExplainNode};

pub(crate) fn explain(out: &mut impl Write, explain: &Explain) -> io::Result<()> {
    write!(out, "{{\"steps\":{},\"selects\":", explain.steps)?;
    super::strings(out, explain.selects.iter().map(String::as_str))?;
    out.write_all(b",\"root\":")?;
    node(out, &explain.root, MAX_DEPTH)?;
    out.write_all(b"}")
}

/// What lies deeper is left out. Queries do not nest deeper by default.
const MAX_DEPTH: usize = 500;

fn node<W: Write>(out: &mut W, explained: &ExplainNode, depth: usize) -> io::Result<()> {
    let ExplainNode { text, span, time, series, samples, children } = explained;
    out.write_all(b"{\"text\":")?;
    super::string(out, text)?;
    write!(out, ",\"start\":{},\"end\":{},\"seconds\":", span.start, span.end)?;
    match time {
        Some(time) => write!(out, "{}", time.as_secs_f64())?,
        None => out.write_all(b"null")?,
    }
    write!(out, ",\"series\":{series},\"samples\":{samples},\"children\":")?;
    let shown = if depth == 0 { &[] } else { children.as_slice() };
    super::list(out, shown, |out, child| node(out, child, depth - 1))?;
    out.write_all(b"}")
}
