//! Patterns that are nothing but literals and `.*`.

use memchr::memmem::Finder;

use crate::ast::Node;

/// A part of a pattern: literals and gaps take turns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    Text(String),
    /// As many characters or more, whichever they are.
    Gap(u32),
}

/// How much an expansion may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Of what there may be so many in the end, and at each step on the way.
    pub(crate) count: usize,
    /// What may be made in all, in bytes.
    pub(crate) bytes: usize,
    /// Whether [`Part::Gap`] may be part of the outcome.
    pub(crate) gaps: bool,
}

/// What a plain `node` matches as alternatives, ascending and without duplicates; none if these are too many or it
/// takes an automaton.
pub(crate) fn expand(node: &Node, mut budget: Budget) -> Option<Vec<Vec<Part>>> {
    budget.expand(node)
}

impl Budget {
    fn expand(&mut self, node: &Node) -> Option<Vec<Vec<Part>>> {
        match node {
            Node::Empty => Some(vec![Vec::new()]),
            Node::Literal { text, fold: false } => {
                self.pay(text.len())?;
                Some(vec![vec![Part::Text(text.clone())]])
            }
            Node::Class(class) => {
                let chars: Vec<_> = class.chars().take(self.count.saturating_add(1)).collect();
                self.pay(chars.len())?;
                (chars.len() <= self.count)
                    .then(|| chars.into_iter().map(|c| vec![Part::Text(c.to_string())]).collect())
            }
            Node::Repeat { min, max: None, sub, .. } => match &**sub {
                Node::Class(class) if class.is_everything() => self.gaps.then(|| vec![vec![Part::Gap(*min)]]),
                _ => None,
            },
            Node::Repeat { min, max: Some(max), sub, .. } => {
                let once = self.expand(sub)?;
                let mut exactly = vec![Vec::new()];
                let mut all = Vec::new();
                for times in 0..=*max {
                    if times >= *min {
                        self.add(&mut all, exactly.clone())?;
                    }
                    if times < *max {
                        exactly = self.product(&exactly, &once)?;
                    }
                }
                Some(sorted(all))
            }
            Node::Concat(nodes) => {
                let mut whole = vec![Vec::new()];
                for node in nodes {
                    let part = self.expand(node)?;
                    whole = self.product(&whole, &part)?;
                }
                Some(whole)
            }
            Node::Alternate(nodes) => {
                let mut all = Vec::new();
                for node in nodes {
                    let choice = self.expand(node)?;
                    self.add(&mut all, choice)?;
                }
                Some(sorted(all))
            }
            Node::Look(_) | Node::Literal { fold: true, .. } | Node::Capture { .. } => None,
        }
    }

    fn add(&self, all: &mut Vec<Vec<Part>>, mut more: Vec<Vec<Part>>) -> Option<()> {
        all.append(&mut more);
        (all.len() <= self.count.saturating_mul(2)).then_some(())
    }

    /// Every one of `left` followed by every one of `right`.
    fn product(&mut self, left: &[Vec<Part>], right: &[Vec<Part>]) -> Option<Vec<Vec<Part>>> {
        if left.len().saturating_mul(right.len()) > self.count.saturating_mul(2) {
            return None;
        }
        let mut all = Vec::with_capacity(left.len() * right.len());
        for before in left {
            for after in right {
                self.pay(before.iter().chain(after).map(size).sum())?;
                let mut both = before.clone();
                for part in after {
                    match (both.last_mut(), part) {
                        (Some(Part::Text(text)), Part::Text(more)) => text.push_str(more),
                        (Some(Part::Gap(gap)), Part::Gap(more)) => *gap = gap.saturating_add(*more),
                        (_, part) => both.push(part.clone()),
                    }
                }
                all.push(both);
            }
        }
        let all = sorted(all);
        (all.len() <= self.count).then_some(all)
    }

    fn pay(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.checked_sub(bytes.saturating_add(1))?;
        Some(())
    }
}

fn size(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.len(),
        Part::Gap(_) => 1,
    }
}

fn sorted(mut all: Vec<Vec<Part>>) -> Vec<Vec<Part>> {
    all.sort_unstable();
    all.dedup();
    all
}

/// An alternative of a pattern, ready to match: `prefix (gap literal)* gap suffix`.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    prefix: String,
    suffix: String,
    /// Gaps, each with the literal after it.
    inner: Vec<(u32, Finder<'static>)>,
    /// The gap before the suffix; none if there is no gap at all, and the prefix is all that matches.
    last_gap: Option<u32>,
}

impl Glob {
    pub(crate) fn new(parts: &[Part]) -> Self {
        let (mut glob, parts) = match parts {
            [Part::Text(text), parts @ ..] => (Self::of(text), parts),
            parts => (Self::of(""), parts),
        };
        let mut gap = None;
        for (i, part) in parts.iter().enumerate() {
            match part {
                Part::Gap(min) => gap = Some(*min),
                Part::Text(text) if i + 1 == parts.len() => text.clone_into(&mut glob.suffix),
                Part::Text(text) => {
                    glob.inner.push((gap.unwrap_or_default(), Finder::new(text).into_owned()));
                }
            }
        }
        glob.last_gap = gap;
        glob
    }

    fn of(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), suffix: String::new(), inner: Vec::new(), last_gap: None }
    }

    /// Whether the whole of `value` matches. Each literal is taken where it comes first, which leaves the most to the
    /// literals after it, for no gap has an upper bound.
    pub(crate) fn is_match(&self, value: &str) -> bool {
        let Some(last_gap) = self.last_gap else { return value == self.prefix };
        let Some(rest) = value.strip_prefix(&*self.prefix) else { return false };
        let Some(mut rest) = rest.strip_suffix(&*self.suffix) else { return false };
        for (gap, literal) in &self.inner {
            let Some(after_gap) = skip(rest, *gap) else { return false };
            let Some(found) = literal.find(after_gap.as_bytes()) else { return false };
            let Some(after) = after_gap.get(found + literal.needle().len()..) else { return false };
            rest = after;
        }
        skip(rest, last_gap).is_some()
    }
}

/// `text` without its first `count` characters, if it has as many.
fn skip(text: &str, count: u32) -> Option<&str> {
    let mut chars = text.chars();
    for _ in 0..count {
        chars.next()?;
    }
    Some(chars.as_str())
}
