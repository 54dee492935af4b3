//! Over several lines.

use std::fmt::{self, Write};

use super::{is_unsigned_base, takes_offset, write_aggregate_op, write_expr, write_operator, write_subquery_suffix};
use crate::ast::Expr;

/// What fits on a line, in bytes.
const MAX_LINE: usize = 100;

/// Counts bytes up to those that fit on a line.
struct Line(usize);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        if self.0 > MAX_LINE { Err(fmt::Error) } else { Ok(()) }
    }
}

fn is_long(expr: &Expr, before_operator: bool) -> bool {
    write_expr(&mut Line(0), expr, before_operator).is_err()
}

impl Expr {
    /// As Prometheus prints it over several lines, if it is longer than 100 bytes.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        // A String takes all that is written.
        let _ = pretty(&mut text, self, 0, false);
        text
    }
}

fn indent(f: &mut String, level: usize) {
    f.extend(std::iter::repeat_n("  ", level));
}

fn pretty(f: &mut String, expr: &Expr, level: usize, before_operator: bool) -> fmt::Result {
    let is_split =
        matches!(expr, Expr::Aggregate(_) | Expr::Binary(_) | Expr::Call(_) | Expr::Paren(_) | Expr::Subquery(_))
            && is_long(expr, before_operator);
    if !is_split && !matches!(expr, Expr::Unary(_)) {
        // Prometheus does not indent these.
        if !matches!(expr, Expr::Subquery(_)) {
            indent(f, level);
        }
        return write_expr(f, expr, before_operator);
    }
    match expr {
        Expr::Aggregate(e) => {
            indent(f, level);
            write_aggregate_op(f, e)?;
            f.push_str("(\n");
            if let Some(param) = &e.param {
                pretty(f, param, level + 1, false)?;
                f.push_str(",\n");
            }
            pretty(f, &e.expr, level + 1, false)?;
            close(f, level);
        }
        Expr::Binary(e) => {
            match &*e.lhs {
                Expr::Number(base) if is_unsigned_base(e, base) => {
                    indent(f, level + 1);
                    f.push_str("Inf");
                }
                lhs => pretty(f, lhs, level + 1, takes_offset(e))?,
            }
            f.push('\n');
            indent(f, level);
            write_operator(f, e)?;
            f.push('\n');
            pretty(f, &e.rhs, level + 1, before_operator)?;
        }
        Expr::Call(e) => {
            indent(f, level);
            f.push_str(e.function.name);
            f.push_str("(\n");
            for (i, arg) in e.args.iter().enumerate() {
                if i > 0 {
                    f.push_str(",\n");
                }
                pretty(f, arg, level + 1, false)?;
            }
            close(f, level);
        }
        Expr::Paren(e) => {
            indent(f, level);
            f.push_str("(\n");
            pretty(f, &e.expr, level + 1, false)?;
            close(f, level);
        }
        Expr::Subquery(e) => {
            pretty(f, &e.expr, level, false)?;
            write_subquery_suffix(f, e, before_operator)?;
        }
        Expr::Unary(e) => {
            indent(f, level);
            f.push_str(e.op.as_str());
            let start = f.len();
            pretty(f, &e.expr, level, before_operator)?;
            // The sign was indented, so the operand is not.
            let spaces = f.get(start..).map_or(0, |text| text.len() - text.trim_start().len());
            f.replace_range(start..start + spaces, "");
        }
        _ => write_expr(f, expr, before_operator)?,
    }
    Ok(())
}

fn close(f: &mut String, level: usize) {
    f.push('\n');
    indent(f, level);
    f.push(')');
}
