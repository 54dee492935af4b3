//! Go's regular expressions as Prometheus uses them for label matchers: anchored at both ends, `.` matches newlines.

mod capture;
mod error;
mod regex;

pub use capture::{CaptureRegex, quote_meta};
pub use error::{Error, ErrorKind, Result};
pub use regex::Regex;
