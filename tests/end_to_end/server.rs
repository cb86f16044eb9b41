//! One `torc serve` process, and clients for it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

/// A start that takes longer than this has failed. Generous: the machine may be busy compiling.
const START_TIME_MAX: Duration = Duration::from_secs(60);
/// A stop that takes longer than this has failed.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// On loopback, wherever there is room.
pub const ANY_PORT: &[&str] = &["--http", "127.0.0.1:0"];

/// Names an endpoint that is there already: tests of the API run against it instead, one after the other.
const ENDPOINT_VARIABLE: &str = "TORC_TEST_ENDPOINT";

/// A running server; killed and waited for when dropped.
pub struct Server {
    /// None when it is somebody else's.
    child: Option<Child>,
    endpoint: String,
    banner: Vec<String>,
    data: PathBuf,
    /// Removes the data directory at the end, unless it belongs to the test.
    _temporary: Option<tempfile::TempDir>,
}

impl Server {
    /// A server on a new, empty data directory.
    pub fn start() -> Server {
        let temporary = data_directory();
        let mut server = Server::start_in(temporary.path());
        server._temporary = Some(temporary);
        server
    }

    /// A server on a data directory that outlives it.
    pub fn start_in(data: &Path) -> Server {
        Server::start_with(data, ANY_PORT)
    }

    /// The same with arguments of its own, the address among them.
    pub fn start_with(data: &Path, arguments: &[&str]) -> Server {
        let mut child =
            command(data, arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let deadline = Instant::now() + START_TIME_MAX;
        let mut banner = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = lines.recv_timeout(left) else {
                let _ = child.kill();
                panic!("no server within {START_TIME_MAX:?}; status {:?}, banner {banner:#?}", child.wait());
            };
            banner.push(line.clone());
            if line.starts_with("ready") {
                break;
            }
        }
        let address = banner
            .iter()
            .find_map(|line| line.strip_prefix("listening "))
            .expect("the banner names its address");
        let endpoint = address.trim().to_string();
        Server { child: Some(child), endpoint, banner, data: data.to_path_buf(), _temporary: None }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.endpoint.strip_prefix("http://").unwrap()
    }

    /// What it printed until it was ready.
    pub fn banner(&self) -> String {
        self.banner.join("\n")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is ours").id()
    }

    /// Where its data lies.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Ends the process at once, as a power cut of the process would: SIGKILL, no goodbye.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("it is ours");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to stop, as Ctrl-C does, and waits for the end; the exit status must be success.
    pub fn stop(mut self) {
        send_signal(self.pid(), "INT");
        let deadline = Instant::now() + STOP_TIME_MAX;
        loop {
            if let Some(status) = self.child.as_mut().expect("it is ours").try_wait().unwrap() {
                assert!(status.success(), "a clean stop ends with success, not {status}");
                return;
            }
            assert!(Instant::now() < deadline, "no clean stop within {STOP_TIME_MAX:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// An SDK client without retries: each answer is seen as it is.
    pub fn client(&self) -> Client {
        client_of(&self.endpoint, RetryConfig::disabled())
    }
}

/// An SDK client of whatever serves there.
pub fn client_of(endpoint: &str, retries: RetryConfig) -> Client {
    patient_client_of(endpoint, retries, Duration::from_secs(60))
}

/// The same, which waits for an answer only so long.
pub fn patient_client_of(endpoint: &str, retries: RetryConfig, patience: Duration) -> Client {
    let timeouts = TimeoutConfig::builder().operation_timeout(patience).build();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version_latest()
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries)
        .timeout_config(timeouts)
        .build();
    Client::from_conf(config)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command that `start_with` spawns, for tests that expect it to fail.
pub fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torc"));
    command.arg("serve").arg("--data-dir").arg(data).args(arguments).stdin(Stdio::null());
    command
}

/// A temporary directory on the disk that the build uses: `/tmp` may be memory, which is no test of direct I/O.
pub fn data_directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("torc-test-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Sends a signal by its short name.
pub fn send_signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(status.success());
}

/// The lines of a process's output as they come; disconnected at its end.
pub fn lines_of(output: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                // Nobody listens any more, but the pipe must not fill up.
                continue;
            }
        }
    });
    receiver
}

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A binary attribute.
pub fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(bytes.to_vec().into())
}

/// Creates a table with a partition key `p` of type S and, if asked, a sort key `s` of the type given; waits for ACTIVE.
pub async fn create_table(client: &Client, name: &str, sort: Option<ScalarAttributeType>) {
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("p", KeyType::Hash))
        .attribute_definitions(attribute("p", ScalarAttributeType::S));
    if let Some(kind) = sort {
        request = request.key_schema(key("s", KeyType::Range)).attribute_definitions(attribute("s", kind));
    }
    request.send().await.unwrap();
    wait_active(client, name).await;
}

/// Waits until a table is ACTIVE, within a deadline.
pub async fn wait_active(client: &Client, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let table = client.describe_table().table_name(name).send().await.unwrap().table.unwrap();
        if table.table_status == Some(aws_sdk_dynamodb::types::TableStatus::Active) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is still {:?}", table.table_status);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Somebody else's server, without any table.
async fn server_elsewhere(endpoint: String) -> Server {
    let (banner, data) = (Vec::new(), PathBuf::new());
    let server = Server { child: None, endpoint, banner, data, _temporary: None };
    let client = server.client();
    for name in client.list_tables().send().await.unwrap().table_names() {
        client.delete_table().table_name(name).send().await.unwrap();
        while client.describe_table().table_name(name).send().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    server
}

/// A server, a client, and a table `tab` with keys `p` (S) and, if asked, `s`.
pub async fn server_with_table(sort: Option<ScalarAttributeType>) -> (Server, Client) {
    let server = match std::env::var(ENDPOINT_VARIABLE) {
        Ok(endpoint) => server_elsewhere(endpoint).await,
        Err(_) => Server::start(),
    };
    let client = server.client();
    create_table(&client, "tab", sort).await;
    (server, client)
}

/// The code and the message of a refused request.
pub fn refusal<T: std::fmt::Debug, E, R>(result: Result<T, SdkError<E, R>>) -> (String, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let error = result.expect_err("the request is refused");
    let code = error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_string();
    (code, error.message().unwrap_or_default().to_string())
}

/// Asserts that a request was refused with a code and with a message that contains `part`.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug, E, R>(result: Result<T, SdkError<E, R>>, code: &str, part: &str)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
{
    let (actual_code, message) = refusal(result);
    assert_eq!(actual_code, code, "{message}");
    assert!(message.contains(part), "expected {part:?} in {message:?}");
}
