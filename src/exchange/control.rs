//! NEVER FOR USE. The mistake that the gate exists to avoid, so that a test can see that it would be found: facts as
//! they were before the lock. Compiled only with the feature `control-reads-before-lock`.

use crate::store::Reads;

use super::{Node, Result};

/// Says so in the log. The text is also what `tests/control` looks for in programs.
pub(super) fn announce() {
    tracing::error!("CONTROL, NEVER FOR USE: facts are read before the lock, so a withdrawal can be raced");
}

/// A transaction that sees what was committed when it began, whatever is committed while the lock is waited for.
pub(super) async fn before_the_lock(node: &Node) -> Result<Reads> {
    let mut reads = node.store.reads().await?;
    // What it sees is fixed by its first statement.
    reads.size().await?;
    Ok(reads)
}
