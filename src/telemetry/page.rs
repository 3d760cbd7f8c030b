//! `docs/metrics.md`, from the table.

use super::{METRICS, Row};

const HEAD: &str = "# Metrics

Printed by `concordat metrics` from the table in `src/telemetry/table.rs`; `just metrics` renews this page.

A node answers `GET /metrics` on its port for probes and metrics ([operations.md](operations.md#probes-and-metrics)), in the
OpenMetrics text format. No label names an organisation, an incident, an officer or another agency's ids, and but for a
clause that erred nothing tells one reason for which nothing was released from another. Counts and times tell of a single
call where there are few: releases and denials, withdrawals, nudges, what is overdue, the seconds between lock and commit;
and nothing limits how often they are read. Let monitoring alone reach the port ([SECURITY.md](../SECURITY.md)).

Each series is this replica's own: sum them over replicas, except where a metric says what is in the database
(`concordat_ledger_entries`, `concordat_nudges_due`, `concordat_overdue`, `concordat_agreements_in_force`), of which take the
maximum. A labelled series appears with its first value, and a gauge once its figure is known; those of
`concordat_call_seconds` and `concordat_queue_overloads_total` are there from the start.

Histograms of times have the buckets 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250 and 500 ms, 1, 2, 5, 10 and 30 s; that of batches
1, 2, 4 and so on to 256 calls.

| Metric | Kind | Labels | What it tells |
| --- | --- | --- | --- |
";

/// The page.
pub fn page() -> String {
    let row = |row: &Row| {
        let labels: Vec<String> = row.labels.iter().map(|(name, values)| format!("`{name}`: {values}")).collect();
        format!("| `{}` | {} | {} | {} |\n", row.name, row.kind, labels.join("<br>"), row.help)
    };
    METRICS.iter().map(row).fold(HEAD.to_owned(), |page, row| page + &row)
}
