//! DynamoDB's API over HTTP: stateless, one router on every core.
//!
//! Modules in reading order:
//!
//! - this file: [`Router`], what it is made of, and how it is started and stopped.
//! - [`auth`]: who asks, by Signature Version 4, and what they may do.
//! - [`http`]: connections, whole requests, one response in one write; all of it bounded.
//! - `site`: what is asked by URL: the API, the health text, CORS. [`inside`]: metrics and slow requests.
//! - `operation`: the API's operations, in DynamoDB's order of telling mistakes.
//! - [`request`]: the tables of their inputs, and the one pass that decodes a body by them.
//! - [`json`]: the pull parser, the writer, and DynamoDB's notation of values over the item encoding.
//! - `route`: from a token to a shard that may answer for it, with retries that cannot do a thing twice.
//!
//! The life of one PutItem:
//!
//! 1. [`http::connection`] reads into the connection's buffer; [`http::intake`] finds the request's end. Memory and time
//!    for the body are taken before it is read.
//! 2. `operation` finds the operation's table of inputs by `X-Amz-Target`. Where there are users, [`auth`] checks the signature
//!    over the head's bytes and the body as they came, and once the parameters are read, what they name.
//! 3. [`request::decode`] walks the body once: JSON types are checked, and the item goes straight into its encoding.
//! 4. Constraints, the operation's own rules, expressions, the table, the key, the item: the first to be violated is the
//!    answer, an exception with DynamoDB's words.
//! 5. `route` hashes the partition key, takes the present map, and sends one message to the shard that leads the vnode: a call on the
//!    same core, a packet to another one, a frame to another node. What had no effect is tried again until the deadline.
//! 6. The reply is read where it lies and written as JSON behind the room for the response's head, which comes last.
//!
//! Promises: any bytes are answered, in bounded time and memory; no known parameter is ignored. Leaves to others: whether a
//! write is durable and a read fresh (`shard`), and what items, numbers and expressions mean (`model`).
#![forbid(unsafe_code)]

pub mod auth;
pub mod http;
pub mod inside;
pub mod json;
mod operation;
pub mod request;
mod route;
mod site;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use meter::book::Book;
use model::expression::{ExpressionCache, ExpressionCacheStats};
use model::item::ItemBuilder;
use net::fabric::Fabric;
use net::map::MapCell;
use runtime::tls::TlsServer;
use runtime::{Purpose, Runtime};

use crate::auth::Access;
use crate::auth::users::Users;
use crate::http::intake::Request;
use crate::http::server::Server;
pub use crate::http::server::{Scheme, ServerOptions};
use crate::route::{Budget, Leaders, Places, Recent};

/// Messages that were sent again, for each thousand requests, and at once.
const RETRIES_PERMILLE: u32 = 200;
const RETRIES_BURST: u32 = 500;

/// Reads that two replicas were asked for, of each thousand, and at once.
const HEDGES_PERMILLE: u32 = 30;
const HEDGES_BURST: u32 = 20;

/// How a router is set up.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs: twelve digits.
    pub account: String,
    /// From a call's beginning to the last attempt to have it done.
    pub operation_timeout: Duration,
    /// For how long a vnode's leader is looked for, before the client is told that there is none.
    pub leader_timeout: Duration,
    /// After this a read that was not answered is asked elsewhere.
    pub read_timeout: Duration,
    /// Who may call; without any list everybody may, and nobody has to say who they are.
    pub users: Option<Arc<Users>>,
    /// The bounds of the HTTP server.
    pub server: ServerOptions,
    /// A planted bug, for the tests that show that tests find it: what may have been done is asked for again.
    #[doc(hidden)]
    pub repeats_unknown: bool,
}

impl Default for RouterOptions {
    fn default() -> RouterOptions {
        RouterOptions {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            operation_timeout: Duration::from_secs(5),
            leader_timeout: Duration::from_millis(2500),
            read_timeout: Duration::from_secs(1),
            users: None,
            server: ServerOptions::default(),
            repeats_unknown: false,
        }
    }
}

/// One core's router.
pub struct Router<R: Runtime> {
    pub(crate) rt: R,
    pub(crate) options: RouterOptions,
    /// Empty until the router belongs to a cluster.
    fabric: OnceCell<Fabric<R>>,
    pub(crate) map: MapCell,
    pub(crate) leaders: Rc<Leaders>,
    pub(crate) places: Places,
    pub(crate) recent: Recent,
    /// For messages beyond the first of a request.
    pub(crate) retries: Budget,
    /// For second questions to replicas, while the first is open.
    pub(crate) hedges: Budget,
    pub(crate) hedged: Cell<u64>,
    /// A newer map is being asked for.
    pub(crate) refreshing: Cell<bool>,
    /// Which nodes answered, lately.
    pub(crate) living: site::Living,
    pub(crate) server: Rc<Server>,
    access: RefCell<Rc<Access>>,
    tls: RefCell<Option<TlsServer>>,
    /// Its buffers serve one body after the other; borrowed only while one is decoded.
    pub(crate) builder: RefCell<ItemBuilder>,
    /// The expressions that came to this core.
    pub(crate) expressions: ExpressionCache,
    /// The second that `date` is of, and the date.
    date: Cell<(u64, [u8; 29])>,
    /// What the ids of this router's responses end with.
    id_end: [u8; 28],
    pub(crate) book: Rc<Book>,
    inside: inside::Inside,
}

/// The operations that torc has, each with the names of its parameters.
pub fn operations() -> Vec<(&'static str, Vec<&'static str>)> {
    let parameters = |name| {
        let shape = operation::shape_of(name).expect("each name has an input");
        shape.members.iter().map(|member| member.name).collect()
    };
    operation::NAMES.into_iter().map(|name| (name, parameters(name))).collect()
}

/// The API's operations that torc does not have yet; those of DynamoDB Streams begin with `Streams.`.
pub fn operations_to_come() -> Vec<String> {
    operation::to_come()
}

impl<R: Runtime> Router<R> {
    /// A router that asks shards through `fabric` and knows them from `map`.
    pub fn new(rt: R, options: RouterOptions, fabric: Fabric<R>, map: MapCell) -> Rc<Router<R>> {
        let router = Router::outside(rt, options, map);
        router.join(fabric);
        router
    }

    /// A router that belongs to no cluster yet. As long as its map has version 0 it answers that it has none.
    pub fn outside(rt: R, options: RouterOptions, map: MapCell) -> Rc<Router<R>> {
        let server = Rc::new(Server::new(options.server));
        let date = Cell::new((0, http::response::http_date(0)));
        let id_end = http::response::id_end(std::array::from_fn(|_| rt.random(Purpose::Id)));
        let access = RefCell::new(Access::new(options.users.clone()));
        let (tls, builder, expressions) = (RefCell::default(), RefCell::default(), ExpressionCache::new());
        Rc::new(Router {
            rt,
            options,
            fabric: OnceCell::new(),
            map,
            leaders: Rc::default(),
            places: Places::default(),
            recent: Recent::new(),
            retries: Budget::new(RETRIES_PERMILLE, RETRIES_BURST),
            hedges: Budget::new(HEDGES_PERMILLE, HEDGES_BURST),
            hedged: Cell::new(0),
            refreshing: Cell::new(false),
            living: site::Living::default(),
            server,
            access,
            tls,
            builder,
            expressions,
            date,
            id_end,
            book: Rc::default(),
            inside: inside::Inside::default(),
        })
    }

    /// From now on shards are asked through `fabric`. Before its map has a version, and once.
    pub fn join(&self, fabric: Fabric<R>) {
        assert!(self.fabric.set(fabric).is_ok(), "a router belongs to one cluster");
    }

    /// Whether it is known yet which tables there are, and where.
    pub(crate) fn has_map(&self) -> bool {
        let belongs = |fabric: &Fabric<R>| fabric.node().is_some() || self.map.get().version > 0;
        self.fabric.get().is_some_and(belongs)
    }

    /// The way to every shard.
    pub(crate) fn fabric(&self) -> &Fabric<R> {
        self.fabric.get().expect("who has a map belongs to a cluster")
    }

    /// Accepts connections and answers them until [`Router::stop`], and the last connection is gone.
    pub async fn serve(self: &Rc<Self>, listener: R::Listener) {
        self.serve_all(vec![(Scheme::Http, listener)]).await;
    }

    /// The same on several listeners. One that speaks HTTPS needs a certificate: see [`Router::set_tls`].
    pub async fn serve_all(self: &Rc<Self>, listeners: Vec<(Scheme, R::Listener)>) {
        let needs_tls = listeners.iter().any(|(scheme, _)| *scheme == Scheme::Https);
        assert!(!needs_tls || self.tls.borrow().is_some(), "HTTPS is served with a certificate");
        http::server::serve(self.clone(), listeners).await;
    }

    /// From now on new connections over HTTPS are shown this certificate.
    pub fn set_tls(&self, setup: TlsServer) {
        *self.tls.borrow_mut() = Some(setup);
    }

    /// The certificate to show now.
    pub(crate) fn tls(&self) -> Option<TlsServer> {
        self.tls.borrow().clone()
    }

    /// Begins the end: no new connections, idle ones are closed, requests under way are answered.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// From now on these users may call, and nobody else. A request under way goes on as it began.
    pub fn set_users(&self, users: Arc<Users>) {
        *self.access.borrow_mut() = Access::new(Some(users));
    }

    /// What is known of users now.
    pub(crate) fn access(&self) -> Rc<Access> {
        self.access.borrow().clone()
    }

    /// Figures of the cache of parsed expressions.
    pub fn expression_stats(&self) -> ExpressionCacheStats {
        self.expressions.stats()
    }

    /// Connections of clients at present.
    pub fn connections(&self) -> usize {
        self.server.connection_count()
    }

    /// The map as this router knows it.
    pub fn known_map(&self) -> Rc<model::map::Map> {
        self.map.get()
    }

    /// What became of the requests, and where their time went.
    pub fn book(&self) -> &Rc<Book> {
        &self.book
    }

    /// Reads that a second replica was asked for.
    pub fn hedged_reads(&self) -> u64 {
        self.hedged.get()
    }

    /// Answers one call of the API: appends the JSON to `out` and returns the status.
    pub(crate) async fn answer(&self, request: &Request<'_>, out: &mut Vec<u8>) -> u16 {
        operation::answer(self, request, out).await
    }

    /// The id of the next response.
    pub(crate) fn request_id(&self) -> [u8; 52] {
        let random = [self.rt.random(Purpose::Id), self.rt.random(Purpose::Id)];
        http::response::request_id(random, &self.id_end)
    }

    /// `Date` of now; made once a second.
    pub(crate) fn date(&self) -> [u8; 29] {
        let second = self.rt.wall().0 / 1_000_000;
        let (of, date) = self.date.get();
        if of == second {
            return date;
        }
        let date = http::response::http_date(second);
        self.date.set((second, date));
        date
    }
}
