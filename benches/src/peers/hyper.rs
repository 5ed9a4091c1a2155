//! A minimal server on hyper, over HTTP/1.1 and HTTP/2.
//!
//! The server has no limits, no time-outs and no graceful shutdown. The difference to Callgate is
//! the cost of Callgate.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use crate::content::{BINARY, CHUNKS, HELLO, TEXT, WAIT, chunk, large};

/// Serves every connection to `listener`, with hyper's defaults but for `pipeline_flush`: whether
/// the responses to pipelined requests leave together.
///
/// # Errors
///
/// Returns the error of the first accept that fails.
pub async fn serve(listener: TcpListener, pipeline_flush: bool) -> io::Result<()> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().pipeline_flush(pipeline_flush);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let builder = builder.clone();
        tokio::spawn(async move {
            // A client that goes away is no failure.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service_fn(respond))
                .await;
        });
    }
}

/// The content of a response, without a box.
type Content = Either<Full<Bytes>, Either<Incoming, Chunks>>;

async fn respond(request: Request<Incoming>) -> Result<Response<Content>, Infallible> {
    let (content, content_type) = match request.uri().path() {
        "/" => (hello(), TEXT),
        "/echo" => (Either::Right(Either::Left(request.into_body())), BINARY),
        "/large" => (Either::Left(Full::new(large())), BINARY),
        "/chunks" => (Either::Right(Either::Right(Chunks(CHUNKS))), BINARY),
        "/wait" => {
            tokio::time::sleep(WAIT).await;
            (hello(), TEXT)
        }
        "/no-content" => return Ok(without_content(StatusCode::NO_CONTENT)),
        _ => return Ok(without_content(StatusCode::NOT_FOUND)),
    };
    Ok(response(content, content_type))
}

fn without_content(status: StatusCode) -> Response<Content> {
    let mut response = response(Either::Left(Full::default()), BINARY);
    *response.status_mut() = status;
    response
}

fn hello() -> Content {
    Either::Left(Full::new(Bytes::from_static(HELLO.as_bytes())))
}

fn response(content: Content, content_type: HeaderValue) -> Response<Content> {
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A stream of this many parts, without a known length.
#[derive(Debug)]
pub(crate) struct Chunks(pub(crate) usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(Frame::data(chunk()))
        }))
    }
}
