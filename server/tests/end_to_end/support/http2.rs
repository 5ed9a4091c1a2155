//! A client of HTTP/2 by prior knowledge.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Server, within};

/// A connection to the server; its task ends with the connection.
pub(crate) struct Client {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::with_settings(server, &h2::client::Builder::new()).await
    }

    pub(crate) async fn with_settings(server: &Server, settings: &h2::client::Builder) -> Self {
        let stream = within(TcpStream::connect(server.address)).await.unwrap();
        Self::over(stream, settings).await
    }

    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        settings: &h2::client::Builder,
    ) -> Self {
        let (requests, connection) = within(settings.handshake(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let requests = within(requests.ready()).await.unwrap();
        Self {
            requests,
            connection,
        }
    }

    /// Begins a request whose content is still to come.
    pub(crate) fn begin(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.requests.send_request(request, false).unwrap()
    }

    /// Makes a request without content, and waits for the head of the response.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Response<RecvStream>, h2::Error> {
        let (response, _) = self.requests.send_request(request(path), true).unwrap();
        within(response).await
    }

    /// The whole content of the response to a request without content.
    pub(crate) async fn text(&mut self, path: &str) -> String {
        text(self.get(path).await.unwrap().into_body())
            .await
            .unwrap()
    }
}

pub(crate) fn request(path: &str) -> Request<()> {
    Request::get(format!("http://test.example{path}"))
        .body(())
        .unwrap()
}

pub(crate) async fn text(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut content = Vec::new();
    while let Some(data) = within(body.data()).await {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        content.extend_from_slice(&data);
    }
    Ok(String::from_utf8(content).unwrap())
}

/// Reads this many octets, in one frame or in several.
pub(crate) async fn octets(body: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    while octets.len() < length {
        let data = within(body.data()).await.expect("more octets").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        octets.extend_from_slice(&data);
    }
    assert_eq!(octets.len(), length);
    octets
}

/// Opens a WebSocket by extended CONNECT (RFC 8441).
pub(crate) async fn open(
    client: &mut Client,
    path: &str,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    // The server's settings say whether it takes extended CONNECT.
    while !client.requests.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://test.example{path}"))
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "one, two")
        .body(())
        .unwrap();
    let (response, stream) = client.begin(request);
    (within(response).await.unwrap(), stream)
}
