//! `dlm graph`.

use dlm_client::Servers;
use dlm_client::graph::{dot, json, svg, text};
use dlm_client::inspect;

use crate::cli::{Format, GraphArguments};
use crate::error::CommandError;
use crate::{output, warning};

pub(crate) async fn run(servers: &Servers, arguments: &GraphArguments) -> Result<(), CommandError> {
    let snapshot = match &arguments.lockspace {
        None => inspect::graph(servers).await?,
        Some(lockspace) => inspect::graph_of(servers, lockspace).await?,
    };
    let rendered = match arguments.format() {
        Format::Text => text::render(&snapshot),
        Format::Json => json::render(&snapshot),
        Format::Dot => dot::render(&snapshot),
        Format::Svg => svg::render(&snapshot),
    };
    output::write(arguments.output.as_deref(), &rendered)?;
    warning::incomplete(&snapshot.coverage);
    Ok(())
}
