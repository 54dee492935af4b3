//! Go's syntax of regular expressions.
//!
//! ```text
//! pattern    = branch *("|" branch)
//! branch     = *(item [repeat])
//! item       = char | "." | "^" | "$" | class | escape | group
//! group      = "(" ["?:" | "?" flags ":" | "?P<" name ">" | "?<" name ">"] pattern ")" | "(?" flags ")"
//! flags      = *("i" | "m" | "s" | "U") ["-" 1*("i" | "m" | "s" | "U")]
//! repeat     = ("*" | "+" | "?" | "{" n "}" | "{" n ",}" | "{" n "," m "}") ["?"]
//! ```
//!
//! A `{` that begins no repeat is a character. Flags set by `(?flags)` hold up to the end of the group around them, and a
//! repeat after them refers to the item before. Escapes and classes are in [`escape`].
//!
//! Groups are kept on a stack of their own instead of recursing, for Go limits the depth of what remains when groups
//! that capture nothing are gone, not that of parentheses.

mod escape;

use crate::{
    ast::{self, Look, Node, Parsed},
    class::Class,
    error::{Error, Repr, Result},
    unicode::Names,
};

/// The most levels of a parsed pattern, as in Go.
pub(crate) const MAX_HEIGHT: u32 = 1000;
/// How often the innermost item may be repeated, nested repeats multiplied, as in Go.
const MAX_REPEAT: u32 = 1000;
/// The most items of a pattern. Go has no such limit, but would not compile more than 3.3 million.
const MAX_ITEMS: usize = 1 << 18;
/// The most ranges of all classes of a pattern together, those counted twice that a class in brackets names: 8 MiB. Go's
/// limit is 128 MiB.
const MAX_RANGES: usize = 1 << 20;

/// How a pattern is read where it does not say so itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags {
    /// `i`: ignore case.
    pub(crate) fold: bool,
    /// `m`: `^` and `$` match at lines' ends, too.
    pub(crate) multi_line: bool,
    /// `s`: `.` matches a newline, too.
    pub(crate) dot_newline: bool,
    /// `U`: `x*` prefers few, `x*?` many.
    pub(crate) swap_greed: bool,
}

/// Parses `pattern`. What it becomes is not deeper than [`MAX_HEIGHT`].
///
/// # Errors
/// With Go's text if the pattern is malformed, or too large.
pub(crate) fn parse(pattern: &str, flags: Flags, names: Names) -> Result<Parsed> {
    let mut parser = Parser {
        pattern,
        at: 0,
        flags,
        names,
        outer: Vec::new(),
        group: Group::default(),
        groups: Vec::new(),
        items: 0,
        ranges: 0,
    };
    parser.parse()
}

/// A parsed part of the pattern, and what counts against the limits.
#[derive(Debug)]
struct Item {
    node: Node,
    height: u32,
    /// How often the innermost item is repeated at most.
    repeats: u32,
    /// A literal to which the next character may be added; a repeat takes its last character only.
    open: bool,
}

impl Item {
    fn leaf(node: Node) -> Self {
        Self { node, height: 1, repeats: 1, open: false }
    }
}

/// A group that is not closed yet; the outermost is the pattern itself.
#[derive(Debug, Default)]
struct Group {
    /// The flags to return to.
    flags: Flags,
    /// The number of the group, if it captures.
    capture: Option<u32>,
    branches: Vec<Item>,
    /// The branch being read.
    branch: Vec<Item>,
}

#[derive(Debug)]
struct Parser<'p> {
    pattern: &'p str,
    /// The next byte to be read.
    at: usize,
    flags: Flags,
    names: Names,
    outer: Vec<Group>,
    group: Group,
    groups: Vec<Option<String>>,
    items: usize,
    ranges: usize,
}

impl<'p> Parser<'p> {
    fn parse(&mut self) -> Result<Parsed> {
        // Where the repeat directly before began, for repeats cannot be repeated.
        let mut repeat_before = None;
        while let Some(c) = self.peek() {
            let start = self.at;
            let before = repeat_before.take();
            match c {
                '(' if self.rest().starts_with("(?") => self.open_special()?,
                '(' => {
                    self.at += 1;
                    self.open(true, None, self.flags);
                }
                ')' => {
                    self.at += 1;
                    self.close()?;
                }
                '|' => {
                    self.at += 1;
                    self.end_branch()?;
                }
                '^' => self.look(if self.flags.multi_line { Look::LineStart } else { Look::TextStart }, 1)?,
                '$' => self.look(if self.flags.multi_line { Look::LineEnd } else { Look::TextEnd }, 1)?,
                '.' => {
                    self.at += 1;
                    self.push_class(Class::any(self.flags.dot_newline))?;
                }
                '[' => {
                    let class = self.class()?;
                    self.push_class(class)?;
                }
                '\\' => self.escape()?,
                '*' | '+' | '?' => {
                    self.at += 1;
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(start, before, min, max)?;
                    repeat_before = Some(start);
                }
                '{' if let Some((min, max)) = self.counts() => {
                    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || min > max) {
                        return Err(self.malformed("invalid repeat count", start));
                    }
                    self.repeat(start, before, min, max)?;
                    if (min >= 2 || max.is_some_and(|max| max >= 2)) && self.last_repeats() > MAX_REPEAT {
                        return Err(self.malformed("invalid repeat count", start));
                    }
                    repeat_before = Some(start);
                }
                c => {
                    self.at += c.len_utf8();
                    self.push_char(c)?;
                }
            }
        }
        if !self.outer.is_empty() {
            return Err(self.malformed("missing closing )", 0));
        }
        let group = std::mem::take(&mut self.group);
        let Item { node, height, .. } = self.end_group(group)?;
        Ok(Parsed { node, height, groups: std::mem::take(&mut self.groups) })
    }

    // What is read.

    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// An error that quotes the pattern from `start` up to what was read last.
    #[cold]
    fn malformed(&self, reason: &'static str, start: usize) -> Error {
        let fragment = self.pattern.get(start..self.at).unwrap_or_default().to_owned();
        Repr::Syntax { reason, fragment }.into()
    }

    #[cold]
    fn too_large(&self) -> Error {
        Repr::TooLarge { pattern: self.pattern.to_owned() }.into()
    }

    // Items.

    /// Adds an item to the branch.
    fn push(&mut self, item: Item) -> Result<()> {
        if let Node::Class(class) = &item.node {
            self.charge(class.ranges().len())?;
        }
        self.count_item()?;
        self.check_height(&item)?;
        self.group.branch.push(item);
        Ok(())
    }

    fn count_item(&mut self) -> Result<()> {
        self.items += 1;
        if self.items > MAX_ITEMS { Err(self.too_large()) } else { Ok(()) }
    }

    /// Counts ranges of classes.
    fn charge(&mut self, ranges: usize) -> Result<()> {
        self.ranges = self.ranges.saturating_add(ranges);
        if self.ranges > MAX_RANGES { Err(self.too_large()) } else { Ok(()) }
    }

    fn check_height(&self, item: &Item) -> Result<()> {
        if item.height > MAX_HEIGHT {
            return Err(Repr::TooDeep { pattern: self.pattern.to_owned() }.into());
        }
        Ok(())
    }

    fn push_char(&mut self, c: char) -> Result<()> {
        let fold = self.flags.fold;
        if let Some(Item { node: Node::Literal { text, fold: before }, open: true, .. }) = self.group.branch.last_mut()
            && *before == fold
        {
            text.push(c);
            // Each becomes a class of its own.
            return if fold { self.count_item() } else { Ok(()) };
        }
        self.push(Item { open: true, ..Item::leaf(Node::Literal { text: c.to_string(), fold }) })
    }

    fn push_class(&mut self, class: Class) -> Result<()> {
        self.push(Item::leaf(ast::one_of(class)))
    }

    fn look(&mut self, look: Look, len: usize) -> Result<()> {
        self.at += len;
        self.push(Item::leaf(Node::Look(look)))
    }

    // Repeats.

    /// Reads `{n}`, `{n,}` or `{n,m}`, if it is one. Numbers that are too large are [`u32::MAX`].
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let rest = self.rest();
        let (min, after) = number(rest.strip_prefix('{')?)?;
        let (max, after) = match after.strip_prefix(',') {
            None => (Some(min), after),
            Some(after) if after.starts_with('}') => (None, after),
            Some(after) => {
                let (max, after) = number(after)?;
                (Some(max), after)
            }
        };
        let after = after.strip_prefix('}')?;
        self.at += rest.len() - after.len();
        Some((min, max))
    }

    /// Repeats the last item; `start` is where the repeat begins, `before` where one directly before it did.
    fn repeat(&mut self, start: usize, before: Option<usize>, min: u32, max: Option<u32>) -> Result<()> {
        let greedy = !self.eat('?') ^ self.flags.swap_greed;
        if let Some(before) = before {
            return Err(self.malformed("invalid nested repetition operator", before));
        }
        let Some(mut item) = self.group.branch.pop() else {
            return Err(self.malformed("missing argument to repetition operator", start));
        };
        if let Node::Literal { text, fold } = &mut item.node
            && item.open
            && let Some(last) = text.pop()
        {
            let fold = *fold;
            if !text.is_empty() {
                self.group.branch.push(item);
            }
            item = Item::leaf(Node::Literal { text: last.to_string(), fold });
        }
        // `x*` and the like multiply nothing, nor do {0} and {0,}; what {0} repeats does not count at all.
        let repeats = match (min, max) {
            (0, Some(0)) => 1,
            (min, max) => item.repeats.saturating_mul(max.unwrap_or(min).max(1)),
        };
        self.push(Item {
            height: item.height + 1,
            repeats,
            open: false,
            node: Node::Repeat { min, max, greedy, sub: Box::new(item.node) },
        })
    }

    fn last_repeats(&self) -> u32 {
        self.group.branch.last().map_or(0, |item| item.repeats)
    }

    // Groups.

    fn open(&mut self, capture: bool, name: Option<String>, flags: Flags) {
        let capture = capture.then(|| {
            self.groups.push(name);
            u32::try_from(self.groups.len()).unwrap_or(u32::MAX)
        });
        let group = Group { flags: self.flags, capture, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.group, group));
        self.flags = flags;
    }

    /// Reads what begins with `(?`: a named group, or flags with or without a group.
    fn open_special(&mut self) -> Result<()> {
        let start = self.at;
        let rest = self.rest();
        let name = rest.strip_prefix("(?P<").filter(|name| !name.is_empty());
        let name = name.or_else(|| rest.strip_prefix("(?<").filter(|name| !name.is_empty()));
        if let Some(name) = name {
            let Some(end) = name.find('>') else {
                self.at = self.pattern.len();
                return Err(self.malformed("invalid named capture", start));
            };
            let name = name.get(..end).unwrap_or_default();
            self.at += rest.find('>').unwrap_or_default() + 1;
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(self.malformed("invalid named capture", start));
            }
            self.open(true, Some(name.to_owned()), self.flags);
            return Ok(());
        }
        self.at += 2;
        let mut flags = self.flags;
        let mut set = true;
        let mut dangling_minus = false;
        while let Some(c) = self.next() {
            match c {
                'i' => flags.fold = set,
                'm' => flags.multi_line = set,
                's' => flags.dot_newline = set,
                'U' => flags.swap_greed = set,
                '-' if set => set = false,
                ':' if !dangling_minus => {
                    self.open(false, None, flags);
                    return Ok(());
                }
                ')' if !dangling_minus => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            dangling_minus = c == '-';
        }
        Err(self.malformed("invalid or unsupported Perl syntax", start))
    }

    fn close(&mut self) -> Result<()> {
        let Some(outer) = self.outer.pop() else {
            self.at = self.pattern.len();
            return Err(self.malformed("unexpected )", 0));
        };
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.flags;
        let capture = group.capture;
        // The branch that is not finished belongs to the group, of which `end_group` takes care.
        let item = self.end_group(group)?;
        self.push(match capture {
            None => item,
            Some(index) => Item {
                height: item.height + 1,
                repeats: item.repeats,
                open: false,
                node: Node::Capture { index, sub: Box::new(item.node) },
            },
        })
    }

    fn end_branch(&mut self) -> Result<()> {
        let branch = std::mem::take(&mut self.group.branch);
        let item = self.concat(branch)?;
        self.group.branches.push(item);
        Ok(())
    }

    fn end_group(&mut self, mut group: Group) -> Result<Item> {
        let last = self.concat(group.branch)?;
        if group.branches.is_empty() {
            return Ok(last);
        }
        group.branches.push(last);
        self.alternate(group.branches)
    }

    fn concat(&self, items: Vec<Item>) -> Result<Item> {
        let mut parts = Parts::default();
        for item in items {
            parts.count(&item, matches!(item.node, Node::Concat(_)));
            ast::append(&mut parts.nodes, item.node);
        }
        self.joined(parts, Node::Concat)
    }

    fn alternate(&self, items: Vec<Item>) -> Result<Item> {
        let mut parts = Parts::default();
        for item in items {
            parts.count(&item, matches!(item.node, Node::Alternate(_)));
            ast::add_choice(&mut parts.nodes, item.node);
        }
        ast::unite_chars(&mut parts.nodes);
        self.joined(parts, Node::Alternate)
    }

    fn joined(&self, mut parts: Parts, join: fn(Vec<Node>) -> Node) -> Result<Item> {
        let item = match parts.nodes.len() {
            0 => Item::leaf(Node::Empty),
            // A node alone may itself be of the other kind.
            1 => Item {
                height: parts.height.max(1),
                repeats: parts.repeats.max(1),
                open: false,
                node: parts.nodes.pop().unwrap_or(Node::Empty),
            },
            _ => Item { height: parts.height + 1, repeats: parts.repeats, open: false, node: join(parts.nodes) },
        };
        self.check_height(&item)?;
        Ok(item)
    }
}

/// Nodes to be joined.
#[derive(Debug, Default)]
struct Parts {
    nodes: Vec<Node>,
    height: u32,
    repeats: u32,
}

impl Parts {
    fn count(&mut self, item: &Item, joined: bool) {
        self.height = self.height.max(item.height - u32::from(joined));
        self.repeats = self.repeats.max(item.repeats);
    }
}

/// A decimal number without leading zeros at the start of `text`, and what follows.
fn number(text: &str) -> Option<(u32, &str)> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(..text.len() - after.len())?;
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), after))
}

#[cfg(test)]
mod tests;
