//! A server's answer as a [`GraphSnapshot`].

use glockwork_proto::{WireError, convert, wire};

use super::{Cycle, Edge, GraphSnapshot, Holder, Lock, Object, Resource, Task};
use crate::Coverage;

impl TryFrom<wire::GraphReply> for GraphSnapshot {
    type Error = WireError;

    fn try_from(reply: wire::GraphReply) -> Result<Self, WireError> {
        let edges = reply.edges.into_iter();
        let edges: Vec<_> = edges.map(edge).collect::<Result<_, _>>()?;
        let index = |index: u32| match index as usize {
            inside if inside < edges.len() => Ok(inside),
            _ => Err(WireError::CycleIndex {
                index,
                edges: edges.len(),
            }),
        };
        let cycle = |cycle: wire::GraphCycle| cycle.edges.into_iter().map(index).collect();
        Ok(Self {
            resources: reply
                .resources
                .into_iter()
                .map(resource)
                .collect::<Result<_, _>>()?,
            cycles: reply
                .cycles
                .into_iter()
                .map(cycle)
                .collect::<Result<_, _>>()?,
            silent: reply.silent,
            coverage: Coverage::read(reply.coverage)?,
            edges,
        })
    }
}

impl TryFrom<wire::Cycle> for Cycle {
    type Error = WireError;

    fn try_from(cycle: wire::Cycle) -> Result<Self, WireError> {
        let edges = cycle.edges.into_iter().map(edge);
        Ok(Self {
            edges: edges.collect::<Result<_, _>>()?,
        })
    }
}

fn object(lockspace: String, name: &[u8]) -> Result<Object, WireError> {
    let name = convert::resource_name(name)?;
    Ok(Object { lockspace, name })
}

fn resource(wire: wire::GraphResource) -> Result<Resource, WireError> {
    Ok(Resource {
        object: object(wire.lockspace, &wire.name)?,
        locks: wire.locks.into_iter().map(lock).collect::<Result<_, _>>()?,
    })
}

fn lock(wire: wire::GraphLock) -> Result<Lock, WireError> {
    Ok(Lock {
        session: wire.session,
        session_name: wire.session_name,
        lock: wire.lock,
        queue: convert::queue(wire.queue)?,
        granted: convert::mode_or_none(wire.granted)?,
        requested: convert::mode_or_none(wire.requested)?,
        age_us: wire.age_us,
        holders: wire
            .holders
            .into_iter()
            .map(holder)
            .collect::<Result<_, _>>()?,
    })
}

fn holder(wire: wire::GraphHolder) -> Result<Holder, WireError> {
    Ok(Holder {
        task: wire.task,
        mode: convert::mode(wire.mode)?,
        granted: wire.granted,
        role: convert::role(wire.role)?,
        pins: wire.pins,
        age_us: wire.age_us,
    })
}

fn edge(wire: wire::GraphEdge) -> Result<Edge, WireError> {
    Ok(Edge {
        waiter: task(wire.waiter.unwrap_or_default()),
        holder: task(wire.holder.unwrap_or_default()),
        object: object(wire.lockspace, &wire.name)?,
        wants: convert::mode(wire.wants)?,
        holds: convert::mode(wire.holds)?,
        reason: convert::reason(wire.reason)?,
        role: convert::role(wire.role)?,
        pins: wire.pins,
        waited_us: wire.waited_us,
    })
}

fn task(wire: wire::GraphTask) -> Task {
    Task {
        session: wire.session,
        session_name: wire.session_name,
        owner: wire.owner,
        name: wire.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_of_edges_that_are_not_there_is_an_error() {
        let reply = wire::GraphReply {
            cycles: vec![wire::GraphCycle { edges: vec![4] }],
            ..wire::GraphReply::default()
        };
        let error = GraphSnapshot::try_from(reply).unwrap_err();
        assert_eq!(error, WireError::CycleIndex { index: 4, edges: 0 });
    }

    #[test]
    fn an_edge_without_modes_is_an_error() {
        let edge = wire::GraphEdge {
            name: b"r".to_vec().into(),
            ..wire::GraphEdge::default()
        };
        let reply = wire::GraphReply {
            edges: vec![edge],
            ..wire::GraphReply::default()
        };
        assert!(GraphSnapshot::try_from(reply).is_err());
    }
}
