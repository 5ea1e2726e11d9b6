//! A resource's name as a resource keeps it: short ones in place.

use alloc::boxed::Box;

use crate::ids::ResourceName;

/// Names up to this long are kept in place; glocks have 24 bytes.
const SHORT_BYTES_MAX: usize = 30;

/// A name in 32 bytes, where [`ResourceName`] has 65.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// The bytes, and how many of them count.
    Short(u8, [u8; SHORT_BYTES_MAX]),
    /// Longer than that.
    Long(Box<ResourceName>),
}

const _: () = assert!(size_of::<Name>() == 32);

impl Name {
    pub(crate) fn new(name: &ResourceName) -> Self {
        let bytes = name.as_bytes();
        let mut short = [0; SHORT_BYTES_MAX];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self::Short(bytes.len() as u8, short)
            }
            None => Self::Long(Box::new(name.clone())),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => &bytes[..usize::from(*len)],
            Self::Long(name) => name.as_bytes(),
        }
    }

    pub(crate) fn to_name(&self) -> ResourceName {
        ResourceName::new(self.as_bytes()).expect("it was one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        for len in 0..=64 {
            let name = ResourceName::new(&std::vec![len; len.into()]).expect("a name");
            assert_eq!(Name::new(&name).to_name(), name);
            assert_eq!(Name::new(&name).as_bytes(), name.as_bytes());
        }
    }
}
