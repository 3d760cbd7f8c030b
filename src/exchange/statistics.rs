//! What counts in the statistics, and publishing them.

use crate::domain::{Incident, Quarter};
use crate::menu::MENU;
use crate::statistics::Coordinates;
use crate::store::{Reads, Write};

use super::Result;
use super::incidents::Content;
use super::plan::Context;

fn coordinates(content: &Content) -> Coordinates {
    // Each category is an encoded field, so any of them put together are an `IncidentContent`.
    MENU.coordinates(&content.iter().flat_map(|(_, field)| field.as_slice()).copied().collect::<Vec<u8>>())
}

/// Lets a new incident count in the quarter of its registration.
pub(super) fn counted(context: Context<'_>, incident: &Incident, content: &Content) -> Result<Write> {
    let quarter = Quarter::of(context.at);
    Ok(Write::statistic(incident, quarter, coordinates(content), context.seal())?)
}

/// Lets an amended incident count by its new content, until the quarter in which it counts is published.
pub(super) async fn amended(
    context: Context<'_>,
    reads: &mut Reads,
    incident: &Incident,
    content: &Content,
) -> Result<Option<Write>> {
    Ok(match reads.counts_in(&incident.id).await? {
        Some((quarter, false)) => {
            Some(Write::moved_statistic(&incident.id, quarter, coordinates(content), context.seal())?)
        }
        Some((_, true)) | None => None,
    })
}
