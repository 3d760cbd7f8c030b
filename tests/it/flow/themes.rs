//! Themes: drafted on enough incidents, confirmed by a second officer, shared through the gate, withdrawn for good.

use concordat::client::OfficerChannel;
use concordat::domain::{Instant, Quarter};
use concordat::proto::v1;
use concordat::proto::v1::request_theme_response::Outcome;
use concordat::proto::v1::theme_service_client::ThemeServiceClient;
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::Pending;
use crate::builders::{assert_error, assert_invalid, identifier, names};
use crate::cli::execute;
use crate::harness::{World, on_both_databases, request_id};

/// As many organisations as the bundled agreements ask for.
const ENOUGH: usize = 10;
const DAY: i64 = 86_400;
/// When the incidents of these tests occurred: in a quarter that is over.
const DAYS_AGO: i64 = 200;

pub(crate) const TEXT: &str = "Suppliers of remote support\nwere the way in at several of them.";

impl World {
    fn themes_as(&self, agency: &str, name: &str, roles: &[&str]) -> ThemeServiceClient<OfficerChannel> {
        ThemeServiceClient::new(self.officer(agency, name, roles))
    }

    pub(crate) fn drafter(&self, agency: &str) -> ThemeServiceClient<OfficerChannel> {
        self.themes_as(agency, "rec", &["recorder"])
    }

    pub(crate) fn confirmer(&self, agency: &str) -> ThemeServiceClient<OfficerChannel> {
        self.themes_as(agency, "aut", &["authoriser"])
    }

    pub(crate) fn theme_words(&self) -> v1::ThemeContent {
        let quarter = Quarter::of(self.now().plus_seconds(-DAYS_AGO * DAY)).to_string();
        v1::ThemeContent {
            title: "Remote support as the way in".into(),
            sectors: names(&["health", "utilities"]),
            techniques: names(&["T1133", "T1566.001"]),
            from_quarter: quarter.clone(),
            to_quarter: quarter,
            text: TEXT.into(),
        }
    }

    pub(crate) async fn past_incident(&self, organisation: &str) -> String {
        let request = v1::RegisterIncidentRequest {
            occurred_from: self.in_seconds(-DAYS_AGO * DAY),
            occurred_until: self.in_seconds(-DAYS_AGO * DAY + 60),
            ..self.incident_at(organisation)
        };
        self.incidents("ico").register_incident(request).await.unwrap().into_inner().incident_id
    }

    /// So many organisations of the ICO's with an incident each: the organisations and the incidents.
    async fn organisations_hit(&self, organisations: usize) -> (Vec<String>, Vec<String>) {
        let (mut hit, mut incidents) = (Vec::new(), Vec::new());
        for _ in 0..organisations {
            let organisation = self.register_organisation("ico", vec![]).await;
            incidents.push(self.past_incident(&organisation).await);
            hit.push(organisation);
        }
        (hit, incidents)
    }

    /// Enough incidents for a theme.
    pub(crate) async fn backing(&self) -> Vec<String> {
        self.organisations_hit(ENOUGH).await.1
    }

    pub(crate) async fn draft(
        &self,
        words: v1::ThemeContent,
        incident_ids: Vec<String>,
    ) -> Result<v1::DraftThemeResponse, Status> {
        let request = v1::DraftThemeRequest { request_id: request_id(), theme: Some(words), incident_ids };
        Ok(self.drafter("ico").draft_theme(request).await?.into_inner())
    }

    async fn revise(
        &self,
        id: &str,
        etag: &str,
        words: v1::ThemeContent,
        incident_ids: Vec<String>,
    ) -> Result<v1::ReviseThemeResponse, Status> {
        let (theme_id, etag, theme) = (id.to_owned(), etag.to_owned(), Some(words));
        let request = v1::ReviseThemeRequest { request_id: request_id(), theme_id, etag, theme, incident_ids };
        Ok(self.drafter("ico").revise_theme(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, id: &str, version: i64) -> Result<v1::ConfirmThemeResponse, Status> {
        let request = v1::ConfirmThemeRequest { request_id: request_id(), theme_id: id.into(), version };
        Ok(self.confirmer("ico").confirm_theme(request).await?.into_inner())
    }

    pub(crate) async fn withdraw_theme(&self, id: &str) -> Result<v1::WithdrawThemeResponse, Status> {
        let request = v1::WithdrawThemeRequest { request_id: request_id(), theme_id: id.into() };
        Ok(self.confirmer("ico").withdraw_theme(request).await?.into_inner())
    }

    /// A theme that may be shared.
    async fn confirmed(&self) -> String {
        let drafted = self.draft(self.theme_words(), self.backing().await).await.unwrap();
        self.confirm(&drafted.theme_id, 1).await.unwrap();
        drafted.theme_id
    }

    async fn held_theme(&self, id: &str) -> v1::HeldTheme {
        let request = v1::GetThemeRequest { theme_id: id.into() };
        self.confirmer("ico").get_theme(request).await.unwrap().into_inner().theme.unwrap()
    }

    async fn request_theme(&self, agency: &str, request: v1::RequestThemeRequest) -> v1::RequestThemeResponse {
        self.themes_as(agency, "req", &["requester"]).request_theme(request).await.unwrap().into_inner()
    }

    async fn ask_for_theme(&self, agency: &str, id: &str) -> v1::RequestThemeResponse {
        self.request_theme(agency, asking(id)).await
    }

    async fn listed(&self, agency: &str, holder: &str) -> Result<Vec<v1::ThemeSummary>, Status> {
        let request = v1::ListThemesRequest { holder: holder.into(), ..v1::ListThemesRequest::default() };
        Ok(self.themes_as(agency, "req", &["requester"]).list_themes(request).await?.into_inner().themes)
    }
}

fn asking(id: &str) -> v1::RequestThemeRequest {
    v1::RequestThemeRequest { request_id: request_id(), holder: "ico".into(), theme_id: id.into() }
}

#[track_caller]
fn shared(response: &v1::RequestThemeResponse) -> &v1::SharedTheme {
    match response.outcome.as_ref().unwrap() {
        Outcome::Shared(shared) => shared,
        other => panic!("not shared: {other:?}"),
    }
}

/// That nothing is shared, and in which words.
#[track_caller]
fn not_shared(response: &v1::RequestThemeResponse) -> String {
    match response.outcome.as_ref().unwrap() {
        Outcome::NotPublished(told) => told.explanation.clone(),
        other => panic!("expected nothing, got {other:?}"),
    }
}

pub(super) async fn a_confirmed_theme_is_shared(world: &World, recipient: &str) {
    let backing = world.backing().await;
    let drafted = world.draft(world.theme_words(), backing.clone()).await.unwrap();
    let confirmed = world.confirm(&drafted.theme_id, 1).await.unwrap();
    let response = world.ask_for_theme(recipient, &drafted.theme_id).await;
    let theme = shared(&response).theme.clone().unwrap();
    assert_eq!((theme.version, theme.content.clone().unwrap()), (1, world.theme_words()));
    assert_eq!(Some(&theme), confirmed.theme.as_ref(), "what was confirmed is what is shared");
    assert_eq!(shared(&response).clauses, [format!("ico-nca-2024/themes-to-{recipient}")]);
    assert_eq!(shared(&response).obligations.len(), 2);

    let digest = Sha256::digest(theme.encode_to_vec()).to_vec();
    assert_eq!((&shared(&response).digest, &confirmed.digest), (&digest, &digest));
    let proven = world.verified(response.receipt.as_ref());
    assert_eq!(proven.theme_ask.unwrap().theme, drafted.theme_id);
    let outcome = proven.sharing_outcome.unwrap();
    assert_eq!((outcome.outcome.as_str(), &outcome.digest), ("shared", &digest));
    assert!(proven.grounds.is_none());
    let stated = world.verified(confirmed.receipt.as_ref()).theme.unwrap();
    assert_eq!((stated.digest, stated.version, stated.threshold, stated.largest_share), (digest, 1, 10, 2));

    let bytes = response.encode_to_vec();
    for incident in backing {
        let told = bytes.windows(incident.len()).any(|part| part == incident.as_bytes());
        assert!(!told, "what it rests on is not released");
    }
}

pub(super) async fn a_theme_is_not_covered(world: &World, recipient: &str) {
    let theme = world.confirmed().await;
    let response = world.ask_for_theme(recipient, &theme).await;
    let Some(Outcome::NotCovered(told)) = &response.outcome else { panic!("{:?}", response.outcome) };
    assert_eq!(told.reason, "NO_AGREEMENT");
    assert_eq!(world.verified(response.receipt.as_ref()).sharing_outcome.unwrap().outcome, "not-covered");
    assert_error(world.listed(recipient, "ico").await, Code::NotFound, "NOT_FOUND");
}

pub(super) async fn what_is_not_shared_is_one_answer(world: &World, recipient: &str) {
    let backing = world.backing().await;
    let draft = async || world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
    let (drafted, withdrawn) = (draft().await, draft().await);
    world.confirm(&withdrawn, 1).await.unwrap();
    world.withdraw_theme(&withdrawn).await.unwrap();
    let unknown = concordat::seal::new_id("theme");
    let told = async |id: &str| {
        let response = world.ask_for_theme(recipient, id).await;
        let proven = world.verified(response.receipt.as_ref());
        assert_eq!(proven.sharing_outcome.unwrap().outcome, "not-published");
        assert_eq!(response.receipt.as_ref().unwrap().openings.len(), 2, "the ask and its outcome");
        not_shared(&response).replace(id, "it")
    };
    let nothing = told(&unknown).await;
    assert_eq!((told(&drafted).await, told(&withdrawn).await), (nothing.clone(), nothing));
}

on_both_databases! {
    async fn a_theme_rests_on_enough_organisations(world: World) {
        let (organisations, mut incidents) = world.organisations_hit(ENOUGH - 1).await;
        for organisation in &organisations {
            incidents.push(world.past_incident(organisation).await);
        }
        assert_invalid(world.draft(world.theme_words(), incidents.clone()).await, "incident_ids");
        // Two that were merged are one.
        let (two, more) = world.organisations_hit(2).await;
        world.merge("ico", &two[0], &two[1]).await;
        incidents.push(more[0].clone());
        assert!(world.draft(world.theme_words(), incidents.clone()).await.is_ok());
        incidents.extend(more.clone());
        world.merge("ico", &two[1], &organisations[0]).await;
        assert_invalid(world.draft(world.theme_words(), incidents).await, "incident_ids");
    }

    async fn no_organisation_has_too_large_a_share_of_a_theme(world: World) {
        let (organisations, mut incidents) = world.organisations_hit(ENOUGH).await;
        for _ in 0..8 {
            incidents.push(world.past_incident(&organisations[0]).await);
        }
        assert!(world.draft(world.theme_words(), incidents.clone()).await.is_ok(), "9 of 18");
        incidents.push(world.past_incident(&organisations[0]).await);
        assert_invalid(world.draft(world.theme_words(), incidents).await, "incident_ids");
    }

    async fn what_a_theme_rests_on_is_looked_at_again_by_whoever_confirms_and_by_each_ask(world: World) {
        let (organisations, incidents) = world.organisations_hit(ENOUGH).await;
        let [first, second] = [(); 2].map(|()| incidents.clone());
        let first = world.draft(world.theme_words(), first).await.unwrap().theme_id;
        let second = world.draft(world.theme_words(), second).await.unwrap().theme_id;
        world.confirm(&first, 1).await.unwrap();
        shared(&world.ask_for_theme("nca", &first).await);
        assert_eq!(world.listed("nca", "ico").await.unwrap().len(), 1);

        world.merge("ico", &organisations[0], &organisations[1]).await;
        not_shared(&world.ask_for_theme("nca", &first).await);
        assert_eq!(world.listed("nca", "ico").await.unwrap(), [], "what would not be shared is not listed");
        assert_error(world.confirm(&second, 1).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn whoever_drafted_a_version_does_not_confirm_it(world: World) {
        let backing = world.backing().await;
        let mut both = world.themes_as("ico", "rec", &["recorder", "authoriser"]);
        let drafted = world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
        let confirm = |id: &str, version| v1::ConfirmThemeRequest { request_id: request_id(), theme_id: id.into(), version };
        assert_error(both.confirm_theme(confirm(&drafted, 1)).await, Code::FailedPrecondition, "SAME_OFFICER");
        not_shared(&world.ask_for_theme("nca", &drafted).await);
        // Who confirmed the first version may draft the second, and then not confirm that.
        world.confirm(&drafted, 1).await.unwrap();
        let mut other = world.themes_as("ico", "aut", &["recorder", "authoriser"]);
        let request = v1::ReviseThemeRequest {
            request_id: request_id(),
            theme_id: drafted.clone(),
            etag: "1".into(),
            theme: Some(world.theme_words()),
            incident_ids: backing,
        };
        other.revise_theme(request).await.unwrap();
        assert_error(other.confirm_theme(confirm(&drafted, 2)).await, Code::FailedPrecondition, "SAME_OFFICER");
        both.confirm_theme(confirm(&drafted, 2)).await.unwrap();
        assert_error(both.confirm_theme(confirm(&drafted, 1)).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn words_that_name_an_organisation_on_whose_incidents_a_theme_rests_are_turned_away(world: World) {
        let mut backing = world.backing().await;
        let called = |name: &str| {
            let (request_id, name) = (request_id(), name.into());
            v1::RegisterOrganisationRequest { request_id, name, ..v1::RegisterOrganisationRequest::default() }
        };
        let parent = world.register("ico", called("Great Holdings plc")).await;
        let named = world.register("ico", v1::RegisterOrganisationRequest {
            identifiers: vec![identifier(1_234_567), v1::Identifier { scheme: "domain".into(), value: "bluewell.example".into() }],
            parents: vec![v1::ParentLink { organisation_id: parent, from: None, until: None }],
            ..called("Bluewell Utilities Ltd")
        }).await;
        let former = world.register("ico", called("Bramblecote Water Ltd")).await;
        world.merge("ico", &former, &named).await;
        backing.push(world.past_incident(&named).await);
        let words = || world.theme_words();
        let before = world.ledger_size().await;
        for text in [
            "It began at Bluewell Utilities.",
            "bluewell-utilities\u{2019}s supplier",
            "One of them is company 1234567.",
            "Mail came from someone@bluewell.example",
            "All belong to GREAT HOLDINGS",
            "What was Bramblecote Water had it first",
        ] {
            let drafted = world.draft(v1::ThemeContent { text: text.into(), ..words() }, backing.clone()).await;
            let message = drafted.as_ref().err().map(|status| status.message().to_owned()).unwrap_or_default();
            assert!(!message.to_lowercase().contains("bluewell"), "the answer names nobody: {message}");
            assert_invalid(drafted, "theme.text");
        }
        let titled = v1::ThemeContent { title: "Bluewell Utilities and others".into(), ..words() };
        assert_invalid(world.draft(titled, backing.clone()).await, "theme.title");
        assert_eq!(world.ledger_size().await, before);

        // What the register learns in between counts when it is confirmed.
        let drafted = world.draft(words(), backing).await.unwrap().theme_id;
        let amendment = v1::AmendOrganisationRequest {
            name: "Remote Support Ltd".into(),
            ..world.amendment_of("ico", &named).await
        };
        world.amend_organisation("ico", amendment).await.unwrap();
        assert_error(world.confirm(&drafted, 1).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn a_theme_is_about_quarters_that_are_over_and_incidents_in_them(world: World) {
        let backing = world.backing().await;
        let present = Quarter::of(world.now());
        let words = world.theme_words();
        let until_now = v1::ThemeContent { to_quarter: present.to_string(), ..words.clone() };
        assert_invalid(world.draft(until_now.clone(), backing.clone()).await, "theme.to_quarter");
        let backwards = v1::ThemeContent { from_quarter: present.to_string(), ..words.clone() };
        assert_invalid(world.draft(backwards, backing.clone()).await, "theme.to_quarter");
        let elsewhere = world.hold("ico", "nca").await.incident;
        let with_another = [backing.as_slice(), &[elsewhere]].concat();
        assert_invalid(world.draft(words.clone(), with_another).await, "incident_ids[10]");
        let other_sector = v1::ThemeContent { sectors: names(&["water-boards"]), ..words };
        assert_invalid(world.draft(other_sector, backing.clone()).await, "theme.sectors");

        world.hand.set(Instant::from_micros(present.end().micros() - 1));
        assert_invalid(world.draft(until_now.clone(), backing.clone()).await, "theme.to_quarter");
        world.hand.set(present.end());
        assert!(world.draft(until_now, backing).await.is_ok());
    }

    async fn what_is_marked_red_backs_no_theme(world: World) {
        let backing = world.backing().await;
        let drafted = world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
        let confirmed = world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
        world.confirm(&confirmed, 1).await.unwrap();
        shared(&world.ask_for_theme("nca", &confirmed).await);
        world.mark_red(&backing[3]).await;
        assert_invalid(world.draft(world.theme_words(), backing).await, "incident_ids[3]");
        assert_error(world.confirm(&drafted, 1).await, Code::FailedPrecondition, "WRONG_STATE");
        not_shared(&world.ask_for_theme("nca", &confirmed).await);
    }

    async fn what_another_agency_released_backs_no_theme(world: World) {
        let (release, ..) = world.received_by_ico("ncsc", World::onward_scope).await;
        let mut backing = world.backing().await;
        backing.push(world.receive("ico", release, "nca").await.held.incident);
        assert_invalid(world.draft(world.theme_words(), backing).await, "incident_ids[10]");
    }

    async fn the_former_version_stays_shared_until_the_next_is_confirmed(world: World) {
        let backing = world.backing().await;
        let id = world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
        world.confirm(&id, 1).await.unwrap();
        let first = asking(&id);
        shared(&world.request_theme("nca", first.clone()).await);

        let next = v1::ThemeContent { text: "It is worse than was thought.".into(), ..world.theme_words() };
        assert_error(world.revise(&id, "7", next.clone(), backing.clone()).await, Code::Aborted, "CHANGED");
        let revised = world.revise(&id, "1", next.clone(), backing.clone()).await.unwrap();
        assert_eq!((revised.version, revised.etag.as_str()), (2, "2"));
        assert_eq!(shared(&world.ask_for_theme("nca", &id).await).theme.as_ref().unwrap().version, 1);
        assert_eq!(world.events_of("nca", "theme-revised").await, []);
        let states = async || {
            let held = world.held_theme(&id).await;
            held.versions.into_iter().map(|version| version.state).collect::<Vec<_>>()
        };
        assert_eq!(states().await, ["drafted", "shared"]);

        world.confirm(&id, 2).await.unwrap();
        assert_eq!(states().await, ["shared", "superseded"]);
        let now = world.ask_for_theme("nca", &id).await;
        assert_eq!(shared(&now).theme.as_ref().unwrap().content, Some(next));
        let [event] = world.events_of("nca", "theme-revised").await.try_into().unwrap();
        assert_eq!((event.theme_id.as_str(), event.agency.as_str()), (id.as_str(), "ico"));
        assert_eq!(world.events_of("ncsc", "theme-revised").await, []);
        let repeated = world.request_theme("nca", first).await;
        assert_eq!(shared(&repeated).theme, None, "a repeat brings no version but its own");
    }

    async fn a_withdrawn_theme_is_shared_no_more_and_its_recipients_are_told(world: World) {
        let id = world.confirmed().await;
        let asked = asking(&id);
        shared(&world.request_theme("nca", asked.clone()).await);
        assert_eq!(world.held_theme(&id).await.recipients, ["nca"]);
        let withdrawn = world.withdraw_theme(&id).await.unwrap().receipt.unwrap();
        assert_eq!(world.verified(Some(&withdrawn)).act.unwrap().method, "ThemeService/WithdrawTheme");
        not_shared(&world.ask_for_theme("nca", &id).await);
        assert_eq!(shared(&world.request_theme("nca", asked).await).theme, None, "nor by a repeat");
        let [event] = world.events_of("nca", "theme-withdrawn").await.try_into().unwrap();
        assert_eq!((event.theme_id.as_str(), event.agency.as_str()), (id.as_str(), "ico"));
        assert_eq!(world.events_of("ncsc", "theme-withdrawn").await, []);
        assert_eq!(world.listed("nca", "ico").await.unwrap(), []);

        let held = world.held_theme(&id).await;
        assert_eq!((held.state.as_str(), held.withdrawn_by.as_str()), ("withdrawn", "aut"));
        assert_error(world.withdraw_theme(&id).await, Code::FailedPrecondition, "WRONG_STATE");
        let backing = held.versions[0].incident_ids.clone();
        let revised = world.revise(&id, "1", world.theme_words(), backing).await;
        assert_error(revised, Code::FailedPrecondition, "WRONG_STATE");
        assert_error(world.confirm(&id, 1).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn in_one_batch_a_theme_is_withdrawn_before_it_is_asked_for(world: World) {
        let id = world.confirmed().await;
        let mut requester = world.themes_as("nca", "req", &["requester"]);
        let mut officer = world.confirmer("ico");
        let (ask, withdraw) = (asking(&id), v1::WithdrawThemeRequest { request_id: request_id(), theme_id: id.clone() });
        let ask: Pending<_> = Box::pin(async move { requester.request_theme(ask).await.unwrap().into_inner() });
        let withdraw: Pending<_> = Box::pin(async move { officer.withdraw_theme(withdraw).await.unwrap().into_inner() });
        let (asked, gone) = world.in_one_batch(ask, withdraw).await;
        not_shared(&asked);
        assert!(gone.receipt.unwrap().index < asked.receipt.unwrap().index);
    }

    async fn a_list_shows_the_parties_what_is_shared_and_no_words(world: World) {
        let shared = world.confirmed().await;
        let drafted = world.draft(world.theme_words(), world.backing().await).await.unwrap().theme_id;
        let own = world.listed("ico", "ico").await.unwrap();
        let states: Vec<&str> = own.iter().map(|theme| theme.state.as_str()).collect();
        assert!(own.iter().all(|theme| theme.title == world.theme_words().title), "{own:?}");
        assert_eq!(states.len(), 2);
        assert!(states.contains(&"shared") && states.contains(&"drafted"));
        let before = world.ledger_size().await;
        let [listed] = world.listed("nca", "ico").await.unwrap().try_into().unwrap();
        assert_eq!((listed.id.as_str(), listed.title.as_str(), listed.version), (shared.as_str(), "", 1));
        assert_eq!(world.ledger_size().await, before, "a list is no release");
        assert_error(world.listed("ico", "nca").await, Code::NotFound, "NOT_FOUND");
        let get = v1::GetThemeRequest { theme_id: drafted };
        assert_error(world.confirmer("nca").get_theme(get).await, Code::NotFound, "NOT_FOUND");
    }

    async fn pages_of_anothers_list_do_not_show_how_many_are_not_shared(world: World) {
        let backing = world.backing().await;
        for _ in 0..3 {
            let drafted = world.draft(world.theme_words(), backing.clone()).await.unwrap().theme_id;
            world.confirm(&drafted, 1).await.unwrap();
        }
        world.mark_red(&backing[0]).await;
        let shared = world.confirmed().await;
        let request = v1::ListThemesRequest { holder: "ico".into(), page_size: 1, page_token: String::new() };
        let page = world.themes_as("nca", "aut", &["authoriser"]).list_themes(request).await.unwrap().into_inner();
        assert_eq!(page.themes.iter().map(|theme| theme.id.as_str()).collect::<Vec<_>>(), [shared]);
        assert_eq!(page.next_page_token, "", "nothing follows that the NCA may know of");
    }

    async fn another_holders_theme_is_not_there(world: World) {
        let request = v1::RequestThemeRequest { holder: "ncsc".into(), ..asking(&world.confirmed().await) };
        let response = world.request_theme("nca", request).await;
        assert!(matches!(response.outcome, Some(Outcome::NotCovered(_))), "{response:?}");
        let (code, said) = world.replayed(&[]);
        assert_eq!(code, 0, "{said}");
    }

    async fn an_agency_that_may_share_themes_with_nobody_drafts_none(world: World) {
        let request = v1::DraftThemeRequest {
            request_id: request_id(),
            theme: Some(world.theme_words()),
            incident_ids: vec![world.hold("ncsc", "ico").await.incident],
        };
        assert_error(world.drafter("ncsc").draft_theme(request).await, Code::FailedPrecondition, "WRONG_STATE");
    }

    async fn what_a_theme_says_is_sealed(world: World) {
        drop(world.confirmed().await);
        for sealed in world.all_bytes("SELECT sealed FROM theme_version").await {
            assert!(!sealed.windows(6).any(|part| part == b"remote"), "the words are in the database");
            assert!(!sealed.windows(6).any(|part| part == b"Remote"), "the words are in the database");
        }
    }

    async fn a_replay_finds_a_theme_that_was_shared_after_somebody_undid_its_withdrawal(world: World) {
        let id = world.confirmed().await;
        world.withdraw_theme(&id).await.unwrap();
        let undo = ["UPDATE theme SET withdrawn_at = NULL, withdrawn_by = NULL"];
        execute(&world.config.database_url(), &undo, &undo).await;
        let response = world.ask_for_theme("nca", &id).await;
        shared(&response);
        let (code, said) = world.replayed(&[]);
        assert_eq!(code, 1, "{said}");
        assert!(said["faults"].to_string().contains("no act brought about theme"), "{said}");
        // Not for the judge at the end of each test, who would find it, too.
        let erase = format!("UPDATE entry SET wrapped_key = NULL WHERE idx = {}", response.receipt.unwrap().index);
        execute(&world.config.database_url(), &[&erase], &[&erase]).await;
    }
}
