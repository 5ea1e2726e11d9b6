//! Under which token a grant comes.
//!
//! A grant's token is larger than that of every earlier grant that excludes it. Grants that could be
//! held together may share a token, and locks that are held together in PR or in CW always do: of two
//! nodes that write under CW neither may look like a late writer to the storage. So a grant takes a new
//! token in two cases only: something was granted under the present one that excludes it, or it is a
//! conversion after which others may hold other modes than before.

use super::Resource;
use super::queue::ModeSet;
use crate::ids::Token;
use crate::mode::Mode;

impl Resource {
    /// The token for a grant of `wanted` to a lock that held `own` and stands in no queue now;
    /// `counter` is the table's.
    pub(super) fn next_token(
        &mut self,
        own: Option<Mode>,
        wanted: Mode,
        counter: &mut u64,
    ) -> Token {
        let others = self.held.modes();
        let changes_room = own.is_some_and(|own| {
            Mode::ALL
                .into_iter()
                .any(|mode| others.admit(mode) && mode.compatible(own) != mode.compatible(wanted))
        });
        if self.token == Token::default() || changes_room || !self.token_modes.admit(wanted) {
            *counter += 1;
            self.token = Token(*counter);
            self.token_modes = ModeSet::default();
        }
        self.token_modes.insert(wanted);
        self.token
    }
}
