//! What follows a mistake: the recipient is told, what was released wrongly is called back, and both sides can prove it.

use anyhow::Context as _;
use concordat::proto::v1;
use concordat::proto::v1::notice_service_client::NoticeServiceClient;
use concordat::proto::v1::wrongful_release_service_client::WrongfulReleaseServiceClient;

use super::super::output::{DIM, line};
use super::stage::Stage;
use super::story::{Told, key};

/// The ICO deals with the notice that the withdrawal sent it.
pub(super) async fn heed(stage: &Stage, told: &mut Told) -> anyhow::Result<()> {
    let mut ico = NoticeServiceClient::new(stage.officer("ico", "i.example", &["requester"], "ncsc")?);
    let listed = ico.list_notices(v1::ListNoticesRequest::default()).await?.into_inner().notices;
    let notice = listed.first().context("the ICO was not told to stop")?;
    let got = ico.get_notice(v1::GetNoticeRequest { notice_id: notice.id.clone() }).await?.into_inner();
    let silent = stage.verify("ncsc", got.receipt.as_ref()).is_ok_and(|proved| proved.grounds.is_none());
    let what =
        format!("the ICO has a notice to stop using what entry {} gave it, and is not told why", notice.receipt_index);
    told.step(listed.len() == 1 && notice.kind == "stop-further-use" && silent, &what);
    let said = ico.acknowledge_notice(acknowledge(&notice.id, "stopped")).await?.into_inner();
    told.step(said.receipt.is_some(), "it answers `stopped`: an entry that both sides can open");
    Ok(())
}

/// The NCSC finds that the release at this entry should not have been.
pub(super) async fn put_right(stage: &Stage, released_at: u64, told: &mut Told) -> anyhow::Result<()> {
    let senior = stage.officer("ncsc", "s.example", &["authoriser"], "ncsc")?;
    let mut ncsc = WrongfulReleaseServiceClient::new(senior);
    let report = v1::ReportWrongfulReleaseRequest {
        request_id: key(),
        cause: "wrong-match".to_owned(),
        receipt_indexes: vec![released_at],
        ..v1::ReportWrongfulReleaseRequest::default()
    };
    let id = ncsc.report_wrongful_release(report).await?.into_inner().wrongful_release_id;
    told.step(true, &format!("one officer reports the release at entry {released_at}: it was the wrong incident"));

    let mut ico = NoticeServiceClient::new(stage.officer("ico", "i.example", &["requester"], "ncsc")?);
    let outstanding = v1::ListNoticesRequest { outstanding: true, ..v1::ListNoticesRequest::default() };
    let listed = ico.list_notices(outstanding).await?.into_inner().notices;
    let recall = listed.iter().find(|notice| notice.kind == "recall").context("nothing was recalled")?;
    told.step(listed.len() == 1, "the ICO is asked to give it back, to delete it or to say why it must keep it");
    ico.acknowledge_notice(acknowledge(&recall.id, "deleted")).await?;

    let got = ncsc.get_wrongful_release(v1::GetWrongfulReleaseRequest { wrongful_release_id: id.clone() }).await?;
    let wrongful = got.into_inner().wrongful_release.context("the wrongful release is gone")?;
    let states = wrongful.copies.iter().flat_map(|copy| &copy.notices).filter_map(|issued| issued.notice.as_ref());
    let deleted = states.filter(|notice| notice.state == "deleted").count();
    let permitted = wrongful.copies.iter().flat_map(|copy| &copy.permitted);
    let elsewhere = permitted.filter(|permission| permission.recipient == "nca").count();
    told.step(
        deleted == 1 && elsewhere == 1 && wrongful.frozen,
        "the NCSC sees that the copy was deleted and whom it let have another; the incident stays frozen",
    );
    line(&format!(
        "    {DIM}if it was a personal-data breach, UK GDPR Art. 33(1) counts 72 hours from the report{DIM:#}"
    ));
    let (reason, lift_freeze) = (String::new(), false);
    let close = v1::CloseWrongfulReleaseRequest { request_id: key(), wrongful_release_id: id, reason, lift_freeze };
    let closed = ncsc.close_wrongful_release(close).await?.into_inner();
    told.step(closed.receipt.is_some(), "closed, since every recall was answered");
    Ok(())
}

fn acknowledge(notice: &str, outcome: &str) -> v1::AcknowledgeNoticeRequest {
    v1::AcknowledgeNoticeRequest {
        request_id: key(),
        notice_id: notice.to_owned(),
        outcome: outcome.to_owned(),
        ..v1::AcknowledgeNoticeRequest::default()
    }
}
