//! What a holder disclosed about an organisation, for that organisation.

use super::page::{Page, when};
use super::receipt::json;
use super::wording::filled;
use super::{Letterhead, ShownScope, Wording};
use crate::domain::{Category, Instant, NoticeKind};
use crate::proto::v1::Receipt;

/// How a disclosure was made.
#[derive(Debug, Clone)]
pub enum Made {
    /// By a release: the clauses with what they say, in the agreements' words.
    Released(Vec<String>),
    /// By an officer, elsewhere: by what means, on which ground.
    Elsewhere(String, String),
}

/// One disclosure.
#[derive(Debug, Clone)]
pub struct ShownDisclosure {
    /// When, first.
    pub at: Instant,
    /// To whom.
    pub recipient: String,
    /// Which categories.
    pub categories: Vec<Category>,
    /// How.
    pub made: Made,
    /// The consent that it relied on, with its version.
    pub consent: Option<(String, i64)>,
    /// Its receipt; none where it was made elsewhere.
    pub receipt: Option<Receipt>,
}

/// One notice to a recipient. What it said in return is its own.
#[derive(Debug, Clone)]
pub struct ShownNotice {
    /// When it was issued.
    pub at: Instant,
    /// To whom.
    pub recipient: String,
    /// When what it is about was disclosed.
    pub disclosed_at: Instant,
    /// What it asks for.
    pub kind: NoticeKind,
}

/// A statement.
#[derive(Debug)]
pub struct Statement {
    /// Who states, to whom.
    pub head: Letterhead,
    /// The disclosures, the first one first.
    pub disclosures: Vec<ShownDisclosure>,
    /// The notices about them.
    pub notices: Vec<ShownNotice>,
    /// The consents that stand, with id and version.
    pub consents: Vec<(String, i64, ShownScope)>,
}

impl Statement {
    /// The page.
    pub fn page(&self, wording: &Wording) -> String {
        let (texts, labels, head) = (&wording.statement, &wording.labels, &self.head);
        let fill = |text: &str| filled(text, head, &[]);
        let mut page = Page::new(&fill(&texts.title));
        page.terms(&[
            (&labels.organisation, vec![head.organisation.clone()]),
            (&labels.holder, vec![head.holder.clone()]),
        ]);
        texts.introduction.iter().for_each(|text| page.paragraph(&fill(text)));
        page.heading(&texts.disclosures);
        if self.disclosures.is_empty() {
            page.paragraph(&texts.none);
        } else {
            let rows: Vec<_> = self.disclosures.iter().map(|made| self.row(made, wording)).collect();
            page.table(&texts.table, &rows);
        }
        self.notices(&mut page, wording);
        page.heading(&texts.consents);
        for (id, version, scope) in &self.consents {
            let number = (labels.consent.as_str(), vec![format!("{id}, version {version}")]);
            page.terms(&[vec![number], scope.terms(head, wording)].concat());
        }
        page.paragraph(&if self.consents.is_empty() { fill(&texts.no_consents) } else { fill(&texts.withdrawal) });
        let receipts: Vec<&Receipt> = self.disclosures.iter().filter_map(|made| made.receipt.as_ref()).collect();
        if !receipts.is_empty() {
            page.heading(&texts.receipts);
            texts.proof.iter().for_each(|text| page.paragraph(&fill(text)));
        }
        for receipt in receipts {
            page.attachment(&format!("{} {}", receipt.origin, receipt.index), &json(receipt));
        }
        page.finish(head, wording)
    }

    fn row(&self, made: &ShownDisclosure, wording: &Wording) -> Vec<Vec<String>> {
        let texts = &wording.statement;
        let under = match &made.made {
            Made::Released(clauses) => clauses.clone(),
            Made::Elsewhere(means, ground) => {
                vec![filled(&texts.elsewhere, &self.head, &[("means", means), ("ground", ground)])]
            }
        };
        let consent = made.consent.as_ref().map(|(id, version)| format!("{id}, version {version}"));
        vec![
            vec![when(made.at)],
            vec![made.recipient.clone()],
            made.categories.iter().map(|one| wording.category(one.as_str())).collect(),
            under,
            vec![consent.unwrap_or_else(|| texts.without_consent.clone())],
            vec![made.receipt.as_ref().map_or_else(|| "–".to_owned(), |receipt| receipt.index.to_string())],
        ]
    }

    fn notices(&self, page: &mut Page, wording: &Wording) {
        let texts = &wording.statement;
        if self.notices.is_empty() {
            return;
        }
        let what = |kind: NoticeKind| match kind {
            NoticeKind::StopFurtherUse => texts.notice_kinds.stop_further_use.clone(),
            NoticeKind::Correction => texts.notice_kinds.correction.clone(),
            NoticeKind::Recall => texts.notice_kinds.recall.clone(),
        };
        let row = |notice: &ShownNotice| {
            let (at, about) = (when(notice.at), when(notice.disclosed_at));
            [at, notice.recipient.clone(), about, what(notice.kind)].map(|cell| vec![cell]).to_vec()
        };
        page.heading(&texts.notices);
        page.table(&texts.notice_table, &self.notices.iter().map(row).collect::<Vec<_>>());
    }
}
