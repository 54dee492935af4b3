//! Braces and lists of labels.

use super::{
    token::{Kind, Token},
    tokens::{Parsed, Stop, Tokens},
};
use crate::{ast::Span, ast::VectorSelector, quote::quote_bytes};
use prometheus_model::METRIC_NAME;
use prometheus_queryable::{MatchOp, Matcher};

impl Tokens<'_> {
    /// `{a="b", "c"=~"d"}`, which comes next: the matchers, and where it is.
    pub(super) fn matchers(&mut self) -> Parsed<(Vec<Matcher>, Span)> {
        let open = self.take();
        let mut matchers = Vec::new();
        loop {
            // In front of a matcher, or behind them all.
            match self.peek() {
                Kind::RightBrace => break,
                Kind::Identifier | Kind::String => matchers.extend(self.matcher()?),
                _ => {
                    if !self.reject_here("label matching", "identifier or \"}\"")? {
                        continue;
                    }
                }
            }
            loop {
                match self.peek() {
                    Kind::Comma | Kind::RightBrace => break,
                    _ => self.reject_here("label matching", "\",\" or \"}\"")?,
                };
            }
            if self.peek() == Kind::RightBrace {
                break;
            }
            self.take();
        }
        let close = self.take();
        Ok((matchers, Span::new(open.start, close.end)))
    }

    /// None if it is wrong.
    fn matcher(&mut self) -> Parsed<Option<Matcher>> {
        let name = self.take();
        let is_quoted = name.kind == Kind::String;
        let name_text = if is_quoted { self.string(name) } else { self.text(name).to_owned() };
        let op = loop {
            match self.peek() {
                Kind::Eql => break MatchOp::Equal,
                Kind::Neq => break MatchOp::NotEqual,
                Kind::EqlRegex => break MatchOp::Regex,
                Kind::NeqRegex => break MatchOp::NotRegex,
                _ if is_quoted => return Ok(Some(Matcher::equal(METRIC_NAME, name_text))),
                _ => {
                    if self.reject_here("label matching", "label matching operator")? {
                        return Ok(None);
                    }
                }
            }
        };
        self.take();
        let Some(value) = self.string_or("label matching")? else { return Ok(None) };
        let value_text = self.string(value);
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            self.regexes += 1;
            if self.regexes > self.options.max_regexes {
                return Err(Stop::TooManyRegexes);
            }
        }
        match Matcher::new(name_text, op, value_text) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                self.error(Span::new(name.start, value.end), error.to_string());
                Ok(None)
            }
        }
    }

    /// Takes a string; none if something else comes.
    fn string_or(&mut self, context: &str) -> Parsed<Option<Token>> {
        loop {
            if self.peek() == Kind::String {
                return Ok(Some(self.take()));
            }
            if self.reject_here(context, "string")? {
                return Ok(None);
            }
        }
    }

    /// A vector selector that is all of the input.
    pub(super) fn selector_alone(&mut self) -> Parsed<Option<VectorSelector>> {
        let is_name =
            |kind: Kind| matches!(kind, Kind::Identifier | Kind::MetricIdentifier) || kind.is_metric_keyword();
        let name = match self.await_where(|kind| kind == Kind::LeftBrace || is_name(kind))? {
            // Braces begin where a name without text would.
            Kind::LeftBrace => None,
            _ => Some(self.take()),
        };
        match name {
            Some(name) => self.named_selector(name).map(Some),
            None => {
                let (matchers, span) = self.matchers()?;
                Ok(Some(super::grammar::vector_selector(None, matchers, span)))
            }
        }
    }

    /// The labels of a series that are all of the input.
    pub(super) fn metric_alone(&mut self) -> Parsed<Option<Vec<(String, String)>>> {
        self.metric().map(Some)
    }

    /// A name, braces, both or nothing.
    pub(super) fn metric(&mut self) -> Parsed<Vec<(String, String)>> {
        let kind = self.peek();
        let mut name = None;
        if matches!(kind, Kind::Identifier | Kind::MetricIdentifier) || kind.is_metric_keyword() {
            let token = self.take();
            name = Some(self.text(token).to_owned());
        }
        let mut pairs = if self.peek() == Kind::LeftBrace { self.label_set()? } else { Vec::new() };
        if let Some(name) = name {
            // It takes the place of a name in the braces, but of one only.
            match pairs.iter_mut().find(|(label, _)| label == METRIC_NAME) {
                Some((_, value)) => *value = name,
                None => pairs.push((METRIC_NAME.to_owned(), name)),
            }
        }
        Ok(pairs)
    }

    /// `{a="b", "metric"}`, which comes next.
    fn label_set(&mut self) -> Parsed<Vec<(String, String)>> {
        self.take();
        let mut pairs = Vec::new();
        loop {
            match self.peek() {
                Kind::RightBrace => break,
                Kind::Identifier | Kind::String => pairs.extend(self.label()?),
                _ => {
                    if !self.reject_here("label set", "identifier or \"}\"")? {
                        continue;
                    }
                }
            }
            loop {
                match self.peek() {
                    Kind::Comma | Kind::RightBrace => break,
                    _ => self.reject_here("label set", "\",\" or \"}\"")?,
                };
            }
            if self.peek() == Kind::RightBrace {
                break;
            }
            self.take();
        }
        self.take();
        Ok(pairs)
    }

    fn label(&mut self) -> Parsed<Option<(String, String)>> {
        let name = self.take();
        let is_quoted = name.kind == Kind::String;
        let name_text = if is_quoted { self.string(name) } else { self.text(name).to_owned() };
        while self.peek() != Kind::Eql {
            if is_quoted {
                return Ok(Some((METRIC_NAME.to_owned(), name_text)));
            }
            if self.reject_here("label set", "\"=\"")? {
                return Ok(None);
            }
        }
        self.take();
        let Some(value) = self.string_or("label set")? else { return Ok(None) };
        Ok(Some((name_text, self.string(value))))
    }

    /// `(a, "b")`
    pub(super) fn grouping(&mut self) -> Parsed<Vec<String>> {
        let mut labels = Vec::new();
        while self.peek() != Kind::LeftParen {
            if self.reject_here("grouping opts", "\"(\"")? {
                return Ok(labels);
            }
        }
        self.take();
        loop {
            let kind = self.peek();
            if kind == Kind::RightParen {
                break;
            } else if kind == Kind::String || kind.is_label() {
                let token = self.take();
                labels.extend(self.grouping_label(token));
            } else if !self.reject_here("grouping opts", "label")? {
                continue;
            }
            loop {
                match self.peek() {
                    Kind::Comma | Kind::RightParen => break,
                    _ => self.reject_here("grouping opts", "\",\" or \")\"")?,
                };
            }
            if self.peek() == Kind::RightParen {
                break;
            }
            self.take();
        }
        self.take();
        Ok(labels)
    }

    fn grouping_label(&mut self, token: Token) -> Option<String> {
        let bytes = match token.kind {
            Kind::String => self.string_bytes(token),
            _ => self.text(token).as_bytes().to_vec(),
        };
        match String::from_utf8(bytes) {
            Ok(label) if !label.is_empty() => Some(label),
            label => {
                let bytes = label.map_or_else(|e| e.into_bytes(), String::into_bytes);
                let message = format!("invalid label name for grouping: {}", quote_bytes(&bytes));
                self.error(Span::new(token.start, token.end), message);
                None
            }
        }
    }
}
