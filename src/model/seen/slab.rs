//! Items by number, and lists of them: what a large memory is made of. Nothing is ever copied to
//! grow, so that growing never takes the memory twice.

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

    /// The largest number that was ever given.
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
            // The first one grows, since small memories are copied often.
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

    /// The number of this item may be given again.
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

/// The first items of lists, by a hash; each item knows the next one of its list.
#[derive(Clone, Debug)]
pub(super) struct Heads(Vec<Id>);

impl Heads {
    /// At least this many, and a power of two. They cost memory when they are used.
    pub(super) fn new(many: usize) -> Self {
        Self(vec![NONE; many.next_power_of_two()])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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
