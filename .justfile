# One door for everything: `just` lists it. CI calls the same commands.

[private]
default:
    @just --justfile "{{ justfile() }}" --list --unsorted

# The whole system on loopback, without any account
[group('run')]
demo *arguments:
    cargo run --release -- demo {{ arguments }}

# All roles, with the settings of .env
[group('run')]
serve *arguments:
    cargo run --release -- serve {{ arguments }}

# Shopee, Telegram and Google as a simulator, to develop against
[group('run')]
simulate *arguments:
    cargo run --release -- simulate {{ arguments }}

# Everything in containers; three workers: `just up --scale worker=3`
[group('run')]
up *arguments:
    docker compose up --build --detach {{ arguments }}

# All tests, or those whose names contain a word
[group('check')]
test *arguments:
    cargo test --locked {{ arguments }}

# What CI runs
[group('check')]
ci:
    .ci/run

# Formatting and lints
[group('check')]
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# Licenses, sources, bans and advisories of the dependencies
[group('check')]
deny:
    cargo deny --all-features --config .deny.toml check

# Documentation, with links that lead somewhere
[group('check')]
doc:
    RUSTDOCFLAGS='-D rustdoc::broken_intra_doc_links' cargo doc --locked --no-deps --lib

# Regenerate what is generated
[group('change')]
gen:
    cargo run --quiet -- openapi > openapi/admin.json.new
    mv openapi/admin.json.new openapi/admin.json

# Format
[group('change')]
fmt:
    cargo fmt
