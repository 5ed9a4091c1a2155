//! The content of a request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use callgate::HttpRequestBody;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use tokio::sync::mpsc;

/// The content of a request: nothing, bytes, or a stream.
///
/// Bytes come to the application as one event. A stream is polled when the application receives and
/// not before (rule `HTTP-04`); each of its items is an event, and an empty last one follows.
#[derive(Default)]
pub struct Body {
    kind: Kind,
    trailers: Option<HeaderMap>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(Content),
}

/// None in place of an item: the client has gone away.
type Content = Pin<Box<dyn Stream<Item = Option<Bytes>> + Send>>;

impl Body {
    /// No content.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Content that comes bit by bit. At an error the client goes away in the middle of it.
    pub fn stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes> + 'static,
        E: 'static,
    {
        let content = stream.map_ok(Into::into).map(Result::ok);
        Self {
            kind: Kind::Stream(content.boxed()),
            trailers: None,
        }
    }

    /// Content that the test sends by hand, part by part.
    ///
    /// ```
    /// # use callgate_toolkit::test_client::{Body, TestClient};
    /// # use callgate::{AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender};
    /// # async fn count(_: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    /// #     let mut count = 0;
    /// #     while let ReceiveEvent::HttpRequestBody(request) = receiver.receive().await {
    /// #         count += request.body.len();
    /// #         if !request.more_body { break; }
    /// #     }
    /// #     sender.send(HttpResponseStart::ok()).await?;
    /// #     sender.send(HttpResponseBody::last(count.to_string())).await?;
    /// #     Ok(())
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(count);
    /// let (content, body) = Body::channel();
    /// let pending = client.post("/").body(body).start();
    /// content.send("Hello, ").await;
    /// content.send("world!").await;
    /// content.finish().await;
    /// assert_eq!(pending.response().await?.body(), "13");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn channel() -> (BodySender, Self) {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut is_finished = false;
        let content = futures_util::stream::poll_fn(move |cx| {
            if is_finished {
                return Poll::Ready(None);
            }
            let part = ready!(receiver.poll_recv(cx));
            is_finished = !matches!(part, Some(Part::Content(_)));
            Poll::Ready(match part {
                Some(Part::Content(content)) => Some(Some(content)),
                Some(Part::End) => None,
                None => Some(None),
            })
        });
        let body = Self {
            kind: Kind::Stream(content.boxed()),
            trailers: None,
        };
        (BodySender(sender), body)
    }

    /// With trailer fields after the content (rule `HTTP-06`).
    #[must_use]
    pub fn trailers(mut self, fields: HeaderMap) -> Self {
        self.trailers = Some(fields);
        self
    }

    /// The same content again; none when it can be sent only once.
    pub(super) fn try_clone(&self) -> Option<Self> {
        let kind = match &self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Whole(bytes) => Kind::Whole(bytes.clone()),
            Kind::Stream(_) => return None,
        };
        Some(Self {
            kind,
            trailers: self.trailers.clone(),
        })
    }

    /// Bytes in all; none when that is not known before.
    pub(super) fn length(&self) -> Option<usize> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Whole(bytes) => Some(bytes.len()),
            Kind::Stream(_) => None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body::Empty"),
            Kind::Whole(bytes) => f.debug_tuple("Body::Whole").field(bytes).finish(),
            Kind::Stream(_) => f.write_str("Body::Stream"),
        }
    }
}

macro_rules! whole {
    ($($from:ty),+) => {
        $(impl From<$from> for Body {
            fn from(content: $from) -> Self {
                Self { kind: Kind::Whole(content.into()), trailers: None }
            }
        })+
    };
}

whole!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// Sends the content of a request by hand: see [`Body::channel`].
///
/// Dropped before it has [finished](Self::finish), the client has gone away in the middle of it.
#[derive(Debug)]
pub struct BodySender(mpsc::Sender<Part>);

#[derive(Debug)]
enum Part {
    Content(Bytes),
    End,
}

impl BodySender {
    /// Sends a part, once the one before it has been received. Parts that the application does not
    /// want, as it has answered without them, are dropped.
    pub async fn send(&self, part: impl Into<Bytes>) {
        let _ = self.0.send(Part::Content(part.into())).await;
    }

    /// Ends the content.
    pub async fn finish(self) {
        let _ = self.0.send(Part::End).await;
    }
}

/// The content of a request as the application receives it.
pub(super) struct RequestBody {
    /// None when all has been received.
    body: Option<Body>,
}

impl RequestBody {
    pub(super) fn new(body: Body) -> Self {
        Self { body: Some(body) }
    }

    /// What has not been received, which nobody wants any more.
    pub(super) fn take(&mut self) -> Option<Body> {
        self.body.take()
    }

    /// The next event; none when the client has gone away. Pending for ever after the last.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpRequestBody>> {
        let Some(body) = &mut self.body else {
            return Poll::Pending;
        };
        let mut last = match &mut body.kind {
            Kind::Empty => HttpRequestBody::default(),
            Kind::Whole(bytes) => HttpRequestBody::last(std::mem::take(bytes)),
            Kind::Stream(stream) => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Some(bytes)) => return Poll::Ready(Some(HttpRequestBody::part(bytes))),
                Some(None) => {
                    self.body = None;
                    return Poll::Ready(None);
                }
                None => HttpRequestBody::default(),
            },
        };
        if let Some(trailers) = body.trailers.take() {
            last = last.trailers(trailers);
        }
        self.body = None;
        Poll::Ready(Some(last))
    }
}
