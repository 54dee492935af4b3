//! PromQL as Prometheus 3.15 understands it.
//!
//! [`Parser`] turns text into an [`Expr`], whose types are checked, and says what is wrong with words and positions of
//! Prometheus. [`Expr`] is printed on one line by `Display` and over several by [`Expr::pretty`].
//!
//! ```
//! use prometheus_promql::{Expr, Parser, ParserOptions, ValueType};
//!
//! let parser = Parser::new(ParserOptions::default());
//! let expr = parser.parse("sum by (job) (rate(http_requests_total{code=~'5..'}[5m])) > 0.5")?;
//! assert_eq!(expr.value_type(), ValueType::Vector);
//! assert!(matches!(expr, Expr::Binary(_)));
//! assert_eq!(expr.to_string(), r#"sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) > 0.5"#);
//!
//! let error = parser.parse("sum(foo[5m])").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "1:5: parse error: expected type instant vector in aggregation expression, got range vector",
//! );
//! # Ok::<(), prometheus_promql::Error>(())
//! ```

mod ast;
mod engine;
mod error;
mod function;
mod parser;
mod printer;
mod quantile;
mod quote;

pub use ast::{
    AggregateExpr, AggregateOp, AtModifier, BinaryExpr, BinaryOp, Boundaries, Call, Cardinality, DurationExpr,
    DurationOp, DurationValue, Expr, MatrixSelector, NumberLiteral, ParenExpr, Sign, Span, StringLiteral, SubqueryExpr,
    UnaryExpr, ValueType, VectorMatching, VectorSelector,
};
pub use engine::{
    Annotation, Annotations, Answer, Engine, EngineOptions, Explain, ExplainNode, InstantSeries, PointValue,
    QueryRequest, QueryStats, QueryTimes, QueryValue, RangeSeries, Severity,
};
pub use error::{Error, ErrorKind, ParseError, Result};
pub use function::{FUNCTIONS, Function, FunctionId, Variadic};
pub use parser::{Combine, HistogramStep, Parser, ParserOptions, SequenceItem, SequenceValue, SeriesDescription};
pub use quote::quote;
