//! Dictionaries of an open file that stay decoded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::values::Dictionary;

/// Those that came first, as many as fit: a file's dictionaries seldom change places in importance.
#[derive(Debug)]
pub(crate) struct Dictionaries {
    most_bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Default, Debug)]
struct Kept {
    bytes: u64,
    /// By row group and column.
    by_place: HashMap<(usize, usize), Arc<Dictionary>>,
}

impl Dictionaries {
    pub(crate) fn new(most_bytes: u64) -> Self {
        Self { most_bytes, kept: Mutex::default() }
    }

    pub(crate) const fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, row_group: usize, column: usize) -> Option<Arc<Dictionary>> {
        self.kept().by_place.get(&(row_group, column)).cloned()
    }

    /// Keeps it if there is room.
    pub(crate) fn keep(&self, row_group: usize, column: usize, dictionary: &Arc<Dictionary>) {
        const OVERHEAD: u64 = 128;
        let bytes = dictionary.memory_size().saturating_add(OVERHEAD);
        let mut kept = self.kept();
        let sum = kept.bytes.saturating_add(bytes);
        if sum <= self.most_bytes && kept.by_place.insert((row_group, column), Arc::clone(dictionary)).is_none() {
            kept.bytes = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_fit() {
        let dictionary = |entry: &str| {
            let body = [&(entry.len() as u32).to_le_bytes(), entry.as_bytes()].concat();
            Arc::new(Dictionary::plain(&body, 1).unwrap())
        };
        let kept = Dictionaries::new(400);
        kept.keep(0, 1, &dictionary(&"a".repeat(100)));
        kept.keep(0, 1, &dictionary(&"a".repeat(100)));
        kept.keep(0, 2, &dictionary(&"b".repeat(100)));
        kept.keep(1, 1, &dictionary("c"));
        let has = |group, column| kept.get(group, column).map(|d| d.get(0).unwrap()[0]);
        assert_eq!([has(0, 1), has(0, 2), has(1, 1), has(0, 0)], [Some(b'a'), None, Some(b'c'), None]);
    }
}
