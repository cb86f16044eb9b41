//! The table of a run: made before it, removed after it.

use std::time::Duration;

use anyhow::{Context, bail};
use runtime::Runtime;
use runtime::sync::timeout;

use super::client::{Answer, Broken, Connection};
use super::options::Plan;
use super::request::Requests;

/// How long a table may take to become active or to vanish.
const CHANGE_MAX: Duration = Duration::from_secs(60);
/// How long to wait before asking again.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Creates the table of `plan` and waits until it is active; if it is to be used as it is, checks that it is.
pub async fn create<R: Runtime>(rt: &R, plan: &Plan) -> anyhow::Result<()> {
    let requests = Requests::new(plan, 0);
    let mut connection = Connection::new(rt, &plan.target);
    reach(rt, plan, &mut connection).await?;
    if plan.create {
        let table = &plan.table;
        match ask(rt, plan, &mut connection, &requests.create_table()).await? {
            Reply::Done(_) => {}
            Reply::Error(error) if error.code == "ResourceInUseException" => {
                bail!("table {table} is there already: name another one with --table, or use it with --reuse")
            }
            Reply::Error(error) => bail!("CreateTable {table}: {error}"),
        }
    }
    let active = |reply: &Reply| match reply {
        Reply::Done(body) => Ok(is_active(body)),
        Reply::Error(error) => bail!("DescribeTable {}: {error}", plan.table),
    };
    wait_until(rt, plan, &mut connection, &requests, active).await
}

/// Removes the table of `plan` and waits until it is gone.
pub async fn remove<R: Runtime>(rt: &R, plan: &Plan) -> anyhow::Result<()> {
    let requests = Requests::new(plan, 0);
    let mut connection = Connection::new(rt, &plan.target);
    if let Reply::Error(error) = ask(rt, plan, &mut connection, &requests.delete_table()).await? {
        bail!("DeleteTable {}: {error}", plan.table);
    }
    let gone = |reply: &Reply| match reply {
        Reply::Done(_) => Ok(false),
        Reply::Error(error) if error.code == "ResourceNotFoundException" => Ok(true),
        Reply::Error(error) => bail!("DescribeTable {}: {error}", plan.table),
    };
    wait_until(rt, plan, &mut connection, &requests, gone).await
}

/// What the server said, kept.
enum Reply {
    Done(Vec<u8>),
    Error(Refusal),
}

/// An error in the server's words.
struct Refusal {
    code: String,
    message: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        self.message.iter().try_for_each(|message| write!(f, ": {message}"))
    }
}

async fn reach<R: Runtime>(rt: &R, plan: &Plan, connection: &mut Connection<R>) -> anyhow::Result<()> {
    let url = plan.target.url();
    match timeout(rt, plan.timeout, connection.open()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Broken::Unreachable(kind))) => {
            bail!("nothing answers at {url} ({kind}): start it with `cargo run --release`, or say --endpoint")
        }
        Ok(Err(broken)) => bail!("{url}: {broken}"),
        Err(_) => bail!("{url} did not accept a connection in {:?}", plan.timeout),
    }
}

async fn ask<R: Runtime>(
    rt: &R,
    plan: &Plan,
    connection: &mut Connection<R>,
    request: &[u8],
) -> anyhow::Result<Reply> {
    let url = plan.target.url();
    let answer = timeout(rt, plan.timeout, connection.exchange(request)).await;
    let answer = answer.with_context(|| format!("{url} did not answer in {:?}", plan.timeout))?;
    match answer {
        Ok(Answer::Done(body)) => Ok(Reply::Done(body.to_vec())),
        Ok(Answer::Refused(code) | Answer::Failed(code)) => {
            Ok(Reply::Error(Refusal { code, message: connection.message() }))
        }
        Err(broken) => bail!("{url}: {broken}: is that a DynamoDB endpoint?"),
    }
}

async fn wait_until<R: Runtime>(
    rt: &R,
    plan: &Plan,
    connection: &mut Connection<R>,
    requests: &Requests,
    arrived: impl Fn(&Reply) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let deadline = rt.now().after(CHANGE_MAX);
    loop {
        let reply = ask(rt, plan, connection, &requests.describe_table()).await?;
        if arrived(&reply)? {
            return Ok(());
        }
        if rt.now() >= deadline {
            bail!("table {} has not changed in {CHANGE_MAX:?}", plan.table);
        }
        rt.sleep(ASK_EVERY).await;
    }
}

fn is_active(body: &[u8]) -> bool {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    parsed.is_some_and(|reply| reply["Table"]["TableStatus"] == "ACTIVE")
}
