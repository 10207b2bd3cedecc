//! Who may come in.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Node, SECRET, until};

const ONE: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes }\n";

fn bearer() -> String {
    format!("Bearer {SECRET}")
}

#[test]
fn a_page_of_another_site_reaches_nothing_by_name_form_or_socket() {
    let node = Node::start(", hosts: [garage.local]", ONE);
    let port = node.address.rsplit(':').next().unwrap();
    for own in ["localhost", &format!("localhost:{port}"), &node.address, "[::1]", "garage.local:8720"] {
        node.get("/api/cameras", &[("Host", own)]).expect(200);
    }
    for bent in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example"] {
        let problem = node.get("/api/cameras", &[("Host", bent)]).problem(421, "wrong_host");
        assert!(problem["detail"].as_str().unwrap().contains("hosts: ["), "says what to configure: {problem}");
        node.get("/healthz", &[("Host", bent)]).expect(200);
    }
    node.get("/", &[("Host", "evil.example"), ("Accept", "text/html")]).expect(421);
    node.get("/api/cameras", &[("Host", "")]).expect(400);

    let own = format!("http://{}", node.address);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://garage.local.evil.example"] {
        node.post("/api/cameras/door/stop", &[("Origin", origin)], b"").problem(403, "cross_site");
        let upgrade = [("Origin", origin), ("Upgrade", "websocket"), ("Connection", "upgrade")];
        node.get("/ws", &upgrade).problem(403, "cross_site");
    }
    node.post("/api/cameras/door/stop", &[("Sec-Fetch-Site", "same-site")], b"").problem(403, "cross_site");
    let picture = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")];
    node.get("/cameras/door/keyframe.jpg", &picture).problem(403, "cross_site");
    let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    node.get("/", &link).expect(200);
    assert_eq!(node.camera("door")["desired"], "running", "nothing of this was heeded");

    node.post("/api/cameras/door/stop", &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], b"").expect(200);
    node.post("/api/cameras/door/start", &[("Origin", "https://garage.local")], b"").expect(200);
    let preflight = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "PUT")];
    let answer = node.send("OPTIONS", "/api/cameras/door/stop", &preflight, b"");
    assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")), "{:?}", answer.headers);
}

#[test]
fn a_browser_logs_in_with_a_form_and_gets_a_cookie_that_scripts_cannot_see() {
    let node = Node::start(", token_file: token", ONE);
    let page = [("Accept", "text/html,application/xhtml+xml")];
    let sent = node.get("/cameras/x?a=b", &page).expect(303);
    assert_eq!(sent.header("location"), "/login?next=%2Fcameras%2Fx%3Fa%3Db");
    let script = [("Accept", "application/json"), ("User-Agent", "Mozilla/5.0 (X11)")];
    let problem = node.get("/api/cameras", &script).expect(401);
    assert_eq!(problem.header("www-authenticate"), "Bearer");
    problem.problem(401, "token_needed");
    let form = node.get("/login?next=/api/node", &[]).expect(200);
    assert!(form.text().contains(r#"name="next" value="/api/node""#), "{}", form.text());
    node.get("/login.css", &[]).expect(200);

    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let refused = node.post("/login", &[kind], b"token=wrong-wrong-wrong&next=/x").expect(401);
    assert!(refused.header("set-cookie").is_empty() && refused.text().contains("not the token"));
    let body = format!("token={SECRET}&next=/api/node");
    let cross = [kind, ("Origin", "http://evil.example")];
    node.post("/login", &cross, body.as_bytes()).problem(403, "cross_site");
    node.post("/login", &[("Content-Type", "text/plain")], body.as_bytes()).expect(415);
    let welcome = node.post("/login", &[kind], body.as_bytes()).expect(303);
    assert_eq!(welcome.header("location"), "/api/node");
    let cookie = welcome.header("set-cookie").to_owned();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(flag), "{flag} is missing in {cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("geheim"));
    let by_tls = node.post("/login", &[kind, ("X-Forwarded-Proto", "https")], body.as_bytes()).expect(303);
    assert!(by_tls.header("set-cookie").contains("; Secure"));
    let away = node.post("/login", &[kind], format!("token={SECRET}&next=//evil.example").as_bytes()).expect(303);
    assert_eq!(away.header("location"), "/");

    let session = cookie.split(';').next().unwrap();
    node.get("/api/cameras", &[("Cookie", session)]).expect(200);
    node.post("/api/cameras/door/stop", &[("Cookie", session), ("Origin", "http://evil.example")], b"").expect(403);
    let out = node.post("/logout", &[("Cookie", session)], b"").expect(303);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    node.get("/api/cameras", &[("Cookie", session)]).expect(401);
    node.get("/api/cameras", &[("Cookie", &format!("sightwire_session={SECRET}"))]).expect(401);
}

#[test]
fn programs_bring_the_token_and_guessing_it_is_slow() {
    let node = Node::start(", token_file: token", ONE);
    let right = bearer();
    for path in ["/", "/metrics", "/api/cameras", "/api/openapi.json"] {
        node.get(path, &[]).expect(401);
        let answer = node.get(path, &[("Authorization", &right)]);
        assert!(matches!(answer.status, 200 | 503), "{path}: {}", answer.status);
    }
    node.get("/metrics", &[("Authorization", &right), ("Host", "sightwire:8720")]).expect(200);
    node.get("/healthz", &[]).expect(200);
    let password = |password: &str| format!("Basic {}", STANDARD.encode(format!("player:{password}")));
    node.get("/metrics", &[("Authorization", &password(SECRET))]).expect(200);
    node.get("/metrics", &[("Authorization", &password("geraten"))]).problem(401, "wrong_token");
    for (agent, challenge) in [("Lavf/61", "Basic realm=\"sightwire\""), ("Mozilla/5.0 (X11)", "Bearer")] {
        let asked = node.get("/metrics", &[("User-Agent", agent)]).expect(401);
        assert_eq!(asked.header("www-authenticate"), challenge);
    }
    // A player that is given user and password in the address, as all are.
    let until_shown = || {
        let mut player = Command::new("ffprobe");
        player.args(["-v", "error", "-show_entries", "stream=width", "-of", "csv=p=0"]);
        let output =
            player.arg(format!("http://any:{SECRET}@{}/cameras/door/frame.jpg", node.address)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == "160"
    };
    until("ffprobe gets the picture", until_shown);
    // Where it could stand in a log, a history or a referrer, it opens nothing.
    node.get(&format!("/metrics?token={SECRET}"), &[]).problem(401, "token_needed");
    let mut said = Vec::new();
    for _ in 0..30 {
        said.push(node.get("/metrics", &[("Authorization", "Bearer geraten-geraten")]).status);
    }
    assert!(said.starts_with(&[401, 401, 401]) && said.contains(&429), "{said:?}");
    let waits = node.get("/metrics", &[("Authorization", "Bearer geraten-geraten")]);
    if waits.status == 429 {
        assert!(waits.header("retry-after").parse::<u32>().is_ok(), "{:?}", waits.headers);
    }
    node.get("/healthz", &[]).expect(200);
}

#[test]
fn a_stranger_behind_the_same_proxy_locks_out_nobody_else() {
    let node = Node::start(", token_file: token, proxies: [127.0.0.1]", ONE);
    let right = bearer();
    let ask =
        |token: &str, from: &str| node.get("/metrics", &[("Authorization", token), ("X-Forwarded-For", from)]).status;
    let said: Vec<u16> = (0..20).map(|_| ask("Bearer geraten-geraten", "198.51.100.1, 203.0.113.7")).collect();
    assert!(said.contains(&429), "{said:?}");
    // What stands before the proxy's own word is the stranger's invention.
    assert_eq!(ask("Bearer geraten-geraten", "192.0.2.99, 203.0.113.7"), 429);
    assert_eq!(ask(&right, "198.51.100.1"), 200);
    assert_eq!(ask(&right, "203.0.113.8"), 200);
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("X-Forwarded-For", "203.0.113.8")];
    let welcome = node.post("/login", &form, format!("token={SECRET}").as_bytes()).expect(303);
    let session = welcome.header("set-cookie").split(';').next().unwrap().to_owned();
    // Who is logged in is held up by nobody's guesses, and a proxy's own password is no guess of his.
    let basic = format!("Basic {}", STANDARD.encode("ana:the-proxys"));
    for _ in 0..20 {
        let from = [("Cookie", session.as_str()), ("Authorization", &basic), ("X-Forwarded-For", "203.0.113.7")];
        node.get("/metrics", &from).expect(200);
    }
    assert!(node.log().contains("203.0.113.7"), "the log names the visitor");
}

#[test]
fn supervisors_need_no_token_to_learn_whether_the_node_is_ready() {
    let node = Node::start(", token_file: token", ONE);
    let right = bearer();
    until("it is ready", || node.get("/readyz", &[]).status == 200);
    // As kubelet and Docker ask, and by whatever name.
    let bare =
        node.get("/readyz", &[("Host", "pod.example:8720"), ("User-Agent", "kube-probe/1.33")]).expect(200).json();
    assert_eq!((&bare["ready"], &bare["cameras"]), (&true.into(), &serde_json::json!([])));
    let whole = node.get("/readyz", &[("Authorization", &right)]).expect(200).json();
    assert_eq!(whole["cameras"][0]["name"], "door", "{whole}");
    node.get("/readyz", &[("Authorization", "Bearer geraten-geraten")]).problem(401, "wrong_token");
    node.get("/readyz", &[("Sec-Fetch-Site", "cross-site")]).problem(403, "cross_site");

    let open = Node::start("", &format!("{ONE}  gone: {{ source: gone.mp4, model: shapes }}\n"));
    open.until_state("gone", "failed");
    assert_eq!(open.get("/readyz", &[]).expect(503).json()["cameras"][1]["name"], "gone");
    let bent = open.get("/readyz", &[("Host", "evil.example")]).expect(503);
    assert!(!bent.text().contains("gone"), "{}", bent.text());
    // A camera that somebody stopped is as it should be.
    open.post("/api/cameras/gone/stop", &[], b"").expect(200);
    open.get("/readyz", &[]).expect(200);
    assert_eq!(open.get("/healthz", &[]).expect(200).text(), "ok\n");
}

#[test]
fn every_answer_carries_what_browsers_are_to_heed() {
    let node = Node::start("", ONE);
    let [evil, foreign] = [("Host", "evil.example"), ("Origin", "http://evil.example")];
    let answers = ["/", "/login", "/api/cameras", "/nowhere", "/healthz", "/metrics", "/cameras/%ff/frame.jpg"]
        .map(|path| (path, node.get(path, &[])));
    let refused = [
        ("wrong host", node.get("/", &[evil])),
        ("cross-site", node.post("/api/cameras/door/stop", &[foreign], b"")),
        ("too large", node.post("/api/cameras/door/stop", &[], &vec![b' '; 70_000])),
        ("no such method", node.send("TRACE", "/", &[], b"")),
        ("not modified", node.get("/", &[("If-None-Match", node.get("/", &[]).header("etag"))])),
    ];
    for (path, answer) in answers.into_iter().chain(refused) {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'self'"), "{path}: {policy}");
        assert!(answer.header("access-control-allow-origin").is_empty(), "{path}");
    }
}

#[test]
fn a_cameras_password_comes_out_nowhere() {
    let cameras = format!(
        "{ONE}  gate: {{ source: \"rtsp://joe:{SECRET}@127.0.0.1:9/s\", model: shapes }}\n  \
         old: {{ source: \"http://127.0.0.1:9/snap?user=joe&password={SECRET}\", model: shapes }}\n"
    );
    let node = Node::start("", &cameras);
    node.until_state("gate", "failed");
    node.until_state("old", "failed");
    // Every answer that is read is searched for it.
    for path in [
        "/",
        "/api/cameras",
        "/api/cameras/gate",
        "/api/cameras/old",
        "/api/node",
        "/metrics",
        "/readyz",
        "/api/openapi.json",
    ] {
        node.get(path, &[]);
    }
    for path in ["/api/cameras/gate/status", "/api/node/status", "/api/cameras/gate/stop", "/api/cameras/old/explode"] {
        node.post(path, &[], b"");
    }
    let shown = node.camera("gate")["settings"]["source"].as_str().unwrap().to_owned();
    assert_eq!(shown, "rtsp://***@127.0.0.1:9/s");
    assert!(!node.log().contains(SECRET));
}
