//! The dashboards as Grafana wants them, and as people do.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::files::{DASHBOARDS, dashboard, folder, panels, queries, read};

const QUESTIONS: [&str; 5] = [
    "Is every camera alive?",
    "How old is what I see, and which stage makes it so?",
    "What is lost, where and why?",
    "Is the broker the bottleneck?",
    "How much room is left on this machine?",
];

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn the_dashboards_are_what_their_generator_writes() {
    let fresh = tempfile::tempdir().unwrap();
    let ran = Command::new("python3").arg("-B").arg(folder().join("make.py")).arg(fresh.path()).status().unwrap();
    assert!(ran.success());
    for name in DASHBOARDS {
        let file = format!("{name}.json");
        let same = std::fs::read_to_string(fresh.path().join(&file)).unwrap() == read(&file);
        assert!(same, "{file} is not what make.py writes; renew it by `make dashboards`");
    }
}

#[test]
fn every_row_is_a_question() {
    let fleet = dashboard("fleet");
    let rows = |dashboard: &Value| -> Vec<String> {
        let rows = panels(dashboard).iter().filter(|panel| panel["type"] == "row");
        rows.map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rows(&fleet)[..5], QUESTIONS);
    for name in DASHBOARDS {
        assert!(rows(&dashboard(name)).iter().all(|title| title.ends_with('?')), "{name}");
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_stands_in_nobodys_way() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty() && ids.insert(number(&panel["id"])), "{name}: the id of '{title}' is another's");
            let at = |key: &str| number(&panel["gridPos"][key]);
            assert!(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= 24, "{title}");
            for (x, y) in (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y))) {
                assert!(taken.insert((x, y)), "{name}: '{title}' lies over another");
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 10), "{title}: no description");
            assert!(
                panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty()),
                "{title}: no unit"
            );
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{title}");
            let refs: BTreeSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert_eq!(refs.len(), targets.len(), "{title}");
            for at in targets.iter().chain([panel]) {
                assert_eq!(at["datasource"]["uid"], "${datasource}", "{title}");
            }
        }
    }
}

#[test]
fn every_variable_is_used_and_links_lead_to_dashboards_that_are_there() {
    let uids: Vec<String> = DASHBOARDS.iter().map(|name| dashboard(name)["uid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(uids, ["sightwire-fleet", "sightwire-camera"]);
    for name in DASHBOARDS {
        let (dashboard, text) = (dashboard(name), read(&format!("{name}.json")));
        assert_eq!(dashboard["id"], Value::Null, "Grafana gives its own");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let mut asked: String = queries(&dashboard).into_iter().map(|(_, expr)| expr).collect();
        for variable in variables {
            asked += variable["definition"].as_str().unwrap_or_default();
        }
        asked += "${datasource}";
        for variable in variables {
            let variable = variable["name"].as_str().unwrap();
            let used = asked.contains(&format!("${variable}")) || asked.contains(&format!("${{{variable}}}"));
            assert!(used, "{name}: nobody uses ${variable}");
        }
        for (_, target) in text.match_indices("/d/").map(|(at, _)| text[at + 3..].split_at(0)) {
            let uid = target.split(['/', '?', '"']).next().unwrap();
            assert!(uids.iter().any(|known| known == uid), "{name}: no dashboard {uid}");
        }
        let links = dashboard["links"].as_array().unwrap();
        assert!(!links.is_empty() && links.iter().all(|link| link["includeVars"] == true && link["keepTime"] == true));
    }
}
