//! Parsed patterns as `regex-automata` takes them.

use regex_automata::{meta, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{self, Hir};

use crate::{
    ast::{Look, Node},
    class::Class,
    error::{Repr, Result},
};

/// The most memory that the automaton's states may take in either direction: so much for any pattern, so much for each byte
/// of it, and so much at most, which is what Go's states may take. Caches come on top: 2 MiB each.
const MAX_BYTES: (usize, usize, usize) = (10 << 20, 128, 128 << 20);

/// Makes the automaton of what `pattern` says.
pub(crate) fn compile(pattern: &str, hir: &Hir, captures: WhichCaptures) -> Result<meta::Regex> {
    let (least, per_byte, most) = MAX_BYTES;
    let config = meta::Config::new()
        .which_captures(captures)
        .nfa_size_limit(Some(pattern.len().saturating_mul(per_byte).clamp(least, most)))
        // Of no use where matches begin at the start.
        .auto_prefilter(false);
    // The size is all that can be wrong.
    let automaton = meta::Builder::new().configure(config).build_from_hir(hir);
    automaton.map_err(|_| Repr::TooLarge { pattern: pattern.to_owned() }.into())
}

/// The meaning of `node`; with its groups if `captures`, which cost time and memory.
pub(crate) fn hir(node: &Node, captures: bool) -> Hir {
    match node {
        Node::Empty => Hir::empty(),
        Node::Literal { text, fold: false } => Hir::literal(text.as_bytes()),
        Node::Literal { text, fold: true } => Hir::concat(text.chars().map(|c| class(&Class::same_fold(c))).collect()),
        Node::Class(set) => class(set),
        Node::Look(look) => Hir::look(match look {
            Look::TextStart => hir::Look::Start,
            Look::TextEnd => hir::Look::End,
            Look::LineStart => hir::Look::StartLF,
            Look::LineEnd => hir::Look::EndLF,
            Look::WordBoundary => hir::Look::WordAscii,
            Look::NoWordBoundary => hir::Look::WordAsciiNegate,
        }),
        Node::Capture { sub, .. } if !captures => hir(sub, captures),
        // Names stay with us, for in Go two groups may have the same.
        Node::Capture { index, sub } => {
            Hir::capture(hir::Capture { index: *index, name: None, sub: Box::new(hir(sub, captures)) })
        }
        Node::Repeat { min, max, greedy, sub } => Hir::repetition(hir::Repetition {
            min: *min,
            max: *max,
            greedy: *greedy,
            sub: Box::new(hir(sub, captures)),
        }),
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(|node| hir(node, captures)).collect()),
        Node::Alternate(nodes) => Hir::alternation(nodes.iter().map(|node| hir(node, captures)).collect()),
    }
}

fn class(class: &Class) -> Hir {
    Hir::class(hir::Class::Unicode(class.to_hir()))
}
