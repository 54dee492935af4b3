//! The values of series descriptions, and histograms among them.

use super::{Lexer, State, is_alpha, is_space};
use crate::{
    parser::token::Kind,
    quote::{quote, quote_char},
};

/// Whether a histogram is being read, and what is behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HistogramState {
    None,
    Open,
    Times,
    Add,
    Sub,
}

impl Lexer<'_> {
    pub(super) fn value_sequence(&mut self) -> State {
        if self.histogram != HistogramState::None {
            return State::Histogram;
        }
        let Some(c) = self.next() else { return State::Statements };
        match c {
            '{' if self.peek() == Some('{') => {
                self.histogram = HistogramState::Open;
                self.next();
                self.emit(Kind::OpenHist);
                return State::Histogram;
            }
            c if is_space(c) => {
                self.emit(Kind::Space);
                self.skip_spaces();
            }
            '+' => self.emit(Kind::Add),
            '-' => self.emit(Kind::Sub),
            'x' => self.emit(Kind::Times),
            '_' => self.emit(Kind::Blank),
            c if c.is_ascii_digit() || c == '.' && self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                self.pos -= 1;
                self.number();
            }
            c if is_alpha(c) => {
                self.backup();
                return State::KeywordOrIdentifier;
            }
            c => return self.fail(format!("unexpected character in series sequence: {}", quote_char(Some(c)))),
        }
        State::ValueSequence
    }

    pub(super) fn histogram(&mut self) -> State {
        let operator = match self.histogram {
            HistogramState::Times => Some(Kind::Times),
            HistogramState::Add => Some(Kind::Add),
            HistogramState::Sub => Some(Kind::Sub),
            HistogramState::None | HistogramState::Open => None,
        };
        if let Some(kind) = operator {
            self.histogram = HistogramState::None;
            self.next();
            self.emit(kind);
            return State::ValueSequence;
        }
        if self.bracket_open {
            return State::Buckets;
        }
        let c = self.next();
        match c {
            Some(c) if is_space(c) => {
                self.emit(Kind::Space);
                State::Space
            }
            Some(c) if is_alpha(c) => {
                self.backup();
                State::HistogramKey
            }
            Some(':') => {
                self.emit(Kind::Colon);
                State::Histogram
            }
            Some('-') => {
                self.emit(Kind::Sub);
                State::Histogram
            }
            Some(c) if c.is_ascii_digit() => {
                self.backup();
                State::Number
            }
            Some('[') => {
                self.bracket_open = true;
                self.got_colon = false;
                self.got_duration = false;
                self.emit(Kind::LeftBracket);
                State::Buckets
            }
            Some('}') if self.peek() == Some('}') => {
                self.next();
                self.emit(Kind::CloseHist);
                self.histogram = match self.peek() {
                    Some('x') => HistogramState::Times,
                    Some('+') => HistogramState::Add,
                    Some('-') => HistogramState::Sub,
                    _ => HistogramState::None,
                };
                State::ValueSequence
            }
            c => self.fail(format!("histogram description incomplete unexpected: {}", quote_char(c))),
        }
    }

    pub(super) fn histogram_key(&mut self) -> State {
        while self.next().is_some_and(is_alpha) {}
        self.backup();
        let word = self.text();
        let lower = word.to_ascii_lowercase();
        if let Some(kind) = Kind::histogram_key(&lower) {
            if self.peek() == Some(':') {
                self.emit(kind);
                return State::Histogram;
            }
            self.fail("missing `:` for histogram descriptor".to_owned());
        } else if matches!(&*lower, "inf" | "nan") {
            self.emit(Kind::Number);
            return State::Histogram;
        } else if let Some(kind) = Kind::counter_reset_hint(&lower) {
            self.emit(kind);
            return State::Histogram;
        } else {
            self.fail(format!("bad histogram descriptor found: {}", quote(word)));
        }
        State::Statements
    }

    pub(super) fn buckets(&mut self) -> State {
        let c = self.next();
        match c {
            Some(c) if is_space(c) => {
                self.emit(Kind::Space);
                State::Space
            }
            Some('-') => {
                self.emit(Kind::Sub);
                State::Number
            }
            Some(c) if c.is_ascii_digit() => {
                self.backup();
                State::Number
            }
            Some(']') => {
                self.bracket_open = false;
                self.emit(Kind::RightBracket);
                State::Histogram
            }
            Some(c) if is_alpha(c) => {
                if matches!(&*self.text().to_ascii_lowercase(), "inf" | "nan") {
                    self.emit(Kind::Number);
                    return State::Statements;
                }
                State::Buckets
            }
            c => self.fail(format!("invalid character in buckets description: {}", quote_char(c))),
        }
    }
}
