//! The reference server from end to end, over sockets: one file a chapter of the documents.

mod access_log;
mod admin;
#[cfg(unix)]
mod bind;
mod client_gone;
mod features;
mod files;
mod http2;
mod http2_bounds;
mod http2_failure;
mod http2_floods;
mod http2_idle;
mod http2_malformed;
mod http2_shutdown;
mod http2_stalled;
mod http2_windows;
mod http_bad_input;
mod http_failure;
mod http_request;
mod http_response;
mod http_shutdown;
mod in_place;
mod injection;
mod keep_alive;
mod lifecycle;
mod lifespan;
#[cfg(feature = "metrics")]
mod limit_buffers;
mod limit_connections;
mod limit_content;
#[cfg(feature = "metrics")]
mod limit_counters;
mod limit_exchanges;
mod listeners;
#[cfg(feature = "metrics")]
mod metrics;
mod one_write;
mod pipelining;
#[cfg(all(unix, feature = "cli"))]
mod process;
#[cfg(all(unix, feature = "cli"))]
mod process_log;
mod proxy;
mod proxy_transports;
#[cfg(all(unix, feature = "cli"))]
mod reload;
mod scope;
mod sending;
mod shutdown;
mod shutdown_end;
mod stalled;
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(all(unix, feature = "tls"))]
mod tls_certificates;
#[cfg(feature = "tls")]
mod tls_cleartext;
#[cfg(all(unix, feature = "tls"))]
mod tls_ocsp;
#[cfg(feature = "tls")]
mod tls_shutdown;
#[cfg(feature = "cli")]
mod trace;
mod trailers;
#[cfg(all(unix, feature = "cli"))]
mod upgrade;
#[cfg(all(unix, feature = "cli"))]
mod upgrade_failure;
mod websocket;
mod websocket_deflate;
mod websocket_end;
mod websocket_full;
mod websocket_handshake;
mod websocket_http2;
mod websocket_stalled;
