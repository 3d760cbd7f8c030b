//! The ledger's signing keys and the node's secrets are replaced while nothing is lost: what was signed verifies, what was
//! sealed opens, and a key that nobody announced signs nothing.

mod ledger;
mod sealing;

pub(crate) use sealing::tell;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::cli::{concordat, exit, text};
use crate::harness::World;

impl World {
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.workspace.folder().join("node-one").join(name)
    }

    pub(crate) fn put_private(&self, name: &str, content: &str) {
        std::fs::write(self.beside(name), content).unwrap();
        std::fs::set_permissions(self.beside(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs a command on the node's configuration as it is now.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Output {
        self.config.write(&self.beside("node.toml")).unwrap();
        let file = self.beside("node.toml");
        concordat(&[arguments, &["--config", text(&file)]].concat())
    }

    /// What such a command says when it does what it should.
    pub(crate) fn did(&self, arguments: &[&str]) -> Value {
        let output = self.operator(arguments);
        assert_eq!(exit(&output), 0, "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What such a command says when it does nothing.
    pub(crate) fn declined(&self, arguments: &[&str]) -> String {
        let output = self.operator(arguments);
        assert_eq!(exit(&output), 3, "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}
