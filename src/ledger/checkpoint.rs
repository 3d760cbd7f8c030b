//! Checkpoints: the ledger's name, size and root, signed. C2SP tlog-checkpoint inside a C2SP signed note.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::BASE64;
use signed_note::{Note, Signer, key_id};
use tlog_tiles::tlog::Hash;
use zeroize::Zeroizing;

use super::Error;

/// The C2SP signature type of plain Ed25519.
const ED25519: u8 = 1;

/// A ledger's Ed25519 signing key, named after the ledger.
pub struct SigningKey {
    name: String,
    id: u32,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}+{:08x})", self.name, self.id)
    }
}

impl Signer for SigningKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

impl SigningKey {
    /// From 32 secret bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        if !signed_note::is_key_name_valid(name) {
            return Err(Error::Key(format!("`{name}` is not a ledger name: no spaces and no `+`")));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|e| Error::Key(format!("ledger key: {e}")))?;
        let id = key_id(name, &[&[ED25519], pair.public_key().as_ref()].concat());
        Ok(Self { name: name.to_owned(), id, pair })
    }

    /// From a key file's text: `PRIVATE+KEY+NAME+ID+KEY`, as C2SP signed notes write it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Key("not a ledger key: expected PRIVATE+KEY+NAME+ID+KEY on one line".into());
        let rest = text.trim().strip_prefix("PRIVATE+KEY+").ok_or_else(wrong)?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let key = Zeroizing::new(BASE64.decode(key.as_bytes()).map_err(|_| wrong())?);
        let seed = match key.split_first() {
            Some((&ED25519, seed)) => <&[u8; 32]>::try_from(seed).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        let key = Self::from_seed(name, seed)?;
        if format!("{:08x}", key.id) == id { Ok(key) } else { Err(Error::Key("the ledger key's id is wrong".into())) }
    }

    /// The key file's text for these 32 secret bytes.
    pub fn write(name: &str, seed: &[u8; 32]) -> Result<Zeroizing<String>, Error> {
        let id = Self::from_seed(name, seed)?.id;
        let key = Zeroizing::new([&[ED25519], seed.as_slice()].concat());
        Ok(Zeroizing::new(format!("PRIVATE+KEY+{name}+{id:08x}+{}\n", BASE64.encode(&key))))
    }

    /// The verifier key to hand out: `NAME+ID+KEY`.
    pub fn verifier_key(&self) -> String {
        let key = [&[ED25519], self.pair.public_key().as_ref()].concat();
        format!("{}+{:08x}+{}", self.name, self.id, BASE64.encode(&key))
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// The key's id: the first four bytes of a hash of its name and of itself, in hexadecimal.
    pub fn id(&self) -> String {
        format!("{:08x}", self.id)
    }

    /// Signs the tree.
    pub fn sign_checkpoint(&self, size: u64, root: [u8; 32]) -> Result<String, Error> {
        sign(&[self], size, root)
    }
}

/// Signs the tree with each of these keys, which have one name.
fn sign(keys: &[&SigningKey], size: u64, root: [u8; 32]) -> Result<String, Error> {
    let failed = |e: &dyn std::fmt::Debug| Error::Checkpoint(format!("a checkpoint could not be signed: {e:?}"));
    let first = keys.first().ok_or_else(|| failed(&"no key"))?;
    let checkpoint = tlog_tiles::Checkpoint::new(&first.name, size, Hash(root), "").map_err(|e| failed(&e))?;
    let mut note = Note::new(&checkpoint.to_bytes(), &[]).map_err(|e| failed(&e))?;
    let signers: Vec<&dyn Signer> = keys.iter().map(|key| *key as &dyn Signer).collect();
    note.add_sigs(&signers).map_err(|e| failed(&e))?;
    String::from_utf8(note.to_bytes()).map_err(|e| failed(&e))
}

/// The signing keys that a node was given, all of one ledger. Which of them sign is the ledger's to say.
#[derive(Debug)]
pub struct SigningKeys {
    first: SigningKey,
    others: Vec<SigningKey>,
}

impl SigningKeys {
    /// The key with which a new ledger begins, and others. Fails if they are of different ledgers.
    pub fn new(first: SigningKey, others: Vec<SigningKey>) -> Result<Self, Error> {
        match others.iter().find(|other| other.name != first.name) {
            Some(other) => Err(Error::Key(format!("`{}` and `{}` are two ledgers", first.name, other.name))),
            None => Ok(Self { first, others }),
        }
    }

    /// The ledger's name.
    pub fn origin(&self) -> &str {
        &self.first.name
    }

    /// The key with which a new ledger begins.
    pub fn first(&self) -> &SigningKey {
        &self.first
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key of this id.
    pub fn find(&self, id: &str) -> Option<&SigningKey> {
        self.all().find(|key| key.id() == id)
    }

    /// Signs the tree with exactly the keys of these ids. Fails if one is not here.
    pub fn sign_checkpoint(&self, ids: &[String], size: u64, root: [u8; 32]) -> Result<String, Error> {
        let found = |id: &String| {
            self.find(id).ok_or_else(|| {
                Error::Key(format!(
                    "the ledger is signed with the key {}+{id}, which is in neither `ledger_key_file` nor \
                     `other_ledger_key_files`: put it there; how a key is changed is in docs/keys.md",
                    self.origin()
                ))
            })
        };
        let keys = ids.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        sign(&keys, size, root)
    }
}

/// A checkpoint whose signature has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root hash.
    pub root: [u8; 32],
}

/// Reads a checkpoint without checking who signed it: for showing one's own.
pub fn read_checkpoint(note: &str) -> Result<Checkpoint, Error> {
    let wrong = |e: &dyn std::fmt::Debug| Error::Checkpoint(format!("the checkpoint cannot be read: {e:?}"));
    let note = Note::from_bytes(note.as_bytes()).map_err(|e| wrong(&e))?;
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|e| wrong(&e))?;
    Ok(Checkpoint { origin: checkpoint.origin().to_owned(), size: checkpoint.size(), root: checkpoint.hash().0 })
}
