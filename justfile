# Each recipe is a command that can be typed as well: `just` itself is never needed.

tools := env("CONCORDAT_TOOLS_DIR", env("XDG_CACHE_HOME", home_directory() / ".cache") / "concordat/tools")
buf := quote(tools / "node_modules/.bin/buf")
target := env("CARGO_TARGET_DIR", "target")

# List the recipes.
default:
    @just --list

# Format Rust and the contract.
fmt:
    cargo fmt
    .ci/install buf
    {{ buf }} format --write

# Everything that finds fault without running the program.
lint:
    .ci/install buf deny
    .ci/run format hygiene proto crypto deny clippy

# Build the documentation, warnings being errors.
doc:
    .ci/run docs

# Check the contract, and that it breaks nothing that `main` promised.
proto:
    .ci/install buf
    .ci/run proto
    {{ buf }} breaking --against '.git#branch=main'

# Every test, on SQLite and PostgreSQL. Installs PostgreSQL where it is missing and we may.
test:
    -.ci/install postgres
    cargo test --locked

# The story, told in the terminal by three nodes. `just demo --once` exits after it.
demo *arguments:
    cargo run --locked -- demo {{ arguments }}

# The clients in other languages, against a developer's node.
clients:
    .ci/install buf protoc python go jq
    .ci/run clients

# Renew what is made for the chart of its values and of the program: its README and a part of its schema.
chart:
    .ci/install helm promtool checks
    cargo build --quiet --locked
    CONCORDAT={{ target }}/debug/concordat tests/helm/run --renew

# The pictures of the dashboards in docs/pictures, of a run of twelve minutes against two pods with a Prometheus.
pictures *arguments:
    .ci/install postgres helm prometheus pictures
    cargo build --quiet --locked
    helm/pictures/run {{ target }}/debug/concordat {{ arguments }}

# Renew docs/reference.md, which a test compares with the contract, the reasons and the agreements.
reference:
    cargo run --quiet --locked -- reference > docs/reference.md

# Renew docs/metrics.md, which a test compares with the table of metrics.
metrics:
    cargo run --quiet --locked -- metrics > docs/metrics.md

# Renew docs/coverage.md: what the agreements ask for, and which clauses, RPCs and tests answer it.
coverage:
    CONCORDAT_RENEW=1 cargo test --quiet --locked --test it -- coverage

# What this program writes, for the tests of the next one to read: before a migration is added, and committed with it.
before-migration:
    cargo test --quiet --locked --test it -- --ignored written::write

# A gated release against a bare echo.
bench:
    cargo bench --locked --bench release

# The instructions of what a release computes, against those recorded. `just instructions --record` records them.
instructions *arguments:
    .ci/install valgrind
    cargo bench --locked --bench instructions -- {{ arguments }}

# Whether the time to an answer tells the reasons for "open" apart: Welch's t of each pair, beside 20 µs that are planted.
times *arguments:
    cargo bench --locked --bench axes -- times {{ arguments }}

# Every test, the long ones included.
long:
    .ci/install postgres
    CONCORDAT_TESTS=all CONCORDAT_LONG=1 cargo test --locked --test it -- --include-ignored
    tests/control

# The operators' drills: restores, an upgrade and back, and restarts under load (as many as are given, on each database).
drills restarts="200":
    .ci/install postgres
    CONCORDAT_RESTARTS={{ restarts }} cargo test --locked --test it -- backup upgrade restarts --nocapture

# Races against a gate that reads before it locks, which they must find.
control:
    tests/control

# What CI runs.
ci:
    .ci/run

# Break the gate, one condition at a time, and see the oracle go red.
conjuncts *pattern:
    tests/conjuncts {{ pattern }}
