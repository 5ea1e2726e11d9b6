//! Numbered places for values that come and go: what the lock table keeps its locks and resources in.
//!
//! A place that was freed is the next one given out, so that numbers stay small and the memory is as
//! large as the most that was ever there at once. Which number a value gets depends on nothing but the
//! order of insertions and removals: two tables that took the same steps are equal.
//!
//! Places come in chunks that never move. A vector would double: up to half of it unused, and once in a
//! while a step that copies a hundred megabytes before it answers.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::ops::{Index, IndexMut};

/// The number of a place. `Option<Key>` is as small as the key itself.
pub(crate) trait Key: Copy {
    /// The key of this place, counted from 1.
    fn from_place(place: NonZeroU32) -> Self;
    /// The place, counted from 1.
    fn place(self) -> NonZeroU32;
}

/// Declares a key type: keys of different slabs cannot be mixed up.
macro_rules! key {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $name(core::num::NonZeroU32);

        impl $crate::slab::Key for $name {
            fn from_place(place: core::num::NonZeroU32) -> Self {
                Self(place)
            }

            fn place(self) -> core::num::NonZeroU32 {
                self.0
            }
        }
    };
}
pub(crate) use key;

/// The places of a chunk: some 90 KiB of locks. A server with one lock pays for one chunk, and one with
/// a million finds its chunk through 8 KiB of pointers, which stay in the processor's first cache.
const CHUNK_PLACES: usize = 1 << 10;

type Chunk<T> = Box<[Place<T>; CHUNK_PLACES]>;

/// Values by number.
#[derive(Clone, Debug)]
pub(crate) struct Slab<K, T> {
    chunks: Vec<Chunk<T>>,
    /// How many places were ever given out.
    used: usize,
    /// The place freed last; each free place names the one freed before it.
    free: Option<NonZeroU32>,
    len: usize,
    key: PhantomData<K>,
}

#[derive(Clone, Debug)]
enum Place<T> {
    Taken(T),
    Free(Option<NonZeroU32>),
}

impl<K: Key, T> Slab<K, T> {
    /// A slab with nothing in it.
    pub(crate) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            used: 0,
            free: None,
            len: 0,
            key: PhantomData,
        }
    }

    /// How many values are in it.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Puts `value` in a free place.
    ///
    /// # Panics
    /// With 2^32 values, which no machine has the memory for.
    pub(crate) fn insert(&mut self, value: T) -> K {
        self.len += 1;
        if let Some(number) = self.free {
            let place = self.place_mut(number);
            let Place::Free(next) = core::mem::replace(place, Place::Taken(value)) else {
                unreachable!("the free list names free places only")
            };
            self.free = next;
            return K::from_place(number);
        }
        if self.used == self.chunks.len() * CHUNK_PLACES {
            self.chunks.push(free_chunk());
        }
        self.used += 1;
        let number = u32::try_from(self.used).ok().and_then(NonZeroU32::new);
        let number = number.expect("fewer than 2^32 places");
        *self.place_mut(number) = Place::Taken(value);
        K::from_place(number)
    }

    /// Takes the value of `key` out.
    ///
    /// # Panics
    /// Where there is none: keys are never kept beyond their value.
    pub(crate) fn remove(&mut self, key: K) -> T {
        let free = Place::Free(self.free);
        let Place::Taken(value) = core::mem::replace(self.place_mut(key.place()), free) else {
            panic!("a key does not outlive its value")
        };
        self.free = Some(key.place());
        self.len -= 1;
        value
    }

    /// The value of `key`, if there is one.
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let (chunk, within) = position(key.place());
        match &self.chunks.get(chunk)?[within] {
            Place::Taken(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// All values with their keys, in the order of the places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .take(self.used)
            .zip(1_u32..)
            .filter_map(|(place, number)| match place {
                Place::Taken(value) => NonZeroU32::new(number).map(|n| (K::from_place(n), value)),
                Place::Free(_) => None,
            })
    }

    fn place_mut(&mut self, number: NonZeroU32) -> &mut Place<T> {
        let (chunk, within) = position(number);
        &mut self.chunks[chunk][within]
    }
}

/// The chunk of a place, and where it is in there.
const fn position(number: NonZeroU32) -> (usize, usize) {
    let index = number.get() as usize - 1;
    (index / CHUNK_PLACES, index % CHUNK_PLACES)
}

/// A chunk with nothing in it, made where it stays: it is too large for a stack.
fn free_chunk<T>() -> Chunk<T> {
    let places: Vec<Place<T>> = (0..CHUNK_PLACES).map(|_| Place::Free(None)).collect();
    let places = places.into_boxed_slice().try_into();
    places.unwrap_or_else(|_| unreachable!("it has as many places as a chunk"))
}

impl<K: Key, T> Index<K> for Slab<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        self.get(key).expect("a key does not outlive its value")
    }
}

impl<K: Key, T> IndexMut<K> for Slab<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        match self.place_mut(key.place()) {
            Place::Taken(value) => value,
            Place::Free(_) => panic!("a key does not outlive its value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    key!(
        /// A key.
        Number
    );

    #[test]
    fn the_place_freed_last_is_given_out_first() {
        let mut slab: Slab<Number, char> = Slab::new();
        let [a, b, c] = ['a', 'b', 'c'].map(|value| slab.insert(value));
        assert_eq!((slab.remove(a), slab.remove(c)), ('a', 'c'));
        assert_eq!((slab.len(), slab[b]), (1, 'b'));
        assert_eq!(slab.insert('d'), c);
        assert_eq!(slab.insert('e'), a);
        slab[b] = 'f';
        let all: Vec<_> = slab.iter().map(|(_, &value)| value).collect();
        assert_eq!(all, ['e', 'f', 'd']);
    }

    #[test]
    fn values_stay_where_they_are_while_it_grows() {
        let mut slab: Slab<Number, usize> = Slab::new();
        let first = slab.insert(0);
        let address: *const usize = &raw const slab[first];
        let keys: Vec<Number> = (1..=5 * CHUNK_PLACES).map(|n| slab.insert(n)).collect();
        assert_eq!(&raw const slab[first], address);
        assert_eq!(slab.chunks.len(), 6);
        assert!(keys.iter().zip(1..).all(|(&key, n)| slab[key] == n));
        assert!(slab.iter().map(|(_, &n)| n).eq(0..=5 * CHUNK_PLACES));
        assert_eq!(slab.len(), 5 * CHUNK_PLACES + 1);
    }

    #[test]
    #[should_panic(expected = "outlive")]
    fn a_stale_key_is_a_fault() {
        let mut slab: Slab<Number, char> = Slab::new();
        let a = slab.insert('a');
        slab.remove(a);
        slab.remove(a);
    }

    #[test]
    fn an_optional_key_costs_nothing() {
        assert_eq!(size_of::<Option<Number>>(), 4);
    }
}
