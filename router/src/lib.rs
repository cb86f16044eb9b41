//! DynamoDB's API over HTTP: stateless, one router on every core.
#![forbid(unsafe_code)]

pub mod http;
pub mod json;
pub mod request;
mod site;

use std::cell::Cell;
use std::rc::Rc;

use net::map::MapCell;
use net::mesh::Mesh;
use runtime::{Purpose, Runtime};

use crate::http::intake::Request;
use crate::http::server::Server;
pub use crate::http::server::ServerOptions;

/// How a router is set up.
#[derive(Clone, Debug)]
pub struct RouterOptions {
    /// The region in ARNs.
    pub region: String,
    /// The account in ARNs: twelve digits.
    pub account: String,
    /// The bounds of the HTTP server.
    pub server: ServerOptions,
}

impl Default for RouterOptions {
    fn default() -> RouterOptions {
        RouterOptions {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            server: ServerOptions::default(),
        }
    }
}

/// One core's router.
pub struct Router<R: Runtime> {
    pub(crate) rt: R,
    pub(crate) options: RouterOptions,
    pub(crate) mesh: Mesh<R>,
    pub(crate) map: MapCell,
    pub(crate) server: Rc<Server>,
    /// The second that `date` is of, and the date.
    date: Cell<(u64, [u8; 29])>,
}

impl<R: Runtime> Router<R> {
    /// A router that asks shards through `mesh` and knows them from `map`.
    pub fn new(rt: R, options: RouterOptions, mesh: Mesh<R>, map: MapCell) -> Rc<Router<R>> {
        let server = Rc::new(Server::new(options.server));
        let date = Cell::new((0, http::response::http_date(0)));
        Rc::new(Router { rt, options, mesh, map, server, date })
    }

    /// Accepts connections and answers them until [`Router::stop`], and the last connection is gone.
    pub async fn serve(self: &Rc<Self>, listener: R::Listener) {
        http::server::serve(self.clone(), listener).await;
    }

    /// Begins the end: no new connections, idle ones are closed, requests under way are answered.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Answers one call of the API: appends the JSON to `out` and returns the status.
    pub(crate) async fn answer(&self, _request: &Request<'_>, _out: &mut Vec<u8>) -> u16 {
        todo!()
    }

    /// The id of the next response.
    pub(crate) fn request_id(&self) -> [u8; 52] {
        http::response::request_id(std::array::from_fn(|_| self.rt.random(Purpose::Id)))
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
