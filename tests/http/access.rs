//! Access control from outside: keys, tokens, roles, grants, limits, audit, TLS, and the list of
//! attacks with the status that each gets.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::Server;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Makes a key with the command line, as an administrator would before the first start.
fn key(data: &Path, arguments: &[&str]) -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
        .args(["keys", "create", "test", "--data-dir"])
        .arg(data)
        .args(arguments)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn bearer(key: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {key}"))
}

/// A request with a key.
fn ask(
    server: &Server,
    key: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> crate::support::Reply {
    let (name, value) = bearer(key);
    match method {
        "GET" => server.get_with(path, &[(name, &value)]),
        _ => server.send(method, path, &[(name, &value), JSON], body.to_string().as_bytes()),
    }
}

fn small(server: &Server, key: &str, graph: &str) {
    ask(server, key, "PUT", &format!("/v1/graphs/{graph}"), &json!({})).ok(201);
    let changes = json!({"changes": [
        {"op": "put", "type": "node", "id": "a", "country": "CHN"},
        {"op": "put", "type": "node", "id": "b"},
        {"op": "put", "type": "flow", "from": "a", "to": "b"}]});
    ask(server, key, "POST", &format!("/v1/graphs/{graph}/changes"), &changes).ok(200);
}

fn question() -> Value {
    json!({"shocks": [{"select": {"node": "a"}}],
           "targets": [{"name": "b", "select": {"node": "b"}}]})
}

#[test]
fn each_role_may_do_what_it_should_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let keys: Vec<String> =
        ["reader", "analyst", "editor", "admin"].map(|r| key(dir.path(), &["--role", r])).into();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "auth=keys"]);
    small(&server, &keys[2], "g");
    // Rows: method, path, body, index of the least role.
    let rows = [
        ("GET", "/v1/graphs/g", json!({}), 0),
        ("GET", "/v1/graphs/g/nodes/a", json!({}), 0),
        ("GET", "/metrics", json!({}), 0),
        ("POST", "/v1/graphs/g/impacts", question(), 1),
        ("PUT", "/v1/scenarios/s", question(), 1),
        ("PUT", "/v1/graphs/g/nodes/c", json!({}), 2),
        ("POST", "/v1/admin/keys", json!({"name": "n", "role": "reader"}), 3),
        ("GET", "/v1/admin/audit", json!({}), 3),
        ("POST", "/v1/admin/backup", json!({}), 3),
    ];
    for (method, path, body, least) in &rows {
        for (role, key) in keys.iter().enumerate() {
            let reply = ask(&server, key, method, path, body);
            if role < *least {
                reply.problem(403, "forbidden");
            } else {
                assert!(reply.status < 300, "{method} {path} as {role}: {}", reply.text);
            }
        }
        let bare = match *method {
            "GET" => server.get(path),
            method => server.send(method, path, &[JSON], body.to_string().as_bytes()),
        };
        assert_eq!(bare.header("www-authenticate"), "Bearer realm=\"chokepoint\"");
        bare.problem(401, "unauthorized");
    }
    // Health checks need no key.
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.get("/openapi.json").status, 200);
}

#[test]
fn grants_hide_other_graphs_and_their_answers() {
    let dir = tempfile::tempdir().unwrap();
    let admin = key(dir.path(), &["--role", "admin"]);
    let guest = key(dir.path(), &["--role", "analyst", "--graph", "open-*=analyst"]);
    let server = Server::start(dir.path(), &["--no-seed", "--set", "auth=keys"]);
    small(&server, &admin, "open-data");
    small(&server, &admin, "secret");
    let seen = ask(&server, &guest, "GET", "/v1/graphs", &Value::Null).ok(200);
    assert_eq!(seen["results"].as_array().unwrap().len(), 1);
    ask(&server, &guest, "POST", "/v1/graphs/open-data/impacts", &question()).ok(200);
    ask(&server, &guest, "GET", "/v1/graphs/secret/nodes/a", &Value::Null)
        .problem(403, "forbidden");
    let answer = ask(&server, &admin, "POST", "/v1/graphs/secret/impacts", &question()).ok(200);
    let id = answer["id"].as_str().unwrap();
    ask(&server, &admin, "GET", &format!("/v1/impacts/{id}"), &Value::Null).ok(200);
    for part in ["", "/explanation", "/table.csv"] {
        let path = format!("/v1/impacts/{id}{part}");
        ask(&server, &guest, "GET", &path, &Value::Null).problem(403, "forbidden");
    }
    // A fork would be a copy.
    let fork = json!({"forked_from": {"graph": "secret"}});
    ask(&server, &guest, "PUT", "/v1/graphs/open-copy", &fork).problem(403, "forbidden");
    // Jobs belong to who asked.
    let (name, value) = bearer(&admin);
    let job = server.send(
        "POST",
        "/v1/graphs/secret/impacts",
        &[(name, &value), JSON, ("prefer", "respond-async")],
        json!({"shocks": [{"select": {"node": "a"}, "loss": 0.5}],
               "targets": [{"name": "b", "select": {"node": "b"}}]})
        .to_string()
        .as_bytes(),
    );
    assert_eq!(job.status, 202, "{}", job.text);
    let job = job.header("location").to_owned();
    ask(&server, &guest, "GET", &job, &Value::Null).problem(404, "not_found");
    ask(&server, &admin, "GET", &job, &Value::Null).ok(200);
}

#[test]
fn bad_credentials_are_refused_alike() {
    let dir = tempfile::tempdir().unwrap();
    let admin = key(dir.path(), &["--role", "admin"]);
    let other = key(dir.path(), &["--role", "reader"]);
    let server = Server::start(dir.path(), &["--no-seed", "--set", "auth=keys"]);
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    let secret = |key: &str| key.split('_').nth(2).unwrap().to_owned();
    let swapped = format!("cpk_{}_{}", id(&admin), secret(&other));
    for bad in ["", "x", "cpk_", "cpk_0_0", &swapped, &admin[..admin.len() - 1]] {
        let (name, value) = bearer(bad);
        server.get_with("/v1/graphs", &[(name, &value)]).problem(401, "unauthorized");
    }
    server.get_with("/v1/graphs", &[("authorization", "Basic YTpi")]).problem(401, "unauthorized");
    // Either header is taken.
    assert_eq!(server.get_with("/v1/graphs", &[("x-api-key", &admin)]).status, 200);
    // A key in the address is refused even if it is right.
    server
        .get_with(&format!("/v1/graphs?api_key={admin}"), &[("x-api-key", &admin)])
        .problem(400, "invalid_parameter");
    // Made over the API, shown once, revoked.
    let new = json!({"name": "bot", "role": "reader", "expires_days": 1});
    let made = ask(&server, &admin, "POST", "/v1/admin/keys", &new).ok(201);
    let bot = made["key"].as_str().unwrap().to_owned();
    ask(&server, &bot, "GET", "/v1/graphs", &Value::Null).ok(200);
    let listed = ask(&server, &admin, "GET", "/v1/admin/keys", &Value::Null).ok(200).to_string();
    assert!(!listed.contains(&secret(&bot)));
    let path = format!("/v1/admin/keys/{}", made["id"].as_str().unwrap());
    let (name, value) = bearer(&admin);
    server.delete_with(&path, &[(name, &value)]).ok(200);
    ask(&server, &bot, "GET", "/v1/graphs", &Value::Null).problem(401, "unauthorized");
    server.delete_with("/v1/admin/keys/absent", &[(name, &value)]).problem(404, "not_found");
}

#[test]
fn writes_and_acts_of_administrators_are_in_the_audit_log() {
    let dir = tempfile::tempdir().unwrap();
    let admin = key(dir.path(), &["--role", "admin"]);
    let reader = key(dir.path(), &["--role", "reader"]);
    let flags = ["--no-seed", "--set", "auth=keys"];
    let server = Server::start(dir.path(), &flags);
    small(&server, &admin, "g");
    ask(&server, &reader, "PUT", "/v1/graphs/g/nodes/x", &json!({})).problem(403, "forbidden");
    assert_eq!(server.terminate(), Some(0));
    let server = Server::start(dir.path(), &flags);
    let log = ask(&server, &admin, "GET", "/v1/admin/audit?graph=g", &Value::Null).ok(200);
    let entries = log["results"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{log}");
    assert_eq!(entries[0]["status"], 403);
    assert_eq!(entries[1]["version"], "1");
    let who = format!("key:{}", admin.split('_').nth(1).unwrap());
    assert_eq!(entries[1]["who"], who.as_str());
    // The version log names the principal, whatever the request claimed.
    let versions = ask(&server, &admin, "GET", "/v1/graphs/g/versions", &Value::Null).ok(200);
    assert_eq!(versions["results"][1]["author"], who.as_str());
    ask(&server, &admin, "GET", "/v1/admin/audit?from=yesterday", &Value::Null)
        .problem(400, "invalid_parameter");
}

/// An issuer: a key of its own and the set that the server reads.
struct Issuer {
    key: EncodingKey,
    pem: String,
}

impl Issuer {
    fn new(dir: &Path, name: &str) -> Self {
        let pem = dir.join(format!("{name}.pem"));
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
            .arg(&pem)
            .output()
            .unwrap();
        assert!(made.status.success());
        let pem = std::fs::read_to_string(pem).unwrap();
        Self { key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), pem }
    }

    fn jwk(&self, id: &str) -> Value {
        use jsonwebtoken::jwk::Jwk;
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::RS256) };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({"iss": "https://idp.example", "aud": "chokepoint", "sub": "ann", "exp": now() + 600,
           "role": "editor"})
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            out.push(DIGITS[(n >> (18 - 6 * i) & 63) as usize] as char);
        }
    }
    out
}

#[test]
fn tokens_of_the_issuer_are_taken_and_forged_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = Issuer::new(dir.path(), "issuer");
    let stranger = Issuer::new(dir.path(), "stranger");
    let jwks = dir.path().join("jwks.json");
    std::fs::write(&jwks, json!({"keys": [issuer.jwk("k1")]}).to_string()).unwrap();
    let jwks = format!("jwt_jwks={}", jwks.display());
    let data = dir.path().join("data");
    let server = Server::start(
        &data,
        &[
            "--no-seed",
            "--set",
            "auth=tokens",
            "--set",
            "jwt_issuer=https://idp.example",
            "--set",
            "jwt_audience=chokepoint",
            "--set",
            &jwks,
        ],
    );
    let good = issuer.token("k1", &claims());
    small(&server, &good, "g");
    let author = ask(&server, &good, "GET", "/v1/graphs/g/versions", &Value::Null).ok(200);
    assert_eq!(author["results"][1]["author"], "sub:ann");
    ask(&server, &good, "GET", "/v1/admin/audit", &Value::Null).problem(403, "forbidden");

    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value;
        issuer.token("k1", &changed)
    };
    let payload = base64(claims().to_string().as_bytes());
    let none = format!("{}.{payload}.", base64(br#"{"alg":"none","typ":"JWT"}"#));
    // The public key as a shared secret: the classic confusion of algorithms.
    let confused = {
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(issuer.pem.as_bytes())).unwrap()
    };
    let mut missing = claims();
    missing.as_object_mut().unwrap().remove("exp");
    let tampered = {
        let parts: Vec<&str> = good.split('.').collect();
        let admin = claims().to_string().replace("editor", "admin");
        format!("{}.{}.{}", parts[0], base64(admin.as_bytes()), parts[2])
    };
    let cases = [
        ("expired", with("exp", json!(now() - 3600))),
        ("other audience", with("aud", json!("other"))),
        ("other issuer", with("iss", json!("https://evil.example"))),
        ("not yet valid", with("nbf", json!(now() + 3600))),
        ("no end", issuer.token("k1", &missing)),
        ("empty subject", with("sub", json!(""))),
        ("none", none),
        ("confused", confused),
        ("tampered", tampered),
        ("stranger", stranger.token("k1", &claims())),
        ("unknown key", issuer.token("k2", &claims())),
        ("no token", "abc".into()),
        ("long", "a.".repeat(20_000)),
    ];
    for (name, token) in cases {
        let (header, value) = bearer(&token);
        let reply = server.get_with("/v1/graphs", &[(header, &value)]);
        // A token longer than a header may be is refused before it is read.
        assert!(
            reply.status == 401 || (name == "long" && reply.status == 400),
            "{name}: {reply:?}"
        );
    }
    // Roles: a list holds its best; a token without one may read.
    let admin = with("role", json!(["reader", "admin", "something"]));
    ask(&server, &admin, "GET", "/v1/admin/audit", &Value::Null).ok(200);
    let reader = with("role", json!(7));
    ask(&server, &reader, "GET", "/v1/graphs/g", &Value::Null).ok(200);
    ask(&server, &reader, "PUT", "/v1/graphs/h", &json!({})).problem(403, "forbidden");
    let scoped = with("graphs", json!({"h": "reader"}));
    ask(&server, &scoped, "GET", "/v1/graphs/g", &Value::Null).problem(403, "forbidden");
}

#[test]
fn an_open_server_refuses_to_listen_to_other_machines() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
        .args(["serve", "--bind", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("access control is off"));
    let check = |settings: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chokepoint"));
        command.args(["config", "check"]).envs(settings.iter().copied());
        command.output().unwrap()
    };
    assert!(check(&[]).status.success());
    let bad = check(&[("CHOKEPOINT_AUTH", "tokens")]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("jwt_issuer"));
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(dir.path(), &["--no-seed", "--set", "rate_limit=1", "--set", "rate_burst=3"]);
    let statuses: Vec<u16> = (0..6).map(|_| server.get("/v1/graphs").status).collect();
    assert_eq!(&statuses[..3], [200; 3]);
    let limited = server.get("/v1/graphs");
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
    limited.problem(429, "rate_limited");
    // Health checks are not counted.
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn work_over_the_memory_budget_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "memory_budget_mib=1"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    server.import("g", "", "{\"type\":\"node\",\"id\":\"a\"}\n").ok(200);
    let scenarios: Vec<Value> = (0..6000)
        .map(|i| json!({"id": i.to_string(), "shocks": [{"select": {"node": "a"}}]}))
        .collect();
    let body = json!({"scenarios": scenarios, "targets": [{"name": "a", "select": {"node": "a"}}]});
    server.post("/v1/graphs/g/impacts/batch", &body).problem(503, "over_budget");
}

#[test]
fn browsers_are_kept_careful_and_other_origins_out() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start(dir.path(), &["--no-seed", "--set", "cors_origins=https://a.example"]);
    let page = server.get("/docs/");
    assert_eq!(page.status, 200);
    for reply in [page, server.get("/v1/graphs"), server.get("/v1/absent")] {
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    let from = |origin| server.get_with("/v1/graphs", &[("origin", origin)]);
    assert_eq!(
        from("https://a.example").header("access-control-allow-origin"),
        "https://a.example"
    );
    assert_eq!(from("https://b.example").header("access-control-allow-origin"), "");
    // Without a setting no page of another origin may read anything.
    let closed = tempfile::tempdir().unwrap();
    let server = Server::start(closed.path(), &["--no-seed"]);
    let reply = server.get_with("/v1/graphs", &[("origin", "https://a.example")]);
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[test]
fn crooked_requests_get_an_error_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed"]);
    for path in [
        "/v1/graphs/..%2f..%2fetc%2fpasswd",
        "/v1/graphs/../../etc/passwd",
        "/docs/../../../etc/passwd",
        "/docs/%2e%2e/%2e%2e/etc/passwd",
        "/v1/scenarios/..%2f..%2fx",
        "/v1/impacts/..%2fx",
    ] {
        let answer = server.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404", "307"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}");
    }
    // Line breaks in a header value do not become headers or log lines.
    let injected = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\n b: c\r\n\r\n";
    assert!(!server.raw(injected.as_bytes()).contains("\r\nb: c"));
    let name = server.get("/v1/graphs/a%0d%0aset-cookie:%20x=1");
    assert_eq!(name.header("set-cookie"), "");
    name.problem(404, "not_found");
    // Two lengths, a bad length, a bad version.
    for request in [
        "POST /v1/graphs/g/impacts HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
        "POST /v1/graphs/g/impacts HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "\0\0\0\0",
    ] {
        let answer = server.raw(request.as_bytes());
        assert!(answer.is_empty() || answer.contains(" 400 "), "{request:?}: {answer}");
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_compressed_bomb_is_stopped_at_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "json_limit_mib=1"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    // 64 MiB of spaces in 64 KiB.
    let mut packed = Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = packed.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let spaces = vec![b' '; 1 << 20];
        (0..64).for_each(|_| to.write_all(&spaces).unwrap());
    });
    let mut bomb = Vec::new();
    packed.stdout.take().unwrap().read_to_end(&mut bomb).unwrap();
    writer.join().unwrap();
    packed.wait().unwrap();
    assert!(bomb.len() < 1 << 17);
    let headers = [JSON, ("content-encoding", "gzip")];
    server.send("POST", "/v1/graphs/g/impacts", &headers, &bomb).problem(413, "too_large");
}

#[test]
fn slow_clients_are_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed", "--set", "request_timeout_seconds=1"]);
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost:").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = Vec::new();
    let start = std::time::Instant::now();
    stream.read_to_end(&mut answer).unwrap();
    assert!(start.elapsed() < Duration::from_secs(8));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
}

#[test]
fn metrics_count_requests_by_route() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &["--no-seed"]);
    server.put("/v1/graphs/g", &json!({})).ok(201);
    for i in 0..3 {
        server.get(&format!("/v1/graphs/g/nodes/absent{i}")).problem(404, "not_found");
    }
    let text = server.get("/metrics").text;
    let line = text
        .lines()
        .find(|l| l.starts_with("chokepoint_http_requests_total") && l.contains("404"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("route=\"/v1/graphs/{g}/nodes/{id}\"") && line.ends_with(" 3"), "{line}");
    for name in ["chokepoint_resident_bytes", "chokepoint_graphs 1", "chokepoint_up 1"] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn tls_serves_with_its_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args(["/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success());
    let set = [format!("tls_certificate={}", cert.display()), format!("tls_key={}", key.display())];
    let data = dir.path().join("data");
    let server = Server::spawn(&data, &["--no-seed", "--set", &set[0], "--set", &set[1]]);
    assert!(server.base.starts_with("https://"));
    let end = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let got = Command::new("curl")
            .args(["-sS", "--cacert"])
            .arg(&cert)
            .arg(format!("{}/healthz", server.base))
            .output()
            .unwrap();
        if String::from_utf8_lossy(&got.stdout).contains("ok") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{}", String::from_utf8_lossy(&got.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
}
