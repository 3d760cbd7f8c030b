//! `ThemeService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::status::{failed, invalid};
use super::{Desk, content, convert, statistics};
use crate::domain::{HeldTheme, IncidentId, Invalid, Quarter, Sector, Technique, Theme, ThemeId, ThemeVersion, check};
use crate::exchange::{
    ConfirmTheme, DraftTheme, Item, ReviseTheme, SharingAsk, Telling, ThemeView, WithdrawTheme, theme_content,
};
use crate::proto::v1;
use crate::proto::v1::request_theme_response::Outcome;
use crate::proto::v1::theme_service_server::ThemeService;
use crate::release::Shared;

/// The longest text, in characters.
const LONGEST_TEXT: usize = 10_000;
/// On how many incidents a theme rests at most.
const MOST_INCIDENTS: usize = 200;

fn theme_id(text: &str) -> Result<ThemeId, Invalid> {
    convert::field("theme_id", text, ThemeId::parse)
}

fn theme(value: Option<&v1::ThemeContent>) -> Result<Theme, Invalid> {
    let value = value.ok_or_else(|| Invalid::new("theme", "is required"))?;
    let quarter = |field: &str, text: &str| {
        check(!text.is_empty(), field, "is required")?;
        convert::field(field, text, Quarter::parse)
    };
    let read = || {
        let length = format!("must have at most {LONGEST_TEXT} characters");
        check(!value.text.trim().is_empty(), "text", "is required")?;
        check(value.text.chars().count() <= LONGEST_TEXT, "text", length)?;
        content::account("text", &value.text)?;
        Ok(Theme {
            title: convert::required("title", &value.title, 200)?,
            sectors: convert::set("sectors", &value.sectors, Sector::parse)?,
            techniques: match value.techniques.as_slice() {
                [] => BTreeSet::new(),
                techniques => convert::set("techniques", techniques, Technique::parse)?,
            },
            from: quarter("from_quarter", &value.from_quarter)?,
            to: quarter("to_quarter", &value.to_quarter)?,
            text: value.text.clone(),
        })
    };
    read().map_err(|problem: Invalid| problem.within("theme"))
}

fn incidents(texts: &[String]) -> Result<Vec<IncidentId>, Invalid> {
    check(!texts.is_empty(), "incident_ids", "is required: those on which it rests")?;
    check(texts.len() <= MOST_INCIDENTS, "incident_ids", format!("must be at most {MOST_INCIDENTS}"))?;
    let id = |(i, text): (usize, &String)| convert::field(&format!("incident_ids[{i}]"), text, IncidentId::parse);
    texts.iter().enumerate().map(id).collect()
}

fn version(held: &HeldTheme, version: &ThemeVersion) -> v1::ThemeVersion {
    let confirmed = version.confirmed.as_ref();
    v1::ThemeVersion {
        version: version.version,
        state: held.state_of(version).to_owned(),
        content: Some(theme_content(&version.theme)),
        incident_ids: version.incidents.iter().map(ToString::to_string).collect(),
        drafted_by: version.drafted_by.to_string(),
        drafted_at: Some(convert::timestamp(version.drafted_at)),
        confirmed_by: confirmed.map(|confirmed| confirmed.by.to_string()).unwrap_or_default(),
        confirmed_at: confirmed.map(|confirmed| convert::timestamp(confirmed.at)),
        digest: confirmed.map(|confirmed| confirmed.digest.as_bytes().to_vec()).unwrap_or_default(),
    }
}

fn view(ThemeView { held, recipients }: &ThemeView) -> v1::HeldTheme {
    v1::HeldTheme {
        id: held.id.to_string(),
        etag: held.newest().to_string(),
        state: held.state().to_owned(),
        versions: held.versions.iter().map(|one| version(held, one)).collect(),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        withdrawn_at: held.withdrawn.as_ref().map(|(at, _)| convert::timestamp(*at)),
        withdrawn_by: held.withdrawn.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
    }
}

/// A theme in a list. Its words are for its holder alone.
fn summary(held: &HeldTheme, is_own: bool) -> v1::ThemeSummary {
    let confirmed = held.confirmed();
    let version = confirmed.map(|(version, _)| version).or(held.versions.first());
    v1::ThemeSummary {
        id: held.id.to_string(),
        state: held.state().to_owned(),
        version: version.map_or(0, |version| version.version),
        title: version.filter(|_| is_own).map(|version| version.theme.title.clone()).unwrap_or_default(),
        confirmed_at: confirmed.map(|(_, confirmed)| convert::timestamp(confirmed.at)),
    }
}

#[tonic::async_trait]
impl ThemeService for Desk {
    async fn draft_theme(
        &self,
        request: Request<v1::DraftThemeRequest>,
    ) -> Result<Response<v1::DraftThemeResponse>, Status> {
        let call = self.admit("ThemeService/DraftTheme", request)?;
        let by = call.by(&call.message.request_id)?;
        let theme = theme(call.message.theme.as_ref()).map_err(invalid)?;
        let incidents = incidents(&call.message.incident_ids).map_err(invalid)?;
        let done = call.exchange.change(by, DraftTheme { theme, incidents }).await.map_err(failed)?;
        Ok(Response::new(v1::DraftThemeResponse {
            theme_id: done.object,
            version: done.version,
            etag: done.version.to_string(),
            receipt: done.receipt,
        }))
    }

    async fn revise_theme(
        &self,
        request: Request<v1::ReviseThemeRequest>,
    ) -> Result<Response<v1::ReviseThemeResponse>, Status> {
        let call = self.admit("ThemeService/ReviseTheme", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            Ok(ReviseTheme {
                id: theme_id(&call.message.theme_id)?,
                version: convert::etag(&call.message.etag)?,
                theme: theme(call.message.theme.as_ref())?,
                incidents: incidents(&call.message.incident_ids)?,
            })
        };
        let revision = read().map_err(invalid)?;
        let done = call.exchange.change(by, revision).await.map_err(failed)?;
        let etag = done.version.to_string();
        Ok(Response::new(v1::ReviseThemeResponse { version: done.version, etag, receipt: done.receipt }))
    }

    async fn confirm_theme(
        &self,
        request: Request<v1::ConfirmThemeRequest>,
    ) -> Result<Response<v1::ConfirmThemeResponse>, Status> {
        let call = self.admit("ThemeService/ConfirmTheme", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = theme_id(&call.message.theme_id).map_err(invalid)?;
        let version = call.message.version;
        check(version > 0, "version", "is required: the one that you have read").map_err(invalid)?;
        let done = call.exchange.change(by, ConfirmTheme { id: id.clone(), version }).await.map_err(failed)?;
        let agency = call.caller.agency().clone();
        let (digest, theme) = call.exchange.confirmed_theme(agency, id, done.version).await.map_err(failed)?;
        Ok(Response::new(v1::ConfirmThemeResponse {
            theme: Some(theme),
            digest: digest.as_bytes().to_vec(),
            receipt: done.receipt,
        }))
    }

    async fn withdraw_theme(
        &self,
        request: Request<v1::WithdrawThemeRequest>,
    ) -> Result<Response<v1::WithdrawThemeResponse>, Status> {
        let call = self.admit("ThemeService/WithdrawTheme", request)?;
        let by = call.by(&call.message.request_id)?;
        let id = theme_id(&call.message.theme_id).map_err(invalid)?;
        let done = call.exchange.change(by, WithdrawTheme { id }).await.map_err(failed)?;
        Ok(Response::new(v1::WithdrawThemeResponse { receipt: done.receipt }))
    }

    async fn get_theme(&self, request: Request<v1::GetThemeRequest>) -> Result<Response<v1::GetThemeResponse>, Status> {
        let call = self.admit("ThemeService/GetTheme", request)?;
        let id = theme_id(&call.message.theme_id).map_err(invalid)?;
        let found = call.exchange.theme(call.caller.agency().clone(), id).await.map_err(failed)?;
        Ok(Response::new(v1::GetThemeResponse { theme: Some(view(&found)) }))
    }

    async fn list_themes(
        &self,
        request: Request<v1::ListThemesRequest>,
    ) -> Result<Response<v1::ListThemesResponse>, Status> {
        let call = self.admit("ThemeService/ListThemes", request)?;
        let holder = statistics::holder(&call.message.holder, &call.exchange).map_err(invalid)?;
        let is_own = holder == *call.caller.agency();
        let page = call.page(call.message.page_size, &call.message.page_token, holder.as_str());
        let (themes, next_page_token) = call.exchange.themes(page, holder).await.map_err(failed)?;
        let themes = themes.iter().map(|held| summary(held, is_own)).collect();
        Ok(Response::new(v1::ListThemesResponse { themes, next_page_token }))
    }

    async fn request_theme(
        &self,
        request: Request<v1::RequestThemeRequest>,
    ) -> Result<Response<v1::RequestThemeResponse>, Status> {
        let call = self.admit("ThemeService/RequestTheme", request)?;
        let by = call.by(&call.message.request_id)?;
        let read = || {
            let holder = statistics::holder(&call.message.holder, &call.exchange)?;
            let is_own = holder == *call.caller.agency();
            check(!is_own, "holder", "is your own agency: GetTheme shows what it holds")?;
            Ok(SharingAsk { holder, item: Item::Theme(theme_id(&call.message.theme_id)?) })
        };
        let ask = read().map_err(invalid)?;
        let told = call.exchange.ask_to_share(by, ask).await.map_err(failed)?;
        let outcome = match told.outcome {
            Telling::Shared { content, digest, clauses, obligations } => Outcome::Shared(v1::SharedTheme {
                theme: content.and_then(|content| match content {
                    Shared::Theme(theme) => Some(*theme),
                    Shared::Table(_) => None,
                }),
                digest: digest.as_bytes().to_vec(),
                clauses: clauses.iter().map(ToString::to_string).collect(),
                obligations,
            }),
            Telling::NotCovered { reason, explanation } => Outcome::NotCovered(v1::NotCovered { reason, explanation }),
            Telling::NotPublished { explanation } => Outcome::NotPublished(v1::NotPublished { explanation }),
        };
        Ok(Response::new(v1::RequestThemeResponse { outcome: Some(outcome), receipt: told.receipt }))
    }
}
