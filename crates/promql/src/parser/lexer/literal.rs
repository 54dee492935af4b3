//! Strings, numbers and durations.

use super::{Lexer, State, is_alphanumeric};
use crate::{
    parser::token::Kind,
    quote::{name_char, quote},
};

const DIGITS: &str = "0123456789";

impl Lexer<'_> {
    pub(super) fn string(&mut self) -> State {
        loop {
            match self.next() {
                Some('\\') => return State::Escape,
                Some('\u{fffd}') => {
                    self.fail("invalid UTF-8 rune".to_owned());
                    return State::String;
                }
                None | Some('\n') => return self.fail("unterminated quoted string".to_owned()),
                Some(c) if c == self.quote => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        State::Statements
    }

    pub(super) fn raw_string(&mut self) -> State {
        loop {
            match self.next() {
                Some('\u{fffd}') => {
                    self.fail("invalid UTF-8 rune".to_owned());
                    return State::RawString;
                }
                None => {
                    self.fail("unterminated raw string".to_owned());
                    return State::RawString;
                }
                Some(c) if c == self.quote => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::String);
        State::Statements
    }

    /// What is behind a backslash.
    pub(super) fn escape(&mut self) -> State {
        let c = self.next();
        let (digits, base, max, mut c) = match c {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return State::String,
            Some(c) if c == self.quote => return State::String,
            Some('0'..='7') => (3, 8, 255, c),
            Some('x') => (2, 16, 255, self.next()),
            Some('u') => (4, 16, 0x10_ffff, self.next()),
            Some('U') => (8, 16, 0x10_ffff, self.next()),
            None => {
                self.fail("escape sequence not terminated".to_owned());
                return State::String;
            }
            Some(c) => {
                self.fail(format!("unknown escape sequence {}", name_char(c)));
                return State::String;
            }
        };
        let mut code = 0_u32;
        for i in 0..digits {
            if i > 0 {
                c = self.next();
            }
            let Some(digit) = c.and_then(|c| c.to_digit(base)) else {
                self.fail(match c {
                    None => "escape sequence not terminated".to_owned(),
                    Some(c) => format!("illegal character {} in escape sequence", name_char(c)),
                });
                return State::String;
            };
            code = code.wrapping_mul(base).wrapping_add(digit);
        }
        if code > max || (0xd800..0xe000).contains(&code) {
            self.fail("escape sequence is an invalid Unicode code point".to_owned());
        }
        State::String
    }

    pub(super) fn number(&mut self) -> State {
        if !self.scan_number() {
            return self.fail(format!("bad number syntax: {}", quote(self.text())));
        }
        self.emit(Kind::Number);
        State::Statements
    }

    pub(super) fn number_or_duration(&mut self) -> State {
        if self.scan_number() {
            self.emit(Kind::Number);
            return State::Statements;
        }
        if self.scan_duration() {
            self.backup();
            self.emit(Kind::Duration);
            return State::Statements;
        }
        self.fail(format!("bad number or duration syntax: {}", quote(self.text())))
    }

    /// What remains of a duration behind its first number, and one character more.
    fn scan_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s");
        while self.accept(DIGITS) {
            self.accept_run(DIGITS);
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        !self.next().is_some_and(is_alphanumeric)
    }

    /// A number, more or less: what it means is found out later.
    fn scan_number(&mut self) -> bool {
        let initial = self.pos;
        let mut digits = DIGITS;
        let mut hexadecimal = false;
        // In series descriptions `0x3` is zero, three times.
        if !self.series_description && self.accept("0") && self.accept("xX") {
            self.accept("_");
            digits = "0123456789abcdefABCDEF";
            hexadecimal = true;
        }
        self.accept(".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek() {
            if c == '.' && dot || matches!(c, 'e' | 'E') && exponent {
                self.next();
                return false;
            }
            if self.accept(".") {
                dot = true;
                if self.accept("_.") || hexadecimal {
                    return false;
                }
            } else if self.accept("eE") {
                exponent = true;
                self.accept("+-");
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.accept("_") {
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else if digits.contains(c) {
                self.accept_run(digits);
            } else {
                break;
            }
        }
        if self.pos == initial {
            return false;
        }
        match self.peek() {
            Some('x') if self.series_description => true,
            next => !next.is_some_and(is_alphanumeric),
        }
    }
}
