//! A minimal server on actix-web, over HTTP/1.1.

use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

use crate::content::{CHUNKS, HELLO, WAIT, chunk, large};

/// Serves every connection to `listener` on one worker, until the process is killed.
///
/// # Errors
///
/// Returns why the server does not start.
pub fn serve(listener: TcpListener) -> io::Result<()> {
    // Accepted sockets inherit the option.
    socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
    actix_web::rt::System::new().block_on(async {
        let app = || {
            App::new()
                .route("/", web::get().to(hello))
                .route("/echo", web::post().to(echo))
                .route("/large", web::get().to(send_large))
                .route("/chunks", web::get().to(send_chunks))
                .route("/wait", web::get().to(wait))
                .route("/no-content", web::get().to(no_content))
        };
        HttpServer::new(app)
            .workers(1)
            // The default of 5 s would close idle connections while their memory is measured.
            .keep_alive(Duration::from_secs(75))
            .listen(listener)?
            .run()
            .await
    })
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(HELLO)
}

/// Collects the content first: actix-web closes a connection whose response ends before the end of the
/// content is seen.
async fn echo(content: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::octet_stream())
        .body(content)
}

async fn send_large() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::octet_stream())
        .body(large())
}

async fn send_chunks() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::octet_stream())
        .body(Chunks(CHUNKS))
}

async fn wait() -> HttpResponse {
    actix_web::rt::time::sleep(WAIT).await;
    hello().await
}

async fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// A stream of this many parts, without a known length.
#[derive(Debug)]
struct Chunks(usize);

impl MessageBody for Chunks {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(chunk())
        }))
    }
}
