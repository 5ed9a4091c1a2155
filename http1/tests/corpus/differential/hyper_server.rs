//! hyper's reading of a connection. Its server is polled by hand on octets in memory, without a
//! runtime: it waits when all octets are read and it is not woken.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::rt::ReadBufCursor;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;

use super::verdict::{End, Request, Verdict};
use crate::reading::text;

/// The status of responses to CONNECT, which hyper itself does not send. A tunnel is not opened.
const NO_TUNNEL: u16 = 499;

/// Reads the octets of a connection.
pub(crate) fn read(input: &[u8]) -> Verdict {
    let requests = Rc::new(RefCell::new(Vec::new()));
    let is_content_refused = Rc::new(RefCell::new(false));
    let output = Rc::new(RefCell::new(Vec::new()));
    let connection = Connection {
        input: input.to_vec(),
        output: Rc::clone(&output),
    };
    let service = service_fn(|request: http::Request<Incoming>| {
        let (requests, is_content_refused) = (Rc::clone(&requests), Rc::clone(&is_content_refused));
        async move {
            let status = match *request.method() {
                Method::CONNECT => NO_TUNNEL,
                _ => 200,
            };
            if receive(request, &requests).await.is_err() {
                *is_content_refused.borrow_mut() = true;
            }
            let mut response = http::Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = Builder::new();
    builder.header_read_timeout(None);
    let result = poll_until_waiting(builder.serve_connection(connection, service));
    let end = match result {
        _ if *is_content_refused.borrow() => End::RefusesContent,
        None => End::Waits,
        Some(Ok(())) => End::Closes,
        Some(Err(error)) if error.is_parse() => {
            last_status(&output.borrow()).map_or(End::RefusesSilently, End::Refuses)
        }
        Some(Err(error)) => panic!("hyper: {error}"),
    };
    let requests = requests.take();
    Verdict { requests, end }
}

/// Receives the content of a request.
async fn receive(
    request: http::Request<Incoming>,
    requests: &RefCell<Vec<Request>>,
) -> hyper::Result<()> {
    requests.borrow_mut().push(Request {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        ..Request::default()
    });
    let with_last = |change: &dyn Fn(&mut Request)| {
        change(requests.borrow_mut().last_mut().expect("it was pushed"));
    };
    let mut content = request.into_body();
    while let Some(frame) = content.frame().await {
        match frame?.into_data() {
            Ok(data) => with_last(&|request| request.content.push_str(&text(&data))),
            Err(frame) => {
                let trailers = frame.into_trailers().expect("no other frame");
                let lines = trailers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", text(value.as_bytes())));
                let lines: Vec<_> = lines.collect();
                with_last(&|request| request.trailers.clone_from(&lines));
            }
        }
    }
    with_last(&|request| request.is_complete = true);
    Ok(())
}

/// Polls until the future is ready, or waits for octets that do not come.
fn poll_until_waiting<F: Future>(future: F) -> Option<F::Output> {
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    while flag.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

/// Returns the status of the last response, if that refuses a request.
fn last_status(output: &[u8]) -> Option<u16> {
    let output = String::from_utf8_lossy(output);
    let (_, response) = output.rsplit_once("HTTP/1.1 ")?;
    let status = response[..3].parse().expect("a status has three digits");
    (status != 200 && status != NO_TUNNEL).then_some(status)
}

/// Octets that are all there, and are followed by no end.
struct Connection {
    input: Vec<u8>,
    output: Rc<RefCell<Vec<u8>>>,
}

impl hyper::rt::Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return Poll::Pending;
        }
        let length = self.input.len().min(buffer.remaining());
        let octets: Vec<u8> = self.input.drain(..length).collect();
        buffer.put_slice(&octets);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.borrow_mut().extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
