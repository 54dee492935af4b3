//! What a pattern says, once parsed.

use crate::class::Class;

/// A parsed pattern. It is at most [`MAX_HEIGHT`](crate::parser::MAX_HEIGHT) levels deep, so recursion is safe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    Empty,
    /// Never the empty string.
    Literal {
        text: String,
        fold: bool,
    },
    Class(Class),
    Look(Look),
    Capture {
        /// The first group is 1.
        index: u32,
        sub: Box<Node>,
    },
    Repeat {
        min: u32,
        /// None: no upper bound.
        max: Option<u32>,
        greedy: bool,
        sub: Box<Node>,
    },
    /// Contains no other.
    Concat(Vec<Node>),
    /// Contains no other. The first that matches wins.
    Alternate(Vec<Node>),
}

/// Adds `node` to the parts of a [`Node::Concat`]: literals side by side become one.
pub(crate) fn append(parts: &mut Vec<Node>, node: Node) {
    match (parts.last_mut(), node) {
        (_, Node::Concat(nodes)) => nodes.into_iter().for_each(|node| append(parts, node)),
        (Some(Node::Literal { text, fold }), Node::Literal { text: more, fold: fold_more }) if *fold == fold_more => {
            text.push_str(&more);
        }
        (_, node) => parts.push(node),
    }
}

/// Adds `node` to the choices of a [`Node::Alternate`]: empty ones side by side become one.
pub(crate) fn add_choice(choices: &mut Vec<Node>, node: Node) {
    match (choices.last(), node) {
        (_, Node::Alternate(nodes)) => nodes.into_iter().for_each(|node| add_choice(choices, node)),
        (Some(Node::Empty), Node::Empty) => {}
        (_, node) => choices.push(node),
    }
}

/// Makes one class of single characters and classes side by side.
pub(crate) fn unite_chars(choices: &mut Vec<Node>) {
    let mut united: Vec<Node> = Vec::with_capacity(choices.len());
    // The ranges of all choices that are to be united with the last of `united`.
    let mut run: Option<Vec<(u32, u32)>> = None;
    for node in choices.drain(..) {
        match (one_char(&node), &mut run) {
            (Some(class), Some(ranges)) => {
                ranges.extend_from_slice(class.ranges());
                // Made a class when the run ends, for it may be long.
                if let Some(last) = united.last_mut() {
                    *last = Node::Class(Class::default());
                }
            }
            (Some(class), None) => {
                run = Some(class.ranges().to_vec());
                united.push(node);
            }
            (None, _) => {
                end_run(&mut united, run.take());
                united.push(node);
            }
        }
    }
    end_run(&mut united, run);
    *choices = united;
}

fn end_run(united: &mut [Node], ranges: Option<Vec<(u32, u32)>>) {
    if let Some(last @ Node::Class(_)) = united.last_mut() {
        *last = one_of(Class::of(ranges.unwrap_or_default()));
    }
}

/// A node that matches one character of `class`: a literal, if there is but one.
pub(crate) fn one_of(class: Class) -> Node {
    match class.single().and_then(char::from_u32) {
        Some(c) => Node::Literal { text: c.to_string(), fold: false },
        None => Node::Class(class),
    }
}

/// The characters that `node` matches, if it always matches just one.
fn one_char(node: &Node) -> Option<Class> {
    match node {
        Node::Class(class) => Some(class.clone()),
        Node::Literal { text, fold } => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) if *fold => Some(Class::same_fold(c)),
                (Some(c), None) => Some(Class::of(vec![(c.into(), c.into())])),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A condition on a place between characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

/// A pattern and its groups.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) node: Node,
    pub(crate) height: u32,
    /// The names of the groups in the order of their parentheses, without the whole match. A name may occur twice.
    pub(crate) groups: Vec<Option<String>>,
}
