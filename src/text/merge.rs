//! The merging loop that byte-pair and SentencePiece encoders share: neighbours are joined, best pair first.

use std::{cmp::Ordering, collections::BinaryHeap};

/// No neighbour.
const NONE: u32 = u32::MAX;

/// A stretch of the word, in a doubly linked list.
#[derive(Clone, Copy)]
pub(super) struct Symbol<S> {
    pub value: S,
    previous: u32,
    next: u32,
    /// Joined into its left neighbour.
    gone: bool,
    /// Counts changes, so that queued pairs of older values are known to be stale.
    version: u32,
}

struct Pair<P, S> {
    priority: P,
    left: u32,
    versions: (u32, u32),
    right: u32,
    joined: S,
}

impl<P: Ord, S> Ord for Pair<P, S> {
    /// The heap gives the greatest: highest priority, then leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority).then(other.left.cmp(&self.left))
    }
}
impl<P: Ord, S> PartialOrd for Pair<P, S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<P: Ord, S> PartialEq for Pair<P, S> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<P: Ord, S> Eq for Pair<P, S> {}

/// Joins neighbours for as long as `join` names a priority and a joined value for some pair; the highest priority
/// goes first, the leftmost among equals. `n` symbols cost O(n log n) whatever they are.
pub(super) fn merge<P: Ord, S: Copy>(
    values: impl Iterator<Item = S>,
    join: impl Fn(S, S) -> Option<(P, S)>,
    mut each: impl FnMut(S),
) {
    let mut symbols: Vec<Symbol<S>> = Vec::with_capacity(values.size_hint().0);
    for value in values {
        let i = symbols.len() as u32;
        symbols.push(Symbol { value, previous: i.wrapping_sub(1), next: i + 1, gone: false, version: 0 });
    }
    let Some(last) = symbols.last_mut() else { return };
    last.next = NONE;

    let mut queue = BinaryHeap::new();
    let pair = |symbols: &[Symbol<S>], left: u32, right: u32| {
        let (l, r) = (&symbols[left as usize], &symbols[right as usize]);
        let (priority, joined) = join(l.value, r.value)?;
        Some(Pair { priority, left, right, versions: (l.version, r.version), joined })
    };
    for left in 1..symbols.len() as u32 {
        queue.extend(pair(&symbols, left - 1, left));
    }
    while let Some(best) = queue.pop() {
        let right = symbols[best.right as usize];
        let left = &mut symbols[best.left as usize];
        if left.gone || right.gone || (left.version, right.version) != best.versions {
            continue;
        }
        left.value = best.joined;
        left.version += 1;
        left.next = right.next;
        let previous = left.previous;
        symbols[best.right as usize].gone = true;
        if right.next != NONE {
            symbols[right.next as usize].previous = best.left;
            queue.extend(pair(&symbols, best.left, right.next));
        }
        if previous != NONE {
            queue.extend(pair(&symbols, previous, best.left));
        }
    }
    symbols.iter().filter(|s| !s.gone).for_each(|s| each(s.value));
}
