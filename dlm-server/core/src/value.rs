//! Value blocks: a few bytes that a resource carries for its lockers, and when they move.

use alloc::sync::Arc;
use core::fmt;

use crate::mode::Mode;
use crate::status::Refusal;

/// The bytes of a value block, unless the lockspace chose otherwise (fs/dlm's `DLM_USER_LVB_LEN`).
pub const VALUE_BYTES_DEFAULT: usize = 32;

/// A value block is a few words of state, not a store: it travels with grants. Eight times the default
/// is more than any user of fs/dlm asks for.
pub const VALUE_BYTES_MAX: usize = 256;

/// A value block is a multiple of this long, as in fs/dlm.
pub const VALUE_BYTES_STEP: usize = 8;

/// How many bytes a lockspace's value blocks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueLength(u16);

impl ValueLength {
    /// A length of `bytes`.
    ///
    /// # Errors
    /// [`Refusal::ValueLength`] where it is no multiple of 8 from 8 to 256.
    pub const fn new(bytes: usize) -> Result<Self, Refusal> {
        if bytes == 0 || bytes > VALUE_BYTES_MAX || !bytes.is_multiple_of(VALUE_BYTES_STEP) {
            return Err(Refusal::ValueLength);
        }
        Ok(Self(bytes as u16))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

impl Default for ValueLength {
    fn default() -> Self {
        Self(VALUE_BYTES_DEFAULT as u16)
    }
}

/// A value. Copies of it share the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ValueBlock(Arc<[u8]>);

impl ValueBlock {
    /// Takes over `bytes`. What is shorter than the lockspace's length is filled with zeros when it is
    /// stored.
    ///
    /// # Errors
    /// [`Refusal::ValueLength`] where there are more than [`VALUE_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(Refusal::ValueLength);
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Nothing but zeros.
    pub(crate) fn zeros(length: ValueLength) -> Self {
        Self([0; VALUE_BYTES_MAX][..length.bytes()].into())
    }

    /// The value filled with zeros to `length`; `None` where it is longer.
    #[must_use]
    pub fn fitted(self, length: ValueLength) -> Option<Self> {
        let mut bytes = [0; VALUE_BYTES_MAX];
        let fill = bytes.get_mut(..length.bytes())?;
        match self.0.len().cmp(&fill.len()) {
            core::cmp::Ordering::Greater => None,
            core::cmp::Ordering::Equal => Some(self),
            core::cmp::Ordering::Less => {
                fill[..self.0.len()].copy_from_slice(&self.0);
                Some(Self((&*fill).into()))
            }
        }
    }
}

impl fmt::Debug for ValueBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// What a grant does with the resource's value, where the operation carries `VALBLK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The caller gets the resource's value.
    Read,
    /// The resource gets the caller's value, which is valid from now on.
    Write,
    /// Nothing.
    Nothing,
}

/// The transfer of a conversion; the row is the mode held, the column the mode granted. It is fs/dlm's
/// `dlm_lvb_operations`: PW to EX *reads*, and PR to CW carries nothing.
const TRANSFERS: [[Transfer; 6]; 6] = {
    const R: Transfer = Transfer::Read;
    const W: Transfer = Transfer::Write;
    const O: Transfer = Transfer::Nothing;
    //   NL CR CW PR PW EX
    [
        [R, R, R, R, R, R], // NL
        [O, R, R, R, R, R], // CR
        [O, O, R, R, R, R], // CW
        [O, O, O, R, R, R], // PR
        [W, W, W, W, W, R], // PW
        [W, W, W, W, W, W], // EX
    ]
};

impl Transfer {
    /// The transfer of a grant of `to` to a lock that held `from`. A new lock reads.
    #[must_use]
    pub const fn of(from: Option<Mode>, to: Mode) -> Self {
        match from {
            Some(from) => TRANSFERS[from as usize][to as usize],
            None => Self::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_multiples_of_8_up_to_256() {
        for bytes in 0..=300 {
            let good = (8..=256).contains(&bytes) && bytes % 8 == 0;
            assert_eq!(ValueLength::new(bytes).is_ok(), good, "{bytes}");
        }
        assert_eq!(ValueBlock::new(&[0; 257]), Err(Refusal::ValueLength));
    }

    #[test]
    fn a_short_value_is_filled_and_a_long_one_refused() {
        let length = ValueLength::new(8).expect("a length");
        let value = ValueBlock::new(b"ab").expect("a value").fitted(length);
        assert_eq!(value.expect("it fits").as_bytes(), b"ab\0\0\0\0\0\0");
        let long = ValueBlock::new(&[1; 9]).expect("a value");
        assert_eq!(long.fitted(length), None);
    }

    #[test]
    fn only_pw_and_ex_write_and_what_goes_up_reads() {
        for from in Mode::ALL {
            for to in Mode::ALL {
                let expected = if from >= Mode::Pw && (from, to) != (Mode::Pw, Mode::Ex) {
                    Transfer::Write
                } else if to >= from {
                    Transfer::Read
                } else {
                    Transfer::Nothing
                };
                assert_eq!(Transfer::of(Some(from), to), expected, "{from} to {to}");
                assert_eq!(Transfer::of(None, to), Transfer::Read);
            }
        }
    }
}
