//! Who is calling, and may they: the first line of every handler.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message;
use tonic::{Request, Status};

use super::{Desk, status};
use crate::domain::{CallKey, Digest, RequestId};
use crate::exchange::{By, Exchange, Page};
use crate::identity::{Caller, Peer};
use crate::proto;

/// A request whose caller has been identified and may call.
pub(super) struct Admitted<T> {
    pub(super) exchange: Exchange,
    pub(super) caller: Caller,
    pub(super) method: &'static str,
    pub(super) message: T,
}

impl Desk {
    /// Identifies the caller and checks the contract's `access` option for this RPC, named as
    /// `ConsentService/WithdrawConsent`.
    pub(super) fn admit<T>(&self, method: &'static str, request: Request<T>) -> Result<Admitted<T>, Status> {
        let exchange = &self.0.exchange;
        let peer = request.extensions().get::<Arc<Peer>>().ok_or_else(status::unauthenticated)?;
        let mut headers = request.metadata().get_all("authorization").iter();
        let header = headers.next().map(|value| value.to_str()).transpose().map_err(|_| status::unauthenticated())?;
        if headers.next().is_some() {
            return Err(status::unauthenticated());
        }
        let caller = self.0.tokens.identify(peer, header, exchange.node().clock().now()).map_err(|reason| {
            let fingerprint = peer.fingerprint().to_hex();
            tracing::warn!(agency = %peer.agency(), fingerprint, method, %reason, "a call was not identified");
            status::unauthenticated()
        })?;
        let access = proto::ACCESS.iter().find(|(path, ..)| path.strip_prefix("/concordat.v1.") == Some(method));
        let (_, roles, own_agency) = access.ok_or_else(|| status::internal("an RPC has no access rule"))?;
        if *own_agency && !exchange.node().holds(caller.agency()) {
            return Err(status::not_this_node());
        }
        if !roles.is_empty() && !caller.has_any_role(roles) {
            return Err(status::role_missing(roles));
        }
        let exchange = exchange.on_behalf_of(caller.actor());
        Ok(Admitted { exchange, caller, method, message: request.into_inner() })
    }
}

impl<T: Message> Admitted<T> {
    /// The officer and the call's idempotency key. The digest covers the officer and the whole request, so the same
    /// key with anything else is another call.
    pub(super) fn by(&self, request_id: &str) -> Result<By, Status> {
        let request_id = RequestId::parse(request_id).map_err(|e| status::invalid(e.within("request_id")))?;
        let actor = self.caller.actor().clone();
        let mut digest = Context::new(&SHA256);
        digest.update(&(actor.officer.as_str().len() as u64).to_be_bytes());
        digest.update(actor.officer.as_str().as_bytes());
        digest.update(&self.message.encode_to_vec());
        let digest = Digest::from_slice(digest.finish().as_ref());
        let digest = digest.ok_or_else(|| status::internal("a digest has the wrong length"))?;
        let call = CallKey { agency: actor.agency.clone(), method: self.method, request_id, digest };
        Ok(By { actor, call })
    }

    /// A page of one of the caller's own lists.
    pub(super) fn page(&self, size: i32, token: &str, filter: &str) -> Page {
        Page {
            agency: self.caller.agency().clone(),
            list: self.method,
            size,
            token: token.to_owned(),
            field: "page_token",
            filter: filter.to_owned(),
        }
    }
}
