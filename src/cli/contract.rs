//! The contract as commands and reference see it: each RPC is a noun and a verb, and each comment is at hand.
//!
//! Nothing here names a service: what is added to `proto/` is a command, and is in the reference, by being there.

use std::collections::BTreeMap;

use concordat::proto::{ACCESS, DESCRIPTORS};
use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor, ServiceDescriptor};

/// The package whose services are commands.
const PACKAGE: &str = "concordat.v1";

/// The services and messages of the contract, with their comments.
pub(super) struct Contract {
    pool: DescriptorPool,
    comments: BTreeMap<(String, Vec<i32>), String>,
    rpcs: Vec<Rpc>,
}

/// One RPC, as it is typed.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    /// The service, such as `consent`.
    pub(super) noun: String,
    /// What is done, such as `withdraw`.
    pub(super) verb: String,
    /// The method.
    pub(super) method: MethodDescriptor,
    /// The roles of which the caller needs one; none: any officer.
    pub(super) roles: &'static [&'static str],
    /// Whether only officers of an agency whose records the node holds may call.
    pub(super) own_agency: bool,
}

impl Contract {
    /// Reads the descriptors. Where a fixed command has a verb already, the RPC's verb is its whole name.
    pub(super) fn load(fixed: &clap::Command) -> anyhow::Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS)?;
        let mut comments = BTreeMap::new();
        for file in pool.files() {
            let source = file.file_descriptor_proto().source_code_info.as_ref();
            for location in source.into_iter().flat_map(|source| &source.location) {
                let text = location.leading_comments.as_deref().map(text_of).unwrap_or_default();
                if !text.is_empty() {
                    comments.insert((file.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        let mut rpcs: Vec<Rpc> = Vec::new();
        for method in pool.services().filter(is_ours).flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let service = method.parent_service();
            let (noun_words, words) = (words(service.name().trim_end_matches("Service")), words(method.name()));
            let (noun, whole) = (noun_words.join("-"), words.join("-"));
            let verb = verb(&noun_words, &words);
            let in_fixed = fixed.find_subcommand(&noun).is_some_and(|noun| noun.find_subcommand(&verb).is_some());
            let in_rpcs = rpcs.iter().any(|rpc| rpc.noun == noun && rpc.verb == verb);
            let verb = if in_fixed || in_rpcs { whole } else { verb };
            let path = format!("/{}/{}", service.full_name(), method.name());
            let rule = ACCESS.iter().find(|(rule, ..)| *rule == path);
            let (roles, own_agency) = rule.map_or((&[] as &[&str], false), |(_, roles, own)| (*roles, *own));
            rpcs.push(Rpc { noun, verb, method, roles, own_agency });
        }
        Ok(Self { pool, comments, rpcs })
    }

    /// Every description, other packages' included.
    pub(super) fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The services, in the order of the contract's files.
    pub(super) fn services(&self) -> impl Iterator<Item = ServiceDescriptor> {
        self.pool.services().filter(is_ours)
    }

    /// The files that define the contract.
    pub(super) fn files(&self) -> impl Iterator<Item = FileDescriptor> {
        self.pool.files().filter(|file| file.package_name() == PACKAGE)
    }

    /// Every RPC, in the order of the contract.
    pub(super) fn rpcs(&self) -> &[Rpc] {
        &self.rpcs
    }

    /// The RPCs of a service.
    pub(super) fn rpcs_of<'a>(&'a self, service: &'a ServiceDescriptor) -> impl Iterator<Item = &'a Rpc> {
        self.rpcs.iter().filter(move |rpc| rpc.method.parent_service() == service)
    }

    /// The RPC that is typed like this.
    pub(super) fn typed(&self, noun: &str, verb: &str) -> Option<&Rpc> {
        self.rpcs.iter().find(|rpc| rpc.noun == noun && rpc.verb == verb)
    }

    /// What the contract says of the thing at this place of this file; empty if nothing. Paragraphs are apart by an
    /// empty line, each on one line.
    pub(super) fn comment(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.comments.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}

impl Rpc {
    /// `ConsentService/WithdrawConsent`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.method.parent_service().name(), self.method.name())
    }

    /// Who may call it, as a sentence.
    pub(super) fn callers(&self) -> String {
        let whose = if self.own_agency { "an agency whose records the node holds" } else { "any known agency" };
        match self.roles {
            [] => format!("May be called by any officer of {whose}."),
            [role] => format!("May be called by an officer of {whose} with the role {role}."),
            [most @ .., last] => {
                format!("May be called by an officer of {whose} with the role {} or {last}.", most.join(", "))
            }
        }
    }
}

/// The first sentence.
pub(super) fn sentence(text: &str) -> &str {
    let text = text.split("\n\n").next().unwrap_or_default();
    let ends = text.match_indices(". ").map(|(at, _)| at);
    let mut ends = ends.filter(|at| {
        text.get(at + 2..).is_some_and(|next| next.starts_with(|first: char| first.is_uppercase() || first == '`'))
    });
    ends.next().and_then(|end| text.get(..=end)).unwrap_or(text)
}

/// The first sentence as a line of a list, without its full stop.
pub(super) fn short(text: &str) -> String {
    let sentence = sentence(text);
    sentence.strip_suffix('.').unwrap_or(sentence).to_owned()
}

/// A comment that begins with the name of what it is on, as a text that stands without that name.
pub(super) fn without_name(name: &str, text: &str) -> String {
    let rest = text.strip_prefix(name).map_or(text, str::trim_start);
    let rest = rest.strip_prefix("is ").unwrap_or(rest);
    let mut letters = rest.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn is_ours(service: &ServiceDescriptor) -> bool {
    service.package_name() == PACKAGE
}

/// A comment's paragraphs, each on one line.
fn text_of(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ")
    });
    paragraphs.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// `WithdrawConsent` as `withdraw`, `consent`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for letter in name.chars() {
        match words.last_mut() {
            Some(word) if !letter.is_uppercase() => word.push(letter),
            _ => words.push(letter.to_lowercase().to_string()),
        }
    }
    words
}

/// An RPC's words without the noun at their end, be it one or many.
fn verb(noun: &[String], words: &[String]) -> String {
    let is_noun = |word: &String, noun: &String| {
        let many = noun.strip_suffix('y').map_or_else(|| format!("{noun}s"), |stem| format!("{stem}ies"));
        word == noun || *word == many
    };
    let split = words.len().checked_sub(noun.len()).filter(|at| *at > 0);
    let (verb, rest) = split.and_then(|at| words.split_at_checked(at)).unwrap_or((words, &[]));
    let ends_with_noun = rest.len() == noun.len() && rest.iter().zip(noun).all(|(word, noun)| is_noun(word, noun));
    if ends_with_noun { verb.join("-") } else { words.join("-") }
}
