//! The time, and when an organisation became aware: what a clock of the law is computed from. Nothing of that is kept.

use prost::Message;

use crate::domain::{AgencyId, IncidentId, Instant, Rejected};
use crate::proto::v1::IncidentContent;
use crate::release;

use super::{Exchange, Result};

/// The category of an incident's content that says when the organisation became aware.
const TIMELINE: &str = "timeline";

impl Exchange {
    /// The node's time.
    pub async fn time(&self) -> Result<Instant> {
        self.read(|node, reads| Box::pin(async move { node.now(reads).await })).await
    }

    /// When the organisation became aware of one of the agency's own incidents, as far as it stated that; and the time.
    pub async fn awareness(&self, agency: AgencyId, id: IncidentId) -> Result<(Option<Instant>, Instant)> {
        self.read(move |node, reads| {
            Box::pin(async move {
                let incident = reads.incident(&agency, &id).await?.ok_or(Rejected::NotFound("incident"))?;
                let content = release::open_own(&incident, reads, &node.seal).await?;
                let timeline = content.iter().find(|(category, _)| category.as_str() == TIMELINE);
                // What does not decode says nothing.
                let stated = timeline.and_then(|(_, bytes)| IncidentContent::decode(bytes.as_slice()).ok());
                let aware_at = stated.and_then(|content| content.timeline?.aware_at).map(|at| {
                    Instant::from_micros(
                        at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos / 1_000)),
                    )
                });
                Ok((aware_at, node.now(reads).await?))
            })
        })
        .await
    }
}
