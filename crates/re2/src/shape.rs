//! What can be said of a pattern's matches without running an automaton.
//!
//! It is taken for granted throughout that the pattern matches whole strings.

use crate::{
    ast::{self, Look, Node},
    class::Class,
};

/// `node` without what does not matter to whether it matches a whole string: groups, greed, literals that ignore case
/// (they become classes), and anchors where they always hold.
pub(crate) fn plain(node: &Node) -> Node {
    simplify(node, true, true)
}

/// `start`: nothing but the start of the string can be before `node`; `end`: likewise after it.
fn simplify(node: &Node, start: bool, end: bool) -> Node {
    match node {
        Node::Look(Look::TextStart | Look::LineStart) if start => Node::Empty,
        Node::Look(Look::TextEnd | Look::LineEnd) if end => Node::Empty,
        Node::Empty | Node::Look(_) | Node::Class(_) | Node::Literal { fold: false, .. } => node.clone(),
        Node::Literal { text, fold: true } => concat(text.chars().map(|c| {
            let class = Class::same_fold(c);
            if class.single().is_some() {
                Node::Literal { text: c.to_string(), fold: false }
            } else {
                Node::Class(class)
            }
        })),
        Node::Capture { sub, .. } => simplify(sub, start, end),
        Node::Repeat { min, max, sub, .. } => {
            let once = *max == Some(1);
            repeat(simplify(sub, start && once, end && once), *min, *max)
        }
        Node::Concat(nodes) => {
            let wide = |node: &Node| !is_zero_width(node);
            let first = nodes.iter().position(wide).unwrap_or(nodes.len());
            let last = nodes.iter().rposition(wide).unwrap_or(0);
            concat(nodes.iter().enumerate().map(|(i, node)| simplify(node, start && i <= first, end && i >= last)))
        }
        Node::Alternate(nodes) => {
            let mut choices = Vec::with_capacity(nodes.len());
            for node in nodes {
                let choice = simplify(node, start, end);
                if any_chars(&choice) == Some((0, None)) {
                    return choice;
                }
                ast::add_choice(&mut choices, choice);
            }
            ast::unite_chars(&mut choices);
            if choices.len() == 1 { choices.remove(0) } else { Node::Alternate(choices) }
        }
    }
}

fn concat(nodes: impl Iterator<Item = Node>) -> Node {
    let mut parts = Vec::new();
    for node in nodes {
        match (parts.last().and_then(any_chars), any_chars(&node)) {
            (_, _) if node == Node::Empty => {}
            // Neither takes a bound from the other.
            (Some((min, max)), Some((more, more_max))) if max.is_none() || more_max.is_none() => {
                parts.pop();
                parts.push(Node::Repeat {
                    min: min.saturating_add(more),
                    max: None,
                    greedy: true,
                    sub: Box::new(Node::Class(Class::any(true))),
                });
            }
            _ => ast::append(&mut parts, node),
        }
    }
    match parts.len() {
        0 => Node::Empty,
        1 => parts.remove(0),
        _ => Node::Concat(parts),
    }
}

fn repeat(sub: Node, min: u32, max: Option<u32>) -> Node {
    match (sub, min, max) {
        (Node::Empty, _, _) | (_, _, Some(0)) => Node::Empty,
        (sub, 1, Some(1)) => sub,
        // (x*)+ and the like: what is inside takes any number already.
        (Node::Repeat { min: inner @ (0 | 1), max: None, sub, .. }, min, _) => {
            Node::Repeat { min: inner * min, max: None, greedy: true, sub }
        }
        (sub, min, max) => Node::Repeat { min, max, greedy: true, sub: Box::new(sub) },
    }
}

/// How many characters `node` matches, at least and at most, if it takes any there are.
fn any_chars(node: &Node) -> Option<(u32, Option<u32>)> {
    match node {
        Node::Class(class) if class.is_everything() => Some((1, Some(1))),
        Node::Repeat { min, max, sub, .. } if matches!(&**sub, Node::Class(class) if class.is_everything()) => {
            Some((*min, *max))
        }
        _ => None,
    }
}

fn is_zero_width(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Look(_) => true,
        Node::Literal { .. } | Node::Class(_) => false,
        Node::Capture { sub, .. } => is_zero_width(sub),
        Node::Repeat { max, sub, .. } => *max == Some(0) || is_zero_width(sub),
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().all(is_zero_width),
    }
}

/// The longest affix that is told of: repeats can make one much longer than the pattern.
const MAX_AFFIX: usize = 1 << 12;

/// Which end of a string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Start,
    End,
}

/// What every match of a plain `node` begins or ends with; and whether there is nothing else to a match.
pub(crate) fn affix(node: &Node, at: End) -> (String, bool) {
    let add = |affix: &mut String, more: &str| match at {
        End::Start => affix.push_str(more),
        End::End => affix.insert_str(0, more),
    };
    match node {
        Node::Empty => (String::new(), true),
        // Restricts what matches, but adds nothing.
        Node::Look(_) => (String::new(), true),
        Node::Literal { text, fold: false } => (text.clone(), true),
        Node::Literal { .. } | Node::Class(_) => (String::new(), false),
        Node::Capture { sub, .. } => affix(sub, at),
        Node::Repeat { min: 0, .. } => (String::new(), false),
        Node::Repeat { min, max, sub, .. } => {
            let (once, exact) = affix(sub, at);
            if !exact || once.is_empty() {
                return (once, exact);
            }
            let times = usize::try_from(*min).unwrap_or(usize::MAX).min(MAX_AFFIX / once.len()).max(1);
            (once.repeat(times), Some(*min) == *max && usize::try_from(*min) == Ok(times))
        }
        Node::Concat(nodes) => {
            let mut whole = String::new();
            for i in 0..nodes.len() {
                let node = match at {
                    End::Start => nodes.get(i),
                    End::End => nodes.get(nodes.len() - 1 - i),
                };
                let (part, exact) = node.map(|node| affix(node, at)).unwrap_or_default();
                add(&mut whole, &part);
                if !exact || whole.len() > MAX_AFFIX && i + 1 < nodes.len() {
                    return (whole, false);
                }
            }
            (whole, true)
        }
        Node::Alternate(nodes) => {
            let mut affixes = nodes.iter().map(|node| affix(node, at));
            let (mut common, mut exact) = affixes.next().unwrap_or_default();
            for (other, other_exact) in affixes {
                let len = common_len(&common, &other, at);
                exact = exact && other_exact && len == common.len() && len == other.len();
                match at {
                    End::Start => common.truncate(len),
                    End::End => common = common.split_off(common.len() - len),
                }
            }
            (common, exact)
        }
    }
}

/// How many bytes of whole characters `a` and `b` have in common at that end.
fn common_len(a: &str, b: &str, at: End) -> usize {
    let same = |&(a, b): &(char, char)| a == b;
    match at {
        End::Start => a.chars().zip(b.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum(),
        End::End => a.chars().rev().zip(b.chars().rev()).take_while(same).map(|(c, _)| c.len_utf8()).sum(),
    }
}

/// Literals between the first and the last part of a plain `node`: every match contains them in this order, and they do
/// not overlap.
pub(crate) fn inner_literals(node: &Node) -> Vec<String> {
    match node {
        Node::Concat(nodes) => nodes
            .get(1..nodes.len().saturating_sub(1))
            .unwrap_or_default()
            .iter()
            .filter_map(|node| match node {
                Node::Literal { text, fold: false } => Some(text.clone()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
