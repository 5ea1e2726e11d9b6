//! What is asked of a server's faults, and what it says of them.

use dlm_core::ServerId;

use crate::error::WireError;
use crate::fault::{ActiveFault, FAULT_DELAY_US_MAX, Fault, Healing, Injection, Member, Missed};
use crate::name::Name;
use crate::wire::{self, FaultKind, fault_member};

/// A fault to put in.
///
/// # Errors
/// [`WireError::Missing`], [`WireError::Enumeration`], [`WireError::FaultServer`], [`WireError::FaultLink`],
/// [`WireError::FaultDelay`], or what is wrong with a session's name.
pub fn inject_fault(wire: wire::InjectFaultRequest) -> Result<Injection, WireError> {
    let (from, to) = link(wire.from, wire.to)?;
    Ok(Injection {
        from,
        to,
        one_way: wire.one_way,
        fault: fault(wire.kind, wire.delay_us)?,
        for_us: wire.for_us,
        here_only: wire.here_only,
    })
}

/// Faults to take away.
///
/// # Errors
/// [`WireError::Missing`], [`WireError::FaultServer`], [`WireError::FaultLink`], or what is wrong with a
/// session's name.
pub fn heal_faults(wire: wire::HealFaultsRequest) -> Result<Healing, WireError> {
    let all = wire.from.is_none() && wire.to.is_none();
    Ok(Healing {
        link: if all {
            None
        } else {
            Some(link(wire.from, wire.to)?)
        },
        here_only: wire.here_only,
    })
}

/// The faults of a server.
///
/// # Errors
/// As [`inject_fault`].
pub fn active_faults(wire: wire::ListFaultsReply) -> Result<Vec<ActiveFault>, WireError> {
    let one = |wire: wire::ActiveFault| {
        let (from, to) = link(wire.from, wire.to)?;
        Ok(ActiveFault {
            from,
            to,
            fault: fault(wire.kind, wire.delay_us)?,
            left_us: wire.left_us,
        })
    };
    wire.faults.into_iter().map(one).collect()
}

/// Who did not take what was passed on.
#[must_use]
pub fn faults_missed(wire: wire::FaultReply) -> Vec<Missed> {
    let missed = wire.missed.into_iter().map(|missed| Missed {
        server: ServerId(missed.server),
        why: missed.why,
    });
    missed.collect()
}

fn link(
    from: Option<wire::FaultMember>,
    to: Option<wire::FaultMember>,
) -> Result<(Member, Member), WireError> {
    let (from, to) = (member(from)?, member(to)?);
    let is_server = |member: &Member| matches!(member, Member::Server(_));
    if from == to || !(is_server(&from) || is_server(&to)) {
        return Err(WireError::FaultLink {
            from: from.to_string(),
            to: to.to_string(),
        });
    }
    Ok((from, to))
}

fn member(wire: Option<wire::FaultMember>) -> Result<Member, WireError> {
    let what = "both ends of the link";
    let member = wire.and_then(|wire| wire.member);
    match member.ok_or(WireError::Missing { what })? {
        fault_member::Member::Server(0) => Err(WireError::FaultServer),
        fault_member::Member::Server(number) => Ok(Member::Server(ServerId(number))),
        fault_member::Member::Session(name) => Ok(Member::Session(Name::new(name)?)),
        fault_member::Member::Sessions(_) => Ok(Member::Sessions),
    }
}

fn fault(kind: i32, us: u64) -> Result<Fault, WireError> {
    match FaultKind::try_from(kind) {
        Ok(FaultKind::Cut) => Ok(Fault::Cut),
        Ok(FaultKind::Drop) => Ok(Fault::Drop),
        Ok(FaultKind::Stall) => Ok(Fault::Stall),
        Ok(FaultKind::Delay) if us <= FAULT_DELAY_US_MAX => Ok(Fault::Delay { us }),
        Ok(FaultKind::Delay) => Err(WireError::FaultDelay { us }),
        Ok(FaultKind::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "kind of fault",
            value: kind,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    fn injection(from: &str, to: &str) -> Injection {
        Injection {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            one_way: true,
            fault: Fault::Delay { us: 5 },
            for_us: Some(7),
            here_only: true,
        }
    }

    #[test]
    fn what_is_asked_arrives_as_it_was_meant() {
        for fault in [
            Fault::Cut,
            Fault::Drop,
            Fault::Stall,
            Fault::Delay { us: 9 },
        ] {
            for (from, to) in [("1", "2"), ("node1", "3"), ("3", "client")] {
                for (one_way, for_us) in [(false, None), (true, Some(0))] {
                    let one = Injection {
                        fault,
                        one_way,
                        for_us,
                        ..injection(from, to)
                    };
                    assert_eq!(inject_fault(render::inject_fault(&one)), Ok(one.clone()));
                    let active = ActiveFault {
                        from: one.from.clone(),
                        to: one.to.clone(),
                        fault,
                        left_us: for_us,
                    };
                    let listed = render::active_faults(&[active.clone(), active.clone()]);
                    assert_eq!(active_faults(listed), Ok(vec![active.clone(), active]));
                    let healing = Healing {
                        link: Some((one.from, one.to)),
                        here_only: one_way,
                    };
                    assert_eq!(heal_faults(render::heal_faults(&healing)), Ok(healing));
                }
            }
        }
        let all = Healing::default();
        assert_eq!(heal_faults(render::heal_faults(&all)), Ok(all));
        let missed = vec![Missed {
            server: ServerId(3),
            why: "down".into(),
        }];
        assert_eq!(faults_missed(render::faults_missed(missed.clone())), missed);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let good = render::inject_fault(&injection("1", "2"));
        let refused = |wire| inject_fault(wire).unwrap_err().to_string();
        for (from, to) in [("1", "1"), ("a", "b"), ("client", "a")] {
            let said = refused(render::inject_fault(&injection(from, to)));
            assert!(said.contains(from) && said.contains(to), "{said}");
        }
        let mut wire = good.clone();
        wire.to = None;
        assert!(refused(wire).contains("both ends"));
        let mut wire = good.clone();
        let member = Some(fault_member::Member::Server(0));
        wire.from = Some(wire::FaultMember { member });
        assert!(refused(wire).contains("0 is not a server"));
        let mut wire = good.clone();
        wire.kind = 77;
        assert!(refused(wire).contains("kind of fault"));
        let mut wire = good;
        wire.delay_us = FAULT_DELAY_US_MAX + 1;
        assert!(refused(wire).contains("at most"));
        let half = wire::HealFaultsRequest {
            from: Some(wire::FaultMember {
                member: Some(fault_member::Member::Server(1)),
            }),
            ..wire::HealFaultsRequest::default()
        };
        assert!(heal_faults(half).is_err());
    }
}
