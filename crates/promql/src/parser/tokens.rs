//! The tokens that grammar rules read, and what happens to those that do not fit.

use super::{
    ParserOptions,
    lexer::Lexer,
    token::{Kind, Token},
};
use crate::{
    ast::Span,
    error::{ParseError, Result},
};

/// Why a rule ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// A token does not fit; see the module above.
    Syntax,
    /// The input ended before a token fitted.
    Abandoned,
    /// The expression is too deep, at this byte.
    TooDeep(usize),
    /// There are too many regular expressions.
    TooManyRegexes,
}

/// The most errors that are told of; to find their lines takes time.
pub(super) const MAX_ERRORS: usize = 1_000;

pub(super) type Parsed<T> = Result<T, Stop>;

/// What grammar rules read from and write errors to.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    input: &'a str,
    lexer: Lexer<'a>,
    pub(super) options: &'a ParserOptions,
    /// The token that was read but not used.
    ahead: Option<Kind>,
    /// The token that was read last.
    last: Token,
    /// The end of the last token that may close an expression.
    pub(super) last_closing: usize,
    /// Tokens that must fit before a misfit unwinds.
    recovering: u8,
    /// Behind [`Kind::Eof`] and [`Kind::Error`].
    ended: bool,
    errors: Vec<ParseError>,
    depth: usize,
    /// The end of what was last ranged over, though it is no vector selector.
    pub(super) no_selector: Option<usize>,
    /// The start of the last selector that is both anchored and smoothed, which is an error.
    pub(super) both_boundaries: Option<usize>,
    /// Regular expressions so far.
    pub(super) regexes: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(input: &'a str, options: &'a ParserOptions, series_description: bool) -> Self {
        Self {
            input,
            lexer: Lexer::new(input, series_description),
            options,
            ahead: None,
            last: Token { kind: Kind::End, start: 0, end: 0 },
            last_closing: 0,
            recovering: 0,
            ended: false,
            errors: Vec::new(),
            depth: 0,
            no_selector: None,
            both_boundaries: None,
            regexes: 0,
        }
    }

    pub(super) fn into_errors(self) -> Vec<ParseError> {
        self.errors
    }

    pub(super) fn max_depth(&self) -> usize {
        self.options.max_depth.min(ParserOptions::MAX_DEPTH)
    }

    /// The next token, which is read if it was not yet.
    pub(super) fn peek(&mut self) -> Kind {
        match self.ahead {
            Some(kind) => kind,
            None => {
                let kind = self.read();
                self.ahead = Some(kind);
                kind
            }
        }
    }

    fn read(&mut self) -> Kind {
        if self.ended {
            return Kind::End;
        }
        loop {
            self.last = self.lexer.next_token();
            if self.last.kind != Kind::Comment {
                break;
            }
        }
        match self.last.kind {
            Kind::Error => {
                self.ended = true;
                let message = std::mem::take(&mut self.lexer.error);
                self.error(Span::new(self.lexer.start, self.input.len()), message);
                Kind::End
            }
            Kind::Eof => {
                self.ended = true;
                Kind::Eof
            }
            kind => {
                if matches!(
                    kind,
                    Kind::RightBrace | Kind::RightParen | Kind::RightBracket | Kind::Duration | Kind::Number
                ) {
                    self.last_closing = self.last.end;
                }
                kind
            }
        }
    }

    /// Takes the token that [`peek`](Self::peek) gave.
    pub(super) fn take(&mut self) -> Token {
        self.ahead = None;
        self.recovering = self.recovering.saturating_sub(1);
        self.last
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        self.input.get(token.start..token.end).unwrap_or_default()
    }

    /// The token that was read last does not fit: unwinds or, as long as it recovers, skips it.
    pub(super) fn reject(&mut self) -> Parsed<()> {
        if self.recovering < 3 {
            self.recovering = 3;
            return Err(Stop::Syntax);
        }
        if self.ahead == Some(Kind::End) {
            return Err(Stop::Abandoned);
        }
        self.ahead = None;
        Ok(())
    }

    /// As [`reject`](Self::reject), but does not unwind: says what is unexpected here. Whether it said so.
    pub(super) fn reject_here(&mut self, context: &str, expected: &str) -> Parsed<bool> {
        match self.reject() {
            Err(Stop::Syntax) => {
                self.unexpected(context, expected);
                Ok(true)
            }
            other => other.map(|()| false),
        }
    }

    /// Takes a token of this kind.
    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        self.expect_where(|k| k == kind)
    }

    /// Takes a token that `fits`.
    pub(super) fn expect_where(&mut self, fits: impl Fn(Kind) -> bool) -> Parsed<Token> {
        self.await_where(fits)?;
        Ok(self.take())
    }

    /// Skips to a token that `fits`, if it may skip.
    pub(super) fn await_where(&mut self, fits: impl Fn(Kind) -> bool) -> Parsed<Kind> {
        loop {
            let kind = self.peek();
            if fits(kind) {
                return Ok(kind);
            }
            self.reject()?;
        }
    }

    /// Nothing but the end may come.
    pub(super) fn end(&mut self) -> Parsed<()> {
        loop {
            match self.peek() {
                Kind::End => return Ok(()),
                Kind::Eof => {
                    self.take();
                }
                _ => self.reject()?,
            }
        }
    }

    /// Where the token is that was read last.
    pub(super) fn last_span(&self) -> Span {
        Span::new(self.last.start, self.last.end)
    }

    pub(super) fn error(&mut self, span: Span, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ParseError::new(self.input, span, message));
        }
    }

    /// Complains about the token that was read last, unless the lexer did.
    pub(super) fn unexpected(&mut self, context: &str, expected: &str) {
        if self.last.kind == Kind::Error {
            return;
        }
        let mut message = format!("unexpected {}", self.last.kind.describe(self.text(self.last)));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(self.last_span(), message);
    }

    /// Where an aggregation ends, of which it was only known by reading on.
    pub(super) fn end_of_aggregation(&self) -> usize {
        self.lexer.previous_right_paren(self.last_closing)
    }

    /// Goes a level deeper, if there is one.
    pub(super) fn enter(&mut self) -> Parsed<()> {
        if self.depth >= self.max_depth() {
            return Err(Stop::TooDeep(self.last.start));
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from the level that was [entered](Self::enter), also if something is wrong there.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Checks how deep a tree is that was built from `height` levels.
    pub(super) fn check_height(&self, height: usize) -> Parsed<usize> {
        if height > self.max_depth() { Err(Stop::TooDeep(self.last.start)) } else { Ok(height) }
    }
}
