//! An upgraded connection in memory.
//!
//! A service takes over a connection by an [`OnUpgrade`], which only hyper can create. The bridge
//! has hyper serve a request to upgrade over a connection in memory, and puts the `OnUpgrade` of
//! that request into the extensions of the service's request.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use bytes::Bytes;
use callgate::AppError;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::oneshot;

/// The size of the buffer of the connection in each direction, in bytes.
const BUFFER: usize = 16 * 1024;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// A connection whose upgrade has begun. When it is dropped, the `OnUpgrade` of the service fails.
pub(super) struct Upgrade {
    /// The bridge's end of the connection.
    stream: DuplexStream,
    /// hyper's end of the connection.
    connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
    /// Has hyper respond.
    agree: oneshot::Sender<()>,
}

impl Upgrade {
    /// Creates a connection. Returns its `OnUpgrade` for the service as well.
    pub(super) async fn begin() -> Result<(OnUpgrade, Self), AppError> {
        let (mut stream, server_end) = duplex(BUFFER);
        stream.write_all(REQUEST).await?;
        let (give, mut given) = oneshot::channel();
        let (agree, agreed) = oneshot::channel::<()>();
        let once = Mutex::new(Some((give, agreed)));
        let service = service_fn(move |request: Request<Incoming>| {
            let once = once.lock().expect("nothing in here panics").take();
            async move {
                if let Some((give, agreed)) = once {
                    // Both receivers are gone only when the connection is dropped.
                    let _ = give.send(hyper::upgrade::on(request));
                    let _ = agreed.await;
                }
                Ok::<_, Infallible>(switching_protocols())
            }
        });
        let mut connection = Box::pin(
            http1::Builder::new()
                .header_read_timeout(None)
                .auto_date_header(false)
                .serve_connection(TokioIo::new(server_end), service)
                .with_upgrades(),
        );
        let on_upgrade = poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Err(ended.err().map_or_else(unexpected_end, AppError::from)));
            }
            Pin::new(&mut given).poll(cx).map_err(AppError::from)
        })
        .await?;
        let upgrade = Self {
            stream,
            connection,
            agree,
        };
        Ok((on_upgrade, upgrade))
    }

    /// Completes the upgrade, so that the service gets its end of the connection. Returns the
    /// bridge's end, and the input that has been read from it after the response.
    pub(super) async fn complete(self) -> Result<(DuplexStream, Vec<u8>), AppError> {
        let Self {
            mut stream,
            connection,
            agree,
        } = self;
        let _ = agree.send(());
        connection.await?;
        let mut read = Vec::with_capacity(256);
        loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok((stream, read.split_off(end + 4)));
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Err(unexpected_end());
            }
        }
    }
}

fn unexpected_end() -> AppError {
    AppError::failed("the connection in memory ended before its upgrade")
}

fn switching_protocols() -> Response<NoContent> {
    let mut response = Response::new(NoContent);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// A body without content.
#[derive(Debug)]
struct NoContent;

impl Body for NoContent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
