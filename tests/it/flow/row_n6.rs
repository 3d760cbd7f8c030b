//! N6: a public statement about an incident is agreed in advance, to the letter.

use crate::flow::Opened;
use crate::harness::World;

impl World {
    pub(crate) async fn open_statement(&self, holder: &str, recipient: &str) -> Opened {
        let incident = self.hold(holder, recipient).await.incident;
        self.proposals(holder).open_proposal(self.opening("statement", &incident)).await.unwrap().into_inner()
    }

    pub(crate) async fn agreed_statement(&self) -> Opened {
        todo!()
    }
}
