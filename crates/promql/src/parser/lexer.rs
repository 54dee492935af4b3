//! Cuts text into tokens.
//!
//! What a character means depends on where it is: inside braces, inside brackets, in a string, in the values of a series
//! description. Each such place is a [`State`]; a step in it makes at most one token and says where to go on. States and
//! steps are those of Prometheus' lexer, since its errors follow from them.

use super::token::{Kind, Token};
use crate::quote::quote_char;

mod literal;
mod series;

use series::HistogramState;

/// Where the lexer is.
#[derive(Clone, Copy, Debug)]
enum State {
    Statements,
    InsideBraces,
    /// Between brackets.
    Duration,
    LineComment,
    NumberOrDuration,
    Number,
    Identifier,
    KeywordOrIdentifier,
    Space,
    String,
    RawString,
    Escape,
    ValueSequence,
    Histogram,
    HistogramKey,
    Buckets,
    /// Nothing comes any more.
    Stopped,
}

/// Makes tokens, one by one.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    state: State,
    /// Where the next character is.
    pos: usize,
    /// Where the next token starts.
    pub(crate) start: usize,
    /// Bytes of the character read last.
    width: usize,
    /// Where the last token starts.
    last_start: usize,
    token: Option<Token>,
    /// What is wrong, if the last token is [`Kind::Error`].
    pub(crate) error: String,
    paren_depth: i64,
    brace_open: bool,
    bracket_open: bool,
    got_colon: bool,
    got_duration: bool,
    quote: char,
    series_description: bool,
    histogram: HistogramState,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

fn starts_duration_keyword(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 's' | 'r' | 'm')
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str, series_description: bool) -> Self {
        Self {
            input,
            state: State::Statements,
            pos: 0,
            start: 0,
            width: 0,
            last_start: 0,
            token: None,
            error: String::new(),
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            got_colon: false,
            got_duration: false,
            quote: '"',
            series_description,
            histogram: HistogramState::None,
        }
    }

    /// The next token. Behind [`Kind::Eof`] and [`Kind::Error`] nothing of use comes.
    pub(crate) fn next_token(&mut self) -> Token {
        self.token = None;
        let token = loop {
            if matches!(self.state, State::Stopped) {
                self.emit(Kind::Eof);
            } else {
                self.state = self.step();
            }
            if let Some(token) = self.token {
                break token;
            }
        };
        self.last_start = token.start;
        token
    }

    fn step(&mut self) -> State {
        match self.state {
            State::Statements => self.statements(),
            State::InsideBraces => self.inside_braces(),
            State::Duration => self.duration(),
            State::LineComment => self.line_comment(),
            State::NumberOrDuration => self.number_or_duration(),
            State::Number => self.number(),
            State::Identifier => self.identifier(),
            State::KeywordOrIdentifier => self.keyword_or_identifier(),
            State::Space => self.space(),
            State::String => self.string(),
            State::RawString => self.raw_string(),
            State::Escape => self.escape(),
            State::ValueSequence => self.value_sequence(),
            State::Histogram => self.histogram(),
            State::HistogramKey => self.histogram_key(),
            State::Buckets => self.buckets(),
            State::Stopped => State::Stopped,
        }
    }

    fn rest(&self) -> &'a str {
        self.input.get(self.pos..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next();
        self.width = c.map_or(0, char::len_utf8);
        self.pos += self.width;
        c
    }

    /// Takes back the last character; at most once.
    fn backup(&mut self) {
        self.pos -= self.width;
    }

    fn peek(&mut self) -> Option<char> {
        let c = self.next();
        self.backup();
        c
    }

    fn emit(&mut self, kind: Kind) {
        self.token = Some(Token { kind, start: self.start, end: self.pos });
        self.start = self.pos;
    }

    /// Makes the token of an error, in place of one just made.
    fn fail(&mut self, message: String) -> State {
        self.token = Some(Token { kind: Kind::Error, start: self.start, end: self.start });
        self.error = message;
        State::Stopped
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.next().is_some_and(|c| valid.contains(c));
        if !accepted {
            self.backup();
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.next().is_some_and(|c| valid.contains(c)) {}
        self.backup();
    }

    fn text(&self) -> &'a str {
        self.input.get(self.start..self.pos).unwrap_or_default()
    }

    fn statements(&mut self) -> State {
        if self.histogram != HistogramState::None {
            return State::Histogram;
        }
        if self.brace_open {
            return State::InsideBraces;
        }
        if self.rest().starts_with('#') {
            return State::LineComment;
        }
        let Some(c) = self.next() else {
            if self.paren_depth != 0 {
                return self.fail("unclosed left parenthesis".to_owned());
            }
            if self.bracket_open {
                return self.fail("unclosed left bracket".to_owned());
            }
            self.emit(Kind::Eof);
            return State::Stopped;
        };
        match c {
            ',' => self.emit(Kind::Comma),
            c if is_space(c) => return State::Space,
            '*' => self.emit(Kind::Mul),
            '/' => self.emit(Kind::Div),
            '%' => self.emit(Kind::Mod),
            '+' => self.emit(Kind::Add),
            '-' => self.emit(Kind::Sub),
            '^' => self.emit(Kind::Pow),
            '=' => match self.peek() {
                Some('=') => {
                    self.next();
                    self.emit(Kind::Eqlc);
                }
                Some('~') => return self.fail("unexpected character after '=': '~'".to_owned()),
                _ => self.emit(Kind::Eql),
            },
            '!' => match self.next() {
                Some('=') => self.emit(Kind::Neq),
                other => return self.fail(format!("unexpected character after '!': {}", quote_char(other))),
            },
            '<' | '>' => {
                let less = c == '<';
                let kind = match self.peek() {
                    Some('=') if less => Kind::Lte,
                    Some('=') => Kind::Gte,
                    Some('/') if less => Kind::TrimUpper,
                    Some('/') => Kind::TrimLower,
                    _ if less => Kind::Lss,
                    _ => Kind::Gtr,
                };
                if !matches!(kind, Kind::Lss | Kind::Gtr) {
                    self.next();
                }
                self.emit(kind);
            }
            c if c.is_ascii_digit() || c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.pos -= 1;
                return State::NumberOrDuration;
            }
            '"' | '\'' => {
                self.quote = c;
                return State::String;
            }
            '`' => {
                self.quote = c;
                return State::RawString;
            }
            c if is_alpha(c) || c == ':' => return self.word_or_colon(c),
            '(' => {
                self.emit(Kind::LeftParen);
                self.paren_depth += 1;
            }
            ')' => return self.right_paren(State::Statements),
            '{' => {
                self.emit(Kind::LeftBrace);
                self.brace_open = true;
                return State::InsideBraces;
            }
            '[' => {
                if self.bracket_open {
                    return self.fail("unexpected left bracket '['".to_owned());
                }
                self.got_colon = false;
                self.emit(Kind::LeftBracket);
                if self.peek().is_some_and(is_space) {
                    self.skip_spaces();
                }
                self.bracket_open = true;
                return State::Duration;
            }
            ']' => {
                if !self.bracket_open {
                    return self.fail("unexpected right bracket ']'".to_owned());
                }
                self.emit(Kind::RightBracket);
                self.bracket_open = false;
            }
            '@' => self.emit(Kind::At),
            c => return self.fail(format!("unexpected character: {}", quote_char(Some(c)))),
        }
        State::Statements
    }

    /// A word, or a colon, which between brackets is the one before a sub-query's step.
    fn word_or_colon(&mut self, c: char) -> State {
        if !self.bracket_open {
            self.backup();
            return State::KeywordOrIdentifier;
        }
        if c == ':' {
            if self.got_colon {
                return self.fail("unexpected colon ':'".to_owned());
            }
            self.emit(Kind::Colon);
            self.got_colon = true;
            return State::Statements;
        }
        if starts_duration_keyword(c) && self.duration_keyword() {
            return State::Statements;
        }
        self.fail(format!("unexpected character: {}, expected ':'", quote_char(Some(c))))
    }

    fn right_paren(&mut self, then: State) -> State {
        self.emit(Kind::RightParen);
        self.paren_depth -= 1;
        if self.paren_depth < 0 { self.fail("unexpected right parenthesis ')'".to_owned()) } else { then }
    }

    fn inside_braces(&mut self) -> State {
        if self.rest().starts_with('#') {
            return State::LineComment;
        }
        let Some(c) = self.next() else {
            return self.fail("unexpected end of input inside braces".to_owned());
        };
        match c {
            c if is_space(c) => return State::Space,
            c if is_alpha(c) => {
                self.backup();
                return State::Identifier;
            }
            ',' => self.emit(Kind::Comma),
            '"' | '\'' => {
                self.quote = c;
                return State::String;
            }
            '`' => {
                self.quote = c;
                return State::RawString;
            }
            '=' => {
                if self.next() == Some('~') {
                    self.emit(Kind::EqlRegex);
                } else {
                    self.backup();
                    self.emit(Kind::Eql);
                }
            }
            '!' => match self.next() {
                Some('~') => self.emit(Kind::NeqRegex),
                Some('=') => self.emit(Kind::Neq),
                other => {
                    return self.fail(format!("unexpected character after '!' inside braces: {}", quote_char(other)));
                }
            },
            '{' => return self.fail("unexpected left brace '{'".to_owned()),
            '}' => {
                self.emit(Kind::RightBrace);
                self.brace_open = false;
                return if self.series_description { State::ValueSequence } else { State::Statements };
            }
            c => return self.fail(format!("unexpected character inside braces: {}", quote_char(Some(c)))),
        }
        State::InsideBraces
    }

    fn duration(&mut self) -> State {
        let Some(c) = self.next() else {
            return self.fail("unexpected end of input in duration expression".to_owned());
        };
        match c {
            ']' => {
                self.emit(Kind::RightBracket);
                self.bracket_open = false;
                self.got_colon = false;
                return State::Statements;
            }
            ':' => {
                self.emit(Kind::Colon);
                if !self.got_duration {
                    return self.fail("unexpected colon before duration in duration expression".to_owned());
                }
                if self.got_colon {
                    return self.fail("unexpected repeated colon in duration expression".to_owned());
                }
                self.got_colon = true;
            }
            '(' => {
                self.emit(Kind::LeftParen);
                self.paren_depth += 1;
            }
            ')' => return self.right_paren(State::Duration),
            c if is_space(c) => self.skip_spaces(),
            '+' => self.emit(Kind::Add),
            '-' => self.emit(Kind::Sub),
            '*' => self.emit(Kind::Mul),
            '/' => self.emit(Kind::Div),
            '%' => self.emit(Kind::Mod),
            '^' => self.emit(Kind::Pow),
            ',' => self.emit(Kind::Comma),
            c if starts_duration_keyword(c) => {
                if !self.duration_keyword() {
                    return self.fail(format!("unexpected character in duration expression: {}", quote_char(Some(c))));
                }
            }
            c if c.is_ascii_digit() || c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.pos -= 1;
                self.got_duration = true;
                return State::NumberOrDuration;
            }
            c => return self.fail(format!("unexpected character in duration expression: {}", quote_char(Some(c)))),
        }
        State::Duration
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.next();
        }
        self.start = self.pos;
    }

    fn space(&mut self) -> State {
        self.skip_spaces();
        State::Statements
    }

    fn line_comment(&mut self) -> State {
        while self.next().is_some_and(|c| !matches!(c, '\r' | '\n')) {}
        self.backup();
        self.emit(Kind::Comment);
        State::Statements
    }

    /// A keyword between brackets, whose first letter was read.
    fn duration_keyword(&mut self) -> bool {
        while self.next().is_some_and(is_alpha) {}
        self.backup();
        match Kind::duration_keyword(&self.text().to_ascii_lowercase()) {
            Some(kind) => {
                self.emit(kind);
                true
            }
            None => false,
        }
    }

    fn identifier(&mut self) -> State {
        while self.next().is_some_and(is_alphanumeric) {}
        self.backup();
        self.emit(Kind::Identifier);
        State::Statements
    }

    fn keyword_or_identifier(&mut self) -> State {
        while self.next().is_some_and(|c| is_alphanumeric(c) || c == ':') {}
        self.backup();
        let word = self.text();
        // The longest keyword has twelve letters.
        let keyword = if word.len() <= 12 { Kind::keyword(&word.to_ascii_lowercase()) } else { None };
        let kind = match keyword {
            // A metric may be called so.
            Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) if !self.before_left_paren() => Kind::Identifier,
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.emit(kind);
        if self.series_description && self.peek() != Some('{') { State::ValueSequence } else { State::Statements }
    }

    fn before_left_paren(&self) -> bool {
        self.rest().trim_start_matches(is_space).starts_with('(')
    }

    /// Where an aggregation ends whose closing parenthesis is not the last token any more: behind the parenthesis that
    /// precedes the last token, if that is one, too, and only spaces are between them. Else `fallback`.
    pub(crate) fn previous_right_paren(&self, fallback: usize) -> usize {
        let bytes = self.input.as_bytes();
        if fallback == 0 || self.last_start == 0 || bytes.get(self.last_start) != Some(&b')') {
            return fallback;
        }
        let before = bytes.get(1..self.last_start).unwrap_or_default();
        match before.iter().rposition(|&b| !is_space(char::from(b))) {
            Some(i) if before.get(i) == Some(&b')') => i + 2,
            _ => fallback,
        }
    }
}
