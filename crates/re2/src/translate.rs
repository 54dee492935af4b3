//! Parsed patterns as `regex-automata` takes them.

use regex_syntax::hir::{self, Hir};

use crate::{
    ast::{Look, Node},
    class::Class,
};

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
