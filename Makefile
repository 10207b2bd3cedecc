# Two commands do everything on a fresh Debian machine with Rust: `make demo` and `make test`.
.DEFAULT_GOAL := help
# Where `make setup` puts a Node.js, if the machine's own is too old.
export PATH := $(CURDIR)/.node/node_modules/node/bin:$(PATH)
.PHONY: help setup demo build test e2e load chaos soak clients compose-test fleet fuzz fuzz-api fuzz-build lint fmt bench schemas dashboards deb deb-test kubernetes peers callgrind sharing

help: ## Say what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 20

setup: ## Install what is missing (Debian packages, ONNX Runtime, Prometheus for tests); does nothing when all is there
	@.ci/setup

demo: setup ## Build, and run synthetic cameras against an embedded broker (DEMO_SECONDS=20 ends it)
	@.ci/demo

build: setup ## Build the program: target/release/sightwire
	cargo build --release --locked

test: setup ## Run the whole suite, against real brokers and a real RTSP server
	cargo test --locked

e2e: setup ## The live page in Chromium, the whole of it, with a release build: every button, video by each way with its boxes, how old what one sees is; pictures in target/page
	cargo test --release --locked --test page -- --include-ignored --nocapture

chaos: setup ## Kill, freeze and cut off real brokers hundreds of times and a camera fifty, soak, fuzz: about 20 minutes, a summary at the end
	@.ci/chaos all

soak: setup ## Hours' worth of messages as fast as they go, with outages: memory stays flat (part of `make chaos`)
	@.ci/chaos soak

clients: setup ## Run what users connect: the example flow in a real Node-RED, every entity in real Home Assistants
	@.ci/node-red
	@.ci/home-assistant

compose-test: setup ## Build the image, bring compose.yaml's services up in an engine of its own, and look at them from outside (root, 8 GB, 20 minutes)
	@.ci/compose-test

fleet: setup ## 200 cameras on 10 nodes, stopped by one command over MQTT and over NATS: how long the last answer takes
	SIGHTWIRE_FLEET=full cargo test --release --locked --test fleet -- --nocapture --test-threads 1

load: setup ## 100 MJPEG and 20 WebRTC viewers beside none: what they cost detection, and how old what they see is (7 minutes, a quiet machine)
	cargo test --release --locked --test load -- --ignored --nocapture --test-threads 1

deb: setup ## Make the Debian package: target/debian/sightwire.deb, a release build (DEB_PROFILE=dev for a quick one)
	@.ci/deb build

deb-test: setup ## Try the Debian package in a Debian of its own: install, check, run, upgrade, remove, purge; as root
	@.ci/deb build
	@.ci/deb test

kubernetes: setup ## Hold deploy/kubernetes against Kubernetes' own schemas
	@.ci/kubernetes

sharing: setup ## Eight cameras of one model beside one, and fifty stopped ones: JSON (6 minutes, a quiet machine)
	cargo test --release --locked --test speed -- --ignored --nocapture --test-threads 1

fuzz-build: setup ## Build the fuzz targets in fuzz/, with the stable compiler
	@.ci/fuzz build

fuzz: setup ## Run each fuzz target for a while (FUZZ_SECONDS=20; part of `make chaos`)
	@.ci/fuzz run $(or $(FUZZ_SECONDS),20)

fuzz-api: setup ## Throw what the OpenAPI document allows and forbids at the HTTP API (FUZZ_CASES=50)
	@.ci/fuzz-api

lint: ## Formatting, clippy, shell scripts, licences and sources of the crates
	@.ci/setup lint
	cargo fmt --check
	rustfmt --check --edition 2024 fuzz/fuzz_targets/*.rs
	cargo clippy --locked --all-targets -- -D warnings
	shellcheck $$(git grep -lIE '^#!(/usr/bin/env (ba)?sh|/bin/(ba)?sh)')
	cargo deny --locked check licenses bans sources

fmt: ## Format the code
	cargo fmt

bench: setup ## Measure what a frame costs, part by part
	cargo bench --locked --bench hot_path

callgrind: setup ## Count the instructions of each stage of a frame: the same on a busy machine
	@.ci/callgrind

peers: setup ## Ours beside a hand-written script, Roboflow, DeGirum and bare clients; writes docs/performance.md (SIGHTWIRE_PEERS="p1 p4", PEERS_QUICK=1)
	@.ci/peers

schemas: ## Renew what is generated from the types: schemas/, protobuf code, the table of metrics
	UPDATE_GENERATED=1 cargo test --locked --test schemas --test proto
	UPDATE_GENERATED=1 cargo test --locked --test dashboards every_metric_is_in_the_documentation

dashboards: setup ## Write Grafana's dashboards anew from dashboards/make.py, and check them by Grafana's own types (npm)
	@.ci/dashboards
