//! How much of a cluster a view shows.

use dlm_core::{ServerId, SlotId};

use crate::coverage::{Coverage, Unreachable};
use crate::error::WireError;
use crate::wire;

/// What a view lacks. One that does not say lacks everything: its server is older than this.
///
/// # Errors
/// [`WireError::Slot`].
pub fn coverage(wire: Option<wire::Coverage>) -> Result<Coverage, WireError> {
    let wire = wire.unwrap_or_default();
    let slot = |number| SlotId::new(number).ok_or(WireError::Slot { number });
    let unreachable = wire.unreachable.into_iter().map(|one| {
        let endpoint = Some(one.endpoint).filter(|endpoint| !endpoint.is_empty());
        let why = one.why;
        (ServerId(one.server), Unreachable { endpoint, why })
    });
    Ok(Coverage {
        slots: wire.slots.into_iter().map(slot).collect::<Result<_, _>>()?,
        unreachable: unreachable.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn it_comes_back_as_it_was_and_is_whole_with_all_slots_only() {
        let mut whole = Coverage::of(SlotId::all());
        assert!(whole.is_whole());
        let mut half = Coverage::of(SlotId::all().take(128));
        assert!(!half.is_whole());
        let down = Unreachable {
            endpoint: None,
            why: "it is down".into(),
        };
        half.unreachable.insert(ServerId(3), down);
        let late = Unreachable {
            endpoint: Some("there:1".into()),
            why: "it did not answer".into(),
        };
        half.unreachable.insert(ServerId(2), late);
        assert_eq!(
            coverage(Some(render::coverage(half.clone()))),
            Ok(half.clone())
        );
        whole.merge(half);
        assert!(!whole.is_whole(), "a server that was asked is missing");
        assert_eq!(coverage(None), Ok(Coverage::default()));
        let bad = wire::Coverage {
            slots: vec![256],
            ..wire::Coverage::default()
        };
        assert_eq!(coverage(Some(bad)), Err(WireError::Slot { number: 256 }));
    }
}
