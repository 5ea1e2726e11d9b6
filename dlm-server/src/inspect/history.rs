//! The last events of a resource, from whoever masters it.

use glockwork_proto::{convert, render, wire};

use super::Look;
use super::ask::{in_time, others};
use crate::error::LookError;
use crate::view::journal::{history, place};

/// Asks this server, or the one that masters the resource.
pub(super) async fn of_resource<L: Look>(
    look: &L,
    request: wire::HistoryRequest,
) -> Result<wire::HistoryReply, LookError> {
    let name = convert::resource_name(&request.name)?;
    let (lockspace, wanted) = (request.lockspace.clone(), name.clone());
    let found = look.look(move |node, now| {
        let place = place(node, &lockspace, &wanted)?;
        let ours = place.master == Some(node.server());
        let known = ours.then(|| history(node, now, place, &wanted));
        Ok::<_, LookError>((place, known))
    });
    let (place, known) = found.await??;
    if let Some(known) = known {
        return Ok(render::history(known));
    }
    let slot = place.slot.number();
    let Some(master) = place.master.filter(|_| !request.local) else {
        return Err(LookError::NoMaster { slot });
    };
    let others = others(look, false).await?;
    let Some(other) = others.all.into_iter().find(|other| other.server == master) else {
        let server = master.0;
        let why = others.coverage.unreachable.get(&master);
        let why = why.map_or_else(|| "it is down".to_owned(), |one| one.why.clone());
        return Err(LookError::NotReached { server, why });
    };
    let mut client = wire::inspect_client::InspectClient::new(other.channel);
    let local = wire::HistoryRequest {
        local: true,
        ..request
    };
    let reply = in_time(client.history(local)).await;
    let reply = reply.map_err(|why| LookError::NotReached {
        server: master.0,
        why,
    });
    Ok(reply?.into_inner())
}
