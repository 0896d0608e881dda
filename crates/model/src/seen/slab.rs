//! Items by number, and lists of them, for a large memory. Growing copies no item, so that it never needs the
//! memory twice.

/// The number of an item; 0 is none.
pub(super) type Id = u32;

/// No item.
pub(super) const NONE: Id = 0;

/// How many items are allocated at once.
const PIECE: usize = 1024;

/// Items, numbered from 1.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    pieces: Vec<Vec<T>>,
    free: Vec<Id>,
    last: Id,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
            last: NONE,
        }
    }
}

impl<T> Slab<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.last as usize - self.free.len()
    }

    /// The largest number ever used.
    pub(super) fn last(&self) -> Id {
        self.last
    }

    pub(super) fn add(&mut self, item: T) -> Id {
        if let Some(id) = self.free.pop() {
            *self.at(id) = item;
            return id;
        }
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(item),
            // The first one grows, because small memories are copied often.
            None => self.pieces.push(vec![item]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(item);
                self.pieces.push(piece);
            }
        }
        self.last += 1;
        self.last
    }

    /// The number of this item may be used again.
    pub(super) fn remove(&mut self, id: Id) {
        self.free.push(id);
    }

    pub(super) fn get(&self, id: Id) -> &T {
        let at = id as usize - 1;
        &self.pieces[at / PIECE][at % PIECE]
    }

    pub(super) fn at(&mut self, id: Id) -> &mut T {
        let at = id as usize - 1;
        &mut self.pieces[at / PIECE][at % PIECE]
    }
}

/// The most lists to begin with: 4 MiB of heads. Tests begin with few, and get more.
const AT_FIRST: usize = if cfg!(test) { 4 } else { 1 << 20 };

/// Lists of this many items are long.
const LONG: usize = 4;

/// The first items of lists, by a hash; each item knows the next one of its list.
#[derive(Clone, Debug)]
pub(super) struct Heads(Vec<Id>);

impl Heads {
    /// For this many items, two in each list; a large memory gets more lists as it fills. They take memory
    /// only when they are used.
    pub(super) fn of(items: usize) -> Self {
        let many = (items / 2).clamp(1, AT_FIRST);
        Self(vec![NONE; many.next_power_of_two()])
    }

    /// Whether lists of this many items are long.
    pub(super) fn are_few_for(&self, items: usize) -> bool {
        items > self.0.len() * LONG
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Doubles the lists. `next` returns the item that follows in the list and the hash, and notes the new
    /// next item.
    pub(super) fn grow(&mut self, mut next: impl FnMut(Id, Option<Id>) -> (Id, u64)) {
        let mut grown = Self(vec![NONE; self.0.len() * 2]);
        let mut list = Vec::new();
        for first in std::mem::take(&mut self.0) {
            let mut at = first;
            while at != NONE {
                let (behind, hash) = next(at, None);
                list.push((at, hash));
                at = behind;
            }
            // From the end, to keep the order.
            for (id, hash) in list.drain(..).rev() {
                let first = grown.first(hash);
                next(id, Some(*first));
                *first = id;
            }
        }
        *self = grown;
    }

    pub(super) fn first(&mut self, hash: u64) -> &mut Id {
        let mask = self.0.len() as u64 - 1;
        &mut self.0[(hash & mask) as usize]
    }

    pub(super) fn peek(&self, hash: u64) -> Id {
        self.0[(hash & (self.0.len() as u64 - 1)) as usize]
    }
}

/// A hash of a hash and a small number.
pub(super) fn mixed(hash: u64, number: u64) -> u64 {
    let mixed =
        (hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ mixed >> 32
}
