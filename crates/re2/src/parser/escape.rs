//! Escapes and classes.
//!
//! ```text
//! escape = "\A" | "\z" | "\b" | "\B" | "\Q" *char "\E" | "\d" … | unicode | char-escape
//! char-escape = "\" punctuation | "\a" … | "\" octal | "\x" hex hex | "\x{" *hex "}"
//! unicode = ("\p" | "\P") (letter | "{" ["^"] name "}")
//! class   = "[" ["^"] 1*(unicode | "\d" … | "[:" name ":]" | char ["-" char]) "]"
//! ```

use super::{Parser, Result};
use crate::{
    ast::Look,
    class::{self, Class},
    unicode,
};

const RANGE: &str = "invalid character class range";
const ESCAPE: &str = "invalid escape sequence";

impl Parser<'_> {
    /// Reads an escape outside of a class.
    pub(super) fn escape(&mut self) -> Result<()> {
        let start = self.at;
        let rest = self.rest();
        match rest.chars().nth(1) {
            Some('A') => self.look(Look::TextStart, 2),
            Some('z') => self.look(Look::TextEnd, 2),
            Some('b') => self.look(Look::WordBoundary, 2),
            Some('B') => self.look(Look::NoWordBoundary, 2),
            Some('C') => {
                self.at += 2;
                Err(self.malformed(ESCAPE, start))
            }
            Some('Q') => {
                let quoted = rest.get(2..).unwrap_or_default();
                let (literal, end) = quoted.split_once(r"\E").map_or((quoted, 2), |(literal, _)| (literal, 4));
                self.at += literal.len() + end;
                literal.chars().try_for_each(|c| self.push_char(c))
            }
            _ => {
                if let Some(class) = self.class_escape()? {
                    return self.push_class(class);
                }
                let c = self.char_escape()?;
                match char::from_u32(c) {
                    Some(c) => self.push_char(c),
                    // A surrogate, which no string contains.
                    None => self.push_class(Class::of(vec![(c, c)])),
                }
            }
        }
    }

    /// Reads `\pN`, `\d` and the like, if one is next.
    fn class_escape(&mut self) -> Result<Option<Class>> {
        match self.rest().as_bytes() {
            [b'\\', b'p' | b'P', ..] => self.unicode_class().map(Some),
            [b'\\', b'd' | b'D' | b's' | b'S' | b'w' | b'W', ..] => {
                let name = self.rest().get(..2).unwrap_or_default();
                self.at += 2;
                Ok(class::ascii(name, self.flags.fold))
            }
            _ => Ok(None),
        }
    }

    fn unicode_class(&mut self) -> Result<Class> {
        let start = self.at;
        let mut negate = self.rest().starts_with(r"\P");
        self.at += 2;
        let name_start = self.at;
        let name = if self.eat('{') {
            let Some((name, _)) = self.rest().split_once('}') else {
                self.at = self.pattern.len();
                return Err(self.malformed(RANGE, start));
            };
            self.at += name.len() + 1;
            name
        } else {
            self.next();
            self.pattern.get(name_start..self.at).unwrap_or_default()
        };
        let name = name.strip_prefix('^').map_or(name, |name| {
            negate = !negate;
            name
        });
        let Some(class) = unicode::named(name, self.names, self.flags.fold) else {
            return Err(self.malformed(RANGE, start));
        };
        Ok(if negate { class.negated() } else { class })
    }

    /// Reads an escape that stands for one character: its code point, which may be a surrogate.
    fn char_escape(&mut self) -> Result<u32> {
        let start = self.at;
        self.at += 1;
        let Some(c) = self.next() else {
            // Go quotes nothing here.
            return Err(self.malformed("trailing backslash at end of expression", self.at));
        };
        let code = match c {
            '0'..='7' => {
                let more = |c: Option<char>| c.filter(|c| ('0'..='7').contains(c)).and_then(|c| c.to_digit(8));
                let mut code = c.to_digit(8).unwrap_or_default();
                let mut digits = 1;
                while digits < 3
                    && let Some(digit) = more(self.peek())
                {
                    self.at += 1;
                    digits += 1;
                    code = code * 8 + digit;
                }
                // One digit other than zero would refer to a group, which is not supported.
                (c == '0' || digits > 1).then_some(code)
            }
            'x' => self.hex(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            c => (c.is_ascii() && !c.is_ascii_alphanumeric()).then_some(c.into()),
        };
        code.ok_or_else(|| self.malformed(ESCAPE, start))
    }

    /// Reads what follows `\x`. If it is malformed, up to the character that shows this.
    fn hex(&mut self) -> Option<u32> {
        if !self.eat('{') {
            // Both are read even if the first is none.
            let (high, low) = (self.next(), self.next());
            return Some(high?.to_digit(16)? * 16 + low?.to_digit(16)?);
        }
        let mut code: Option<u32> = None;
        loop {
            match self.next()? {
                '}' => return code,
                c => {
                    let next = code.unwrap_or(0) * 16 + c.to_digit(16)?;
                    if next > char::MAX.into() {
                        return None;
                    }
                    code = Some(next);
                }
            }
        }
    }

    /// Reads a class in brackets.
    pub(super) fn class(&mut self) -> Result<Class> {
        let start = self.at;
        self.at += 1;
        let negate = self.eat('^');
        // What is named ignores case by itself, if it should.
        let (mut named, mut ranges) = (Vec::new(), Vec::new());
        let mut first = true;
        // A bracket that comes first is a character.
        while first || !self.eat(']') {
            first = false;
            let class = match self.posix_class()? {
                Some(class) => Some(class),
                None => self.class_escape()?,
            };
            if let Some(class) = class {
                self.charge(class.ranges().len())?;
                named.extend_from_slice(class.ranges());
                continue;
            }
            let item = self.at;
            let low = self.class_char(start)?;
            let mut high = low;
            let rest = self.rest();
            if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
                self.at += 1;
                high = self.class_char(start)?;
                if high < low {
                    return Err(self.malformed(RANGE, item));
                }
            }
            ranges.push((low, high));
        }
        let mut class = Class::of(ranges);
        if self.flags.fold {
            // About as much work as so many ranges are.
            self.charge(class.fold_work() / 16)?;
            class = class.folded();
        }
        let class = class.union(&Class::of(named));
        Ok(if negate { class.negated() } else { class })
    }

    /// Reads `[:name:]`, if it is next.
    fn posix_class(&mut self) -> Result<Option<Class>> {
        let start = self.at;
        let rest = self.rest();
        let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) else { return Ok(None) };
        self.at += end + 4;
        let name = rest.get(..end + 4).unwrap_or_default();
        match class::ascii(name, self.flags.fold) {
            Some(class) => Ok(Some(class)),
            None => Err(self.malformed(RANGE, start)),
        }
    }

    fn class_char(&mut self, class: usize) -> Result<u32> {
        match self.peek() {
            Some('\\') => self.char_escape(),
            Some(c) => {
                self.at += c.len_utf8();
                Ok(c.into())
            }
            None => Err(self.malformed("missing closing ]", class)),
        }
    }
}
