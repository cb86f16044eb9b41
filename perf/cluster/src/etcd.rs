//! etcd's API over gRPC: as little as a load generator needs. The messages are those of etcd's `rpc.proto`.

use std::rc::Rc;

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::load::Writer;

/// `etcdserverpb.PutRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.PutResponse`, of which nothing is read.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {}

/// `etcdserverpb.RangeRequest`, of one key.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// `etcdserverpb.RangeResponse`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pairs: Vec<KeyValue>,
}

/// `mvccpb.KeyValue`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

/// `etcdserverpb.StatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

/// `etcdserverpb.StatusResponse`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// `etcdserverpb.ResponseHeader`, as far as it is read.
#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

async fn ask<Q, A>(grpc: &mut Grpc<Channel>, path: &'static str, question: Q) -> anyhow::Result<A>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    grpc.ready().await?;
    let path = PathAndQuery::from_static(path);
    let answer = grpc.unary(tonic::Request::new(question), path, ProstCodec::<Q, A>::default()).await?;
    Ok(answer.into_inner())
}

async fn connect(url: &str) -> anyhow::Result<Grpc<Channel>> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.tcp_nodelay(true);
    Ok(Grpc::new(endpoint.connect().await?))
}

/// Whether the member at `url` leads.
pub async fn leads(url: &str) -> anyhow::Result<bool> {
    let mut grpc = connect(url).await?;
    let path = "/etcdserverpb.Maintenance/Status";
    let status: StatusResponse = ask(&mut grpc, path, StatusRequest {}).await?;
    let own = status.header.map_or(0, |header| header.member_id);
    Ok(status.leader != 0 && status.leader == own)
}

/// Writes and reads values.
pub struct Putter {
    grpc: Grpc<Channel>,
    value: Rc<[u8]>,
}

impl Putter {
    /// One that writes this value, over a connection of its own.
    pub async fn connect(url: &str, value: Rc<[u8]>) -> anyhow::Result<Putter> {
        Ok(Putter { grpc: connect(url).await?, value })
    }
}

impl Writer for Putter {
    async fn put(&mut self, key: u64) -> anyhow::Result<()> {
        let put = PutRequest { key: format!("key-{key:08}").into_bytes(), value: self.value.to_vec() };
        ask::<_, PutResponse>(&mut self.grpc, "/etcdserverpb.KV/Put", put).await.map(drop)
    }

    async fn get(&mut self, key: u64) -> anyhow::Result<()> {
        let range = RangeRequest { key: format!("key-{key:08}").into_bytes() };
        let found: RangeResponse = ask(&mut self.grpc, "/etcdserverpb.KV/Range", range).await?;
        let whole = found.pairs.first().is_some_and(|pair| pair.value.len() == self.value.len());
        anyhow::ensure!(whole, "key {key} is not there");
        Ok(())
    }
}
