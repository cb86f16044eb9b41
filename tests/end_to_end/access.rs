//! Users, signatures and HTTPS: the real process, the real SDK, and files that change under it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use serde_json::Value;

use crate::process::refused;
use crate::server::{Server, assert_refused, command, create_table, data_directory, refusal, s, send_signal};

/// A change of a file that is not seen within this has failed.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(30);

/// A user's key.
struct Key {
    id: String,
    secret: String,
}

/// Runs `torc ctl user` for a data directory.
fn ctl(data: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torc"));
    command.args(["ctl", "user"]).args(words).arg("--data-dir").arg(data).output().unwrap()
}

fn add_user(data: &Path, words: &[&str]) -> Key {
    let output = ctl(data, &[&["add", "--json"], words].concat());
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| json[name].as_str().unwrap().to_string();
    Key { id: text("access_key_id"), secret: text("secret_access_key") }
}

/// An SDK client that signs with a key; over HTTPS it trusts `authority` alone.
fn client(endpoint: &str, key: &Key, authority: Option<&str>) -> Client {
    let builder = aws_smithy_http_client::Builder::new();
    let http = match authority {
        None => builder.build_http(),
        Some(pem) => {
            let trust = TrustStore::empty().with_pem_certificate(pem.as_bytes());
            let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
            builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https()
        }
    };
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(&key.id, &key.secret, None, None, "tests"))
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn http_client(server: &Server, key: &Key) -> Client {
    client(&format!("http://{}", server.address()), key, None)
}

/// Asks again until the answer is right.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + RELOAD_TIME_MAX;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}: not within {RELOAD_TIME_MAX:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn users_sign_and_may_do_what_they_may() {
    let data = data_directory();
    let root = add_user(data.path(), &["root"]);
    let reader = add_user(data.path(), &["reader", "--tables", "tab,other-*", "--read-only"]);
    let server = Server::start_in(data.path());
    assert!(server.banner().contains("2 users"), "{}", server.banner());
    assert!(!server.banner().contains(&root.secret));

    let (by_root, by_reader) = (http_client(&server, &root), http_client(&server, &reader));
    create_table(&by_root, "tab", None).await;
    create_table(&by_root, "hidden", None).await;
    // Bytes that a signature has to survive: spaces, quotes, and what is not ASCII.
    by_root.put_item().table_name("tab").item("p", s("k \u{e9}\u{1F600} \"x\"  y")).send().await.unwrap();
    let found = by_reader
        .get_item()
        .table_name("tab")
        .key("p", s("k \u{e9}\u{1F600} \"x\"  y"))
        .send()
        .await
        .unwrap();
    assert!(found.item.is_some());
    assert_eq!(by_reader.scan().table_name("tab").send().await.unwrap().count(), 1);

    let put = by_reader.put_item().table_name("tab").item("p", s("a")).send().await;
    let (code, message) = refusal(put);
    assert_eq!(code, "AccessDeniedException");
    assert_eq!(
        message,
        "User: arn:aws:iam::000000000000:user/reader is not authorized to perform: dynamodb:PutItem on resource: \
         arn:aws:dynamodb:us-east-1:000000000000:table/tab because no identity-based policy allows the \
         dynamodb:PutItem action"
    );
    let get = by_reader.get_item().table_name("hidden").key("p", s("a")).send().await;
    assert_refused(get, "AccessDeniedException", "table/hidden");
    assert_refused(by_reader.list_tables().send().await, "AccessDeniedException", "dynamodb:ListTables");

    let wrong = Key { id: root.id.clone(), secret: reader.secret.clone() };
    let refused = http_client(&server, &wrong).list_tables().send().await;
    assert_refused(refused, "InvalidSignatureException", "does not match the signature you provided");
    let nobody = Key { id: "TORCNOBODYNOBODYNOBO".to_string(), secret: root.secret.clone() };
    let refused = http_client(&server, &nobody).list_tables().send().await;
    assert_refused(
        refused,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    server.stop();
}

#[tokio::test]
async fn users_change_without_a_restart() {
    let data = data_directory();
    let server = Server::start_in(data.path());
    let anybody = Key { id: "any".to_string(), secret: "any".to_string() };
    assert!(http_client(&server, &anybody).list_tables().send().await.is_ok(), "nobody is asked");

    let first = add_user(data.path(), &["first"]);
    let open = http_client(&server, &anybody);
    until("the door closes", || async { open.list_tables().send().await.is_err() }).await;
    let by_first = http_client(&server, &first);
    // Each core takes the change by itself: a few answers in a row are from all of them.
    until("the first may enter", || async {
        let mut all = true;
        for _ in 0..8 {
            all &= http_client(&server, &first).list_tables().send().await.is_ok();
        }
        all
    })
    .await;

    let second = add_user(data.path(), &["second"]);
    send_signal(server.pid(), "HUP");
    let by_second = http_client(&server, &second);
    until("the second may enter", || async { by_second.list_tables().send().await.is_ok() }).await;

    assert!(ctl(data.path(), &["remove", "first"]).status.success());
    until("the first is out", || async { by_first.list_tables().send().await.is_err() }).await;

    // A file that is damaged, and one that is gone, open no door and close none.
    let file = data.path().join("users.toml");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"version = 1\nnonsense").unwrap();
    send_signal(server.pid(), "HUP");
    assert!(by_second.list_tables().send().await.is_ok());
    std::fs::remove_file(&file).unwrap();
    send_signal(server.pid(), "HUP");
    assert!(open.list_tables().send().await.is_err());
    assert!(by_second.list_tables().send().await.is_ok());
    std::fs::write(&file, whole).unwrap();
    assert!(by_second.list_tables().send().await.is_ok());
    server.stop();
}

#[test]
fn a_public_address_needs_users() {
    let data = data_directory();
    let public = ["--http", "0.0.0.0:0"];
    let text = String::from_utf8_lossy(&refused(command(data.path(), &public)).stderr).to_string();
    assert!(text.contains("torc ctl user add") && text.contains("--allow-public"), "{text}");
    let open = Server::start_with(data.path(), &[&public[..], &["--allow-public"]].concat());
    assert!(open.banner().contains("OPEN: whoever reaches"), "{}", open.banner());
    open.stop();
    add_user(data.path(), &["app"]);
    let server = Server::start_with(data.path(), &public);
    assert!(server.banner().contains("1 user, in "), "{}", server.banner());
    server.stop();
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let data = data_directory();
    let absent = data.path().join("absent.toml");
    let check = |words: &[&str], part: &str| {
        let text = String::from_utf8_lossy(&refused(command(data.path(), words)).stderr).to_string();
        assert!(text.contains(part), "{words:?}: {text}");
    };
    check(&["--http", "127.0.0.1:0", "--users", absent.to_str().unwrap()], "absent.toml");
    add_user(data.path(), &["app"]);
    let users = data.path().join("users.toml");
    Command::new("chmod").arg("644").arg(&users).status().unwrap();
    check(&["--http", "127.0.0.1:0"], "chmod 600");
    std::fs::remove_file(&users).unwrap();
    let (mine, other) = (Files::new(data.path(), "mine"), Files::new(data.path(), "other"));
    let nonsense = data.path().join("nonsense.pem");
    std::fs::write(&nonsense, "nonsense").unwrap();
    let https = |certificate: &Path, key: &Path, part: &str| {
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        check(
            &["--http", "none", "--https", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key],
            part,
        );
    };
    https(&nonsense, &mine.key, "nonsense.pem");
    https(&mine.certificate, &nonsense, "no private key");
    https(&mine.certificate, &other.key, "cannot be used");
    https(&absent, &mine.key, "absent.toml");
    check(&["--tls-cert", nonsense.to_str().unwrap()], "--tls-key");
}

/// A certificate for this host and its key, and the authority that a client has to trust for it.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authority: String,
}

impl Files {
    fn new(place: &Path, name: &str) -> Files {
        let files = Files {
            certificate: place.join(format!("{name}.pem")),
            key: place.join(format!("{name}.key")),
            authority: String::new(),
        };
        let authority = files.renew();
        Files { authority, ..files }
    }

    /// Writes a certificate of a new authority, and returns that.
    fn renew(&self) -> String {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        // A name of its own: OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "an authority of torc's tests");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(&self.key, key.serialize_pem()).unwrap();
        std::fs::write(&self.certificate, certificate.pem()).unwrap();
        authority.pem()
    }
}

/// A server for HTTP and HTTPS; the URL of the latter.
fn server_with_https(data: &Path, files: &Files) -> (Server, String) {
    let server = Server::start_with(
        data,
        &[
            "--http",
            "127.0.0.1:0",
            "--https",
            "127.0.0.1:0",
            "--tls-cert",
            files.certificate.to_str().unwrap(),
            "--tls-key",
            files.key.to_str().unwrap(),
        ],
    );
    let banner = server.banner();
    let url =
        banner.lines().find_map(|line| line.strip_prefix("listening https://")).expect("the banner names it");
    let url = format!("https://{url}");
    (server, url)
}

#[tokio::test]
async fn https_with_users() {
    let data = data_directory();
    let files = Files::new(data.path(), "server");
    let key = add_user(data.path(), &["app"]);
    let (server, url) = server_with_https(data.path(), &files);
    let secure = client(&url, &key, Some(&files.authority));
    create_table(&secure, "tab", None).await;
    let large = "x".repeat(300_000);
    for number in 0..5 {
        secure
            .put_item()
            .table_name("tab")
            .item("p", s(format!("k{number}")))
            .item("v", s(&large))
            .send()
            .await
            .unwrap();
    }
    let page = secure.scan().table_name("tab").consistent_read(true).send().await.unwrap();
    assert!(page.count() >= 3 && page.items()[0]["v"].as_s().unwrap() == &large, "a page of a megabyte");
    let plain = http_client(&server, &key).scan().table_name("tab").send().await.unwrap();
    assert_eq!(plain.count(), page.count(), "both listeners serve the same");
    let wrong = Key { id: key.id.clone(), secret: "x".repeat(40) };
    let refused = client(&url, &wrong, Some(&files.authority)).list_tables().send().await;
    assert_refused(refused, "InvalidSignatureException", "");
    let stranger = Files::new(data.path(), "stranger");
    assert!(
        client(&url, &key, Some(&stranger.authority)).list_tables().send().await.is_err(),
        "whom it does not trust"
    );

    // The certificate changes while it runs.
    let authority = files.renew();
    send_signal(server.pid(), "HUP");
    until("the new certificate is shown", || async {
        client(&url, &key, Some(&authority)).list_tables().send().await.is_ok()
    })
    .await;
    assert!(secure.list_tables().send().await.is_ok(), "connections that are there go on");
    server.stop();
}

/// `torc bench` proves who it is, over both listeners; who does not is told what the server said.
#[test]
fn the_load_generator_signs() {
    let data = data_directory();
    let files = Files::new(data.path(), "server");
    let key = add_user(data.path(), &["bench"]);
    let authority = data.path().join("authority.pem");
    std::fs::write(&authority, &files.authority).unwrap();
    let (server, url) = server_with_https(data.path(), &files);
    let bench = |endpoint: &str, words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_torc"));
        command.args(["bench", "--endpoint", endpoint]).args(words);
        let common = "--workload a --keys 100 --connections 2 --verify --warmup 100ms --duration 500ms --limits 0s --quiet";
        command.args(common.split(' ')).stdin(std::process::Stdio::null());
        command.env("AWS_ACCESS_KEY_ID", &key.id).env("AWS_SECRET_ACCESS_KEY", &key.secret);
        command.env_remove("AWS_SESSION_TOKEN").output().unwrap()
    };
    let plain = format!("http://{}", server.address());
    let done = bench(&plain, &["--sign"]);
    assert!(done.status.success(), "{done:?}");
    let done = bench(&url, &["--sign", "--ca-file", authority.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    let refused = bench(&plain, &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("InvalidSignatureException: "), "{said}");
    server.stop();
}

#[test]
fn what_is_no_https_is_told_or_cut_off() {
    let data = data_directory();
    let files = Files::new(data.path(), "server");
    let (server, url) = server_with_https(data.path(), &files);
    let address = url.strip_prefix("https://").unwrap();
    let ask = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let answer = String::from_utf8(ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("use https:// instead of http://\n"),
        "{answer}"
    );
    for nonsense in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x00\x01\x02\x03", b"\x16\x03\x01\xff\xff\xff"] {
        let answer = ask(&[nonsense, &[0; 70_000]].concat());
        assert!(answer.is_empty() || answer[0] == 21, "nothing, or an alert: {answer:?}");
    }
    // Many that say nothing keep nobody else from shaking hands.
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "30", "--cacert"])
        .arg({
            let path = data.path().join("authority.pem");
            std::fs::write(&path, &files.authority).unwrap();
            path
        })
        .arg(format!("{url}/"))
        .output();
    match output {
        Ok(output) => {
            assert_eq!(String::from_utf8_lossy(&output.stdout), "healthy: dynamodb.us-east-1.amazonaws.com ")
        }
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "only a host without curl is excused")
        }
    }
    drop(silent);
    server.stop();
}
