//! Each module of the toolkit, through its test client.

mod blocking;
mod blocking_sockets;
mod cookies;
mod directory;
mod errors;
mod file;
mod lifespan;
mod middleware;
mod mount;
mod multipart;
mod read;
mod respond;
mod scripted;
mod served;
mod shutdown;
mod sockets;
mod sse;
mod test_client;
mod test_client_cookies;
mod test_client_exchange;
mod test_client_failures;
mod test_client_headers;
mod test_client_redirects;
mod test_client_shutdown;
mod test_client_websocket;
mod websocket;
