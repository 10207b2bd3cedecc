//! The live page in a real browser: the program as people run it, Debian's Chromium, driven by Playwright.
//!
//! Each test is one check in `checks/`; `node tests/page/main.mjs <check>` runs it by hand (`SIGHTWIRE` names the program).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking; what a check says is printed"
)]

#[path = "../common/npm.rs"]
mod npm;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Two browsers at once take each other's time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page")
}

fn check(name: &str) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    npm::install(&folder());
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
    std::fs::create_dir_all(&pictures).unwrap();
    let done = Command::new("node")
        .args(["main.mjs", name])
        .current_dir(folder())
        .env("SIGHTWIRE", env!("CARGO_BIN_EXE_sightwire"))
        .env("PICTURES", pictures)
        .output();
    let done = done.unwrap_or_else(|e| panic!("node: {e}; `make setup` installs Node.js"));
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    println!("{said}");
    assert!(done.status.success(), "{name}\n{said}\n{errors}");
}

#[test]
fn the_grid_shows_every_camera_as_it_is_and_a_dead_one_as_dead() {
    check("grid");
}

#[test]
fn every_button_does_what_it_says_and_says_what_came_of_it() {
    check("controls");
}

#[test]
fn charts_move_and_can_be_read_by_who_cannot_see_them() {
    check("charts");
}

#[test]
fn the_page_is_usable_by_keyboard_by_screen_readers_and_on_a_phone() {
    check("access");
}

#[test]
fn a_lost_node_is_said_to_be_lost_and_found_again() {
    check("connection");
}

#[test]
fn without_the_token_there_is_nothing_but_the_login_form() {
    check("token");
}

#[test]
fn video_moves_by_each_way_with_the_boxes_of_its_frames() {
    check("video");
}

#[test]
fn where_commands_are_to_be_signed_the_page_says_so() {
    check("signed");
}

#[test]
fn cameras_come_and_go_with_a_reload() {
    check("reload");
}

#[test]
#[ignore = "sleeps for minutes; part of `make e2e`"]
fn a_browser_that_slept_shows_what_is_now() {
    check("sleep");
}

#[test]
#[ignore = "waits for what never comes; part of `make e2e`"]
fn where_webrtc_cannot_be_there_is_hls() {
    check("blocked");
}

#[test]
#[ignore = "measures for a minute; part of `make e2e`"]
fn how_old_what_one_sees_is_by_each_way() {
    check("latency");
}
