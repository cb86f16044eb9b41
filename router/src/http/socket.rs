//! The socket of one connection: plain for HTTP, or inside of TLS for HTTPS.

use runtime::Runtime;

/// What a connection talks over.
pub(crate) type Socket<R> = runtime::tls::Socket<<R as Runtime>::Stream>;
