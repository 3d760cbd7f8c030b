//! Who is calling, and may they: the first line of every handler.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message;
use tonic::{Request, Status};

use super::{Desk, status};
use crate::domain::{CallKey, Digest, Instant, Invalid, RequestId};
use crate::exchange::{By, Exchange, Page};
use crate::identity::{Caller, Peer, Unidentified};
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
        let (peer, header) = shown(&request)?;
        let caller = self.count_and_identify(method, peer, header)?;
        let exchange = self.0.exchange.on_behalf_of(caller.actor());
        Ok(Admitted { exchange, caller, method, message: request.into_inner() })
    }

    /// Who calls, if they may call this and don't call too often.
    ///
    /// The agency's call is counted before anything is verified: a peer without a good token has no more than that either.
    pub(super) fn count_and_identify(
        &self,
        method: &'static str,
        peer: &Peer,
        header: Option<&str>,
    ) -> Result<Caller, Status> {
        self.0.allowance.count(method, peer)?;
        let caller = self.identify(method, peer, header)?;
        self.0.allowance.count_of(method, caller.actor())?;
        Ok(caller)
    }

    /// The same by what a request has shown, as often as what it asked for goes on.
    pub(super) fn identify(&self, method: &'static str, peer: &Peer, header: Option<&str>) -> Result<Caller, Status> {
        let exchange = &self.0.exchange;
        let caller = self.0.tokens.identify(peer, header, exchange.node().clock().now()).map_err(|reason| {
            let (agency, fingerprint) = (peer.agency(), peer.fingerprint().to_hex());
            if reason == Unidentified::Expired {
                // As at the end of every stream.
                tracing::info!(%agency, fingerprint, method, %reason, "a call was not identified");
            } else {
                tracing::warn!(%agency, fingerprint, method, %reason, "a call was not identified");
            }
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
        Ok(caller)
    }
}

/// What a request shows of its caller: the certificate's peer, and the only `authorization` header.
pub(super) fn shown<T>(request: &Request<T>) -> Result<(&Arc<Peer>, Option<&str>), Status> {
    let peer = request.extensions().get::<Arc<Peer>>().ok_or_else(status::unauthenticated)?;
    let mut headers = request.metadata().get_all("authorization").iter();
    let header = headers.next().map(|value| value.to_str()).transpose().map_err(|_| status::unauthenticated())?;
    if headers.next().is_some() {
        return Err(status::unauthenticated());
    }
    Ok((peer, header))
}

/// Lets a request pass that comes from a system for which somebody vouches at this time.
pub(super) fn vouched(request: Request<()>, now: Instant) -> Result<Request<()>, Status> {
    let peer = request.extensions().get::<Arc<Peer>>().ok_or_else(status::unauthenticated)?;
    if peer.is_vouched_for(now) { Ok(request) } else { Err(status::unauthenticated()) }
}

/// The idempotency key of a call, or of one that a part of it stands for. The digest covers the officer and the whole
/// request, so the same key with anything else is another call.
pub(super) fn key(
    caller: &Caller,
    method: &'static str,
    request_id: &str,
    message: &impl Message,
) -> Result<CallKey, Invalid> {
    let request_id = RequestId::parse(request_id).map_err(|problem| problem.within("request_id"))?;
    let (agency, officer) = (caller.agency().clone(), caller.actor().officer.as_str());
    let mut all = Context::new(&SHA256);
    all.update(&(officer.len() as u64).to_be_bytes());
    all.update(officer.as_bytes());
    all.update(&message.encode_to_vec());
    let mut digest = [0; 32];
    digest.copy_from_slice(all.finish().as_ref());
    Ok(CallKey { agency, method, request_id, digest: Digest(digest) })
}

impl<T: Message> Admitted<T> {
    /// The officer and the call's idempotency key.
    pub(super) fn by(&self, request_id: &str) -> Result<By, Status> {
        let call = key(&self.caller, self.method, request_id, &self.message).map_err(status::invalid)?;
        Ok(By { actor: self.caller.actor().clone(), call })
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

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;

    use super::*;
    use crate::domain::AgencyId;
    use crate::pki::Authority;
    use crate::tls::{Revocation, Trust, TrustedAgency, certificates};

    #[test]
    fn a_request_passes_only_from_a_system_for_which_somebody_vouches() {
        let now = UnixTime::now();
        let at = Instant::from_micros(0).plus_seconds(now.as_secs().try_into().unwrap());
        let authority = Authority::new("ico", "ico.example", at).unwrap();
        let trusted = TrustedAgency {
            agency: AgencyId::known("ico"),
            trust_domain: "ico.example".to_owned(),
            roots: certificates(authority.root_pem().as_bytes()).unwrap(),
            revocation: Revocation::ShortLived,
        };
        let chain = certificates(authority.issue_client("a", at).unwrap().chain_pem.as_bytes()).unwrap();
        let peer = Arc::new(Trust::new([trusted]).unwrap().admit(&chain, now).unwrap());
        let until = peer.vouching().until;
        let request = |peer: Option<&Arc<Peer>>| {
            let mut request = Request::new(());
            peer.map(|peer| request.extensions_mut().insert(Arc::clone(peer)));
            request
        };
        let refused = |request, at| vouched(request, at).unwrap_err().code() == tonic::Code::Unauthenticated;
        assert!(vouched(request(Some(&peer)), until.plus_seconds(-1)).is_ok());
        assert!(refused(request(Some(&peer)), until));
        assert!(refused(request(None), at));
        peer.withdraw();
        assert!(refused(request(Some(&peer)), at));
    }
}
