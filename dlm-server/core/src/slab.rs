//! Numbered places for values that come and go: what the lock table keeps its locks and resources in.
//!
//! A place that was freed is the next one given out, so that numbers stay small and the memory is as
//! large as the most that was ever there at once. Which number a value gets depends on nothing but the
//! order of insertions and removals: two tables that took the same steps are equal.

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

/// Values by number.
#[derive(Clone, Debug)]
pub(crate) struct Slab<K, T> {
    places: Vec<Place<T>>,
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
            places: Vec::new(),
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
        if let Some(place) = self.free {
            let index = place.get() as usize - 1;
            let Place::Free(next) = self.places[index] else {
                unreachable!("the free list names free places only")
            };
            self.free = next;
            self.places[index] = Place::Taken(value);
            return K::from_place(place);
        }
        self.places.push(Place::Taken(value));
        let place = u32::try_from(self.places.len())
            .ok()
            .and_then(NonZeroU32::new);
        K::from_place(place.expect("fewer than 2^32 places"))
    }

    /// Takes the value of `key` out.
    ///
    /// # Panics
    /// Where there is none: keys are never kept beyond their value.
    pub(crate) fn remove(&mut self, key: K) -> T {
        let place = &mut self.places[key.place().get() as usize - 1];
        let Place::Taken(value) = core::mem::replace(place, Place::Free(self.free)) else {
            panic!("a key does not outlive its value")
        };
        self.free = Some(key.place());
        self.len -= 1;
        value
    }

    /// The value of `key`, if there is one.
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        match self.places.get(key.place().get() as usize - 1)? {
            Place::Taken(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// All values with their keys, in the order of the places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.places
            .iter()
            .zip(1_u32..)
            .filter_map(|(place, number)| match place {
                Place::Taken(value) => NonZeroU32::new(number).map(|n| (K::from_place(n), value)),
                Place::Free(_) => None,
            })
    }
}

impl<K: Key, T> Index<K> for Slab<K, T> {
    type Output = T;

    fn index(&self, key: K) -> &T {
        self.get(key).expect("a key does not outlive its value")
    }
}

impl<K: Key, T> IndexMut<K> for Slab<K, T> {
    fn index_mut(&mut self, key: K) -> &mut T {
        match &mut self.places[key.place().get() as usize - 1] {
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
