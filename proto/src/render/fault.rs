//! What is asked of a server's faults, and what it says of them.

use crate::fault::{ActiveFault, Fault, Healing, Injection, Member, Missed};
use crate::wire::{self, FaultKind, fault_member};

/// Asks for a fault.
#[must_use]
pub fn inject_fault(injection: &Injection) -> wire::InjectFaultRequest {
    let (kind, delay_us) = fault(injection.fault);
    wire::InjectFaultRequest {
        from: Some(member(&injection.from)),
        to: Some(member(&injection.to)),
        one_way: injection.one_way,
        kind,
        delay_us,
        for_us: injection.for_us,
        here_only: injection.here_only,
    }
}

/// Asks that faults be taken away.
#[must_use]
pub fn heal_faults(healing: &Healing) -> wire::HealFaultsRequest {
    let link = healing.link.as_ref();
    wire::HealFaultsRequest {
        from: link.map(|(from, _)| member(from)),
        to: link.map(|(_, to)| member(to)),
        here_only: healing.here_only,
    }
}

/// The faults that a server has.
#[must_use]
pub fn active_faults(faults: &[ActiveFault]) -> wire::ListFaultsReply {
    let one = |active: &ActiveFault| {
        let (kind, delay_us) = fault(active.fault);
        wire::ActiveFault {
            from: Some(member(&active.from)),
            to: Some(member(&active.to)),
            kind,
            delay_us,
            left_us: active.left_us,
        }
    };
    wire::ListFaultsReply {
        faults: faults.iter().map(one).collect(),
    }
}

/// Who did not take what was passed on.
#[must_use]
pub fn faults_missed(missed: Vec<Missed>) -> wire::FaultReply {
    let missed = missed.into_iter().map(|missed| wire::FaultMissed {
        server: missed.server.0,
        why: missed.why,
    });
    wire::FaultReply {
        missed: missed.collect(),
    }
}

fn member(of: &Member) -> wire::FaultMember {
    let member = match of {
        Member::Server(server) => fault_member::Member::Server(server.0),
        Member::Session(name) => fault_member::Member::Session(name.clone().into()),
        Member::Sessions => fault_member::Member::Sessions(wire::AllSessions {}),
    };
    let member = Some(member);
    wire::FaultMember { member }
}

fn fault(fault: Fault) -> (i32, u64) {
    let (kind, delay_us) = match fault {
        Fault::Cut => (FaultKind::Cut, 0),
        Fault::Drop => (FaultKind::Drop, 0),
        Fault::Stall => (FaultKind::Stall, 0),
        Fault::Delay { us } => (FaultKind::Delay, us),
    };
    (kind.into(), delay_us)
}
