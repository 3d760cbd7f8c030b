//! The table: who may import whom.

/// What a module may use.
pub(super) struct Rule {
    pub(super) module: &'static str,
    /// Modules of this crate.
    pub(super) modules: &'static [&'static str],
    /// Other crates, besides std.
    pub(super) crates: &'static [&'static str],
    /// Parts of std that reach outside the process or read a clock.
    pub(super) outside: &'static [&'static str],
}

/// In the order of `lib.rs`: from the socket inwards, then what composes it and what calls it.
pub(super) const RULES: &[Rule] = &[
    Rule {
        module: "connections",
        modules: &["domain", "identity", "proto", "telemetry", "tls"],
        crates: &[
            "arc_swap",
            "bytes",
            "http",
            "http_body",
            "hyper",
            "hyper_util",
            "rustls",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tokio_util",
            "tonic",
            "tonic_types",
            "tower",
            "tracing",
        ],
        outside: &["io", "net", "time"],
    },
    // Who calls: chain, token, keys and time come in as values.
    Rule {
        module: "identity",
        modules: &["domain"],
        crates: &[
            "arc_swap",
            "aws_lc_rs",
            "data_encoding",
            "jsonwebtoken",
            "moka",
            "serde",
            "serde_json",
            "thiserror",
            "x509_parser",
        ],
        outside: &["time"],
    },
    Rule {
        module: "pki",
        modules: &["domain"],
        crates: &["aws_lc_rs", "data_encoding", "rcgen", "thiserror", "time", "x509_parser"],
        outside: &[],
    },
    Rule {
        module: "tls",
        modules: &["domain", "identity"],
        crates: &[
            "http",
            "hyper_util",
            "rustls",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tonic",
            "tower",
            "x509_parser",
        ],
        outside: &["fs", "io", "time"],
    },
    // What is counted: it knows the contract's RPCs by name, and nobody's records.
    Rule {
        module: "telemetry",
        modules: &["proto"],
        crates: &[
            "http",
            "opentelemetry",
            "opentelemetry_otlp",
            "opentelemetry_sdk",
            "prometheus_client",
            "prost",
            "prost_types",
            "tokio",
            "tracing",
        ],
        outside: &["time"],
    },
    // The one clock.
    Rule { module: "clock", modules: &["domain"], crates: &[], outside: &["time"] },
    // Nouns and their rules: no I/O, no clock, no randomness, no format of the wire.
    Rule {
        module: "domain",
        modules: &[],
        crates: &["data_encoding", "serde", "thiserror", "time", "toml"],
        outside: &[],
    },
    // Arithmetic over bytes, to be lifted out by an auditor.
    Rule {
        module: "ledger",
        modules: &["domain", "proto"],
        crates: &[
            "aws_lc_rs",
            "data_encoding",
            "prost",
            "signature",
            "signed_note",
            "thiserror",
            "tlog_tiles",
            "zeroize",
        ],
        outside: &[],
    },
    Rule { module: "proto", modules: &[], crates: &["tonic"], outside: &[] },
    Rule {
        module: "veris",
        modules: &["domain", "proto"],
        crates: &["aws_lc_rs", "data_encoding", "prost", "prost_reflect", "serde_json", "time"],
        outside: &[],
    },
    Rule {
        module: "seal",
        modules: &["domain"],
        crates: &["aws_lc_rs", "data_encoding", "thiserror", "zeroize"],
        // Without random bytes there is nothing better to do than to stop.
        outside: &["process"],
    },
    // The same fields and wording give the same page.
    Rule {
        module: "papers",
        modules: &["domain", "proto"],
        crates: &["prost", "prost_reflect", "serde", "serde_json", "toml"],
        outside: &[],
    },
    // What a menu file says, and where content stands in it.
    Rule {
        module: "menu",
        modules: &["domain", "proto", "statistics"],
        crates: &["prost_reflect", "serde", "toml"],
        outside: &[],
    },
    // Facts about a victim in, whom to turn to out.
    Rule { module: "signpost", modules: &["domain"], crates: &["serde", "toml"], outside: &[] },
    // Incidents of a quarter in, tables out: what is published must be the same whoever computes it.
    Rule { module: "statistics", modules: &[], crates: &["serde"], outside: &[] },
    // Facts in, decision out: a decision must replay years later.
    Rule {
        module: "decision",
        modules: &["domain", "statistics"],
        crates: &["aws_lc_rs", "cedar_policy", "miette", "serde", "thiserror", "toml"],
        outside: &[],
    },
    Rule {
        module: "store",
        modules: &["decision", "domain", "ledger", "proto", "seal", "statistics"],
        // Bytes go into a set of a statement as text.
        crates: &["data_encoding", "prost", "rustix", "serde", "serde_json", "sqlx", "thiserror"],
        outside: &["fs", "time"],
    },
    // The use cases know neither the wire's framework nor the database's.
    Rule {
        module: "exchange",
        modules: &[
            "clock",
            "decision",
            "domain",
            "ledger",
            "menu",
            "papers",
            "proto",
            "release",
            "seal",
            "signpost",
            "statistics",
            "store",
            "telemetry",
        ],
        crates: &["aws_lc_rs", "prost", "prost_types", "serde", "serde_json", "thiserror", "tokio", "tracing"],
        // How long a batch may take.
        outside: &["time"],
    },
    Rule {
        module: "release",
        modules: &["decision", "domain", "proto", "seal", "store"],
        crates: &["thiserror"],
        outside: &[],
    },
    Rule {
        module: "wire",
        modules: &[
            "connections",
            "decision",
            "domain",
            "exchange",
            "identity",
            "ledger",
            "proto",
            "release",
            "rotation",
            "signpost",
            "store",
        ],
        crates: &[
            "aws_lc_rs",
            "prost",
            "prost_types",
            "tokio",
            "tonic",
            "tonic_health",
            "tonic_reflection",
            "tonic_types",
            "tracing",
        ],
        outside: &["time"],
    },
    Rule {
        module: "config",
        modules: &["domain", "proto"],
        crates: &[
            "data_encoding",
            "http",
            "schemars",
            "serde",
            "serde_json",
            "strsim",
            "thiserror",
            "toml",
            "tracing_subscriber",
            "zeroize",
        ],
        outside: &["env", "fs", "net"],
    },
    // What is on disk, put in place.
    Rule {
        module: "rotation",
        modules: &["config", "connections", "domain", "identity", "telemetry", "tls"],
        crates: &["arc_swap", "rustls", "tokio", "tokio_util", "tracing", "x509_parser", "zeroize"],
        outside: &["fs", "io", "time"],
    },
    // Probes and metrics, in plain text: nothing here knows a record.
    Rule {
        module: "ops",
        modules: &["connections", "telemetry", "wire"],
        crates: &["http", "hyper", "hyper_util", "tokio", "tokio_util", "tonic", "tower", "tracing"],
        outside: &["io", "net", "time"],
    },
    // The only one that composes.
    Rule {
        module: "server",
        modules: &[
            "clock",
            "config",
            "connections",
            "decision",
            "domain",
            "exchange",
            "identity",
            "ledger",
            "ops",
            "proto",
            "rotation",
            "store",
            "telemetry",
            "wire",
        ],
        // A checkpoint may be kept as a command printed it.
        crates: &["arc_swap", "rustix", "serde_json", "tokio", "tokio_util", "tracing"],
        outside: &["fs", "net", "time"],
    },
    Rule {
        module: "client",
        modules: &["clock", "config", "domain", "identity", "tls"],
        crates: &["http", "serde", "serde_json", "toml", "tonic", "tower"],
        // A context may name a program that prints the token, and its files are looked at every few seconds.
        outside: &["fs", "process", "time"],
    },
    Rule {
        module: "dev",
        modules: &["client", "config", "domain", "ledger", "pki", "proto", "seal", "store"],
        crates: &["data_encoding"],
        outside: &["fs", "io", "net"],
    },
];

/// Where a module may use another, but only these values of it.
pub(super) const NARROW: &[(&str, &str, &[&str])] = &[
    // What the gate rests on is stored; nothing is decided here.
    ("store", "decision", &["Basis"]),
    // What was counted and what was published is stored; nothing is counted here.
    // What an agreement asks of statistics; nothing is counted where it is decided.
    ("decision", "statistics", &["Rule"]),
    ("store", "statistics", &["Coordinates", "Rule"]),
    // The contract's own description, not its messages.
    ("menu", "proto", &["ANONYMISED", "DESCRIPTORS"]),
    ("wire", "store", &["Answer", "Due", "PublicationRow", "QuestionRow", "ReleaseMade", "ReminderRow"]),
    ("wire", "decision", &["Activity", "Clause", "Modality"]),
    ("wire", "ledger", &["read_checkpoint"]),
    ("wire", "release", &["ReleasedIncident", "Shared"]),
    // Who makes room for whom, and no connection of an agency's.
    ("ops", "connections", &["Handshakes", "Underway"]),
    // Health, and no service of the contract.
    ("ops", "wire", &["Readiness"]),
    // Which roles there are; nothing of the contract's messages.
    ("config", "proto", &["ROLES"]),
    ("dev", "proto", &["ROLES"]),
];
