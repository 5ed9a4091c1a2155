//! The content of a request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use http_body::Frame;
use tokio::sync::mpsc;

use super::record::Record;

/// The content of a request: nothing, bytes, or a stream.
///
/// Bytes reach the application as one event. A stream is polled when the application receives, and not
/// before (rule `HTTP-04`). Each of its items is an event, and an empty last event follows.
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
    Stream(PartStream),
}

/// The parts of streamed content. `None` in place of a part means that the client has disconnected.
type PartStream = Pin<Box<dyn Stream<Item = Option<Bytes>> + Send>>;

impl Body {
    /// Creates a body without content.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Creates a body whose content comes from a stream. At an error the client disconnects.
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

    /// Creates a body whose parts the test sends one by one.
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

    /// Adds trailer fields, which follow the content in an event of their own (rule `HTTP-06`).
    /// The fields that `EXT-05` forbids do not reach the application.
    #[must_use]
    pub fn trailers(mut self, fields: HeaderMap) -> Self {
        self.trailers = Some(fields);
        self
    }

    /// Returns the same content again; `None` when it can be sent only once.
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

    /// Returns the length of the content in bytes, if it is known.
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

/// Sends the content of a request part by part. Created by [`Body::channel`].
///
/// When the sender is dropped before it has [finished](Self::finish), the client disconnects.
#[derive(Debug)]
pub struct BodySender(mpsc::Sender<Part>);

#[derive(Debug)]
enum Part {
    Content(Bytes),
    End,
}

impl BodySender {
    /// Sends a part, once the part before it has been received. The part is dropped when the application
    /// has responded and reads no more content.
    pub async fn send(&self, part: impl Into<Bytes>) {
        let _ = self.0.send(Part::Content(part.into())).await;
    }

    /// Ends the content.
    pub async fn finish(self) {
        let _ = self.0.send(Part::End).await;
    }
}

/// The content of a request for the server. The record notes when the server asks for the content,
/// and when the client disconnects in the middle of it.
#[derive(Debug)]
pub(super) struct RecordedContent {
    body: Body,
    record: Arc<Record>,
    /// Whether the client withholds its content until the server asks for it.
    is_withheld: bool,
}

impl RecordedContent {
    /// Creates the content of an exchange with this record.
    pub(super) fn new(body: Body, record: Arc<Record>, is_withheld: bool) -> Self {
        Self {
            body,
            record,
            is_withheld,
        }
    }
}

/// The client has disconnected in the middle of its content.
#[derive(Debug)]
pub(super) struct ContentCut;

impl http_body::Body for RecordedContent {
    type Data = Bytes;
    type Error = ContentCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentCut>>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.is_withheld) {
            this.record.content_wanted();
        }
        let data = match &mut this.body.kind {
            Kind::Empty => None,
            Kind::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Kind::Stream(stream) => match ready!(stream.as_mut().poll_next(cx)) {
                Some(Some(part)) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                Some(None) => {
                    this.body = Body::empty();
                    this.record.disconnect();
                    return Poll::Ready(Some(Err(ContentCut)));
                }
                None => None,
            },
        };
        this.body.kind = Kind::Empty;
        let trailers = || this.body.trailers.take().map(Frame::trailers);
        Poll::Ready(data.map(Frame::data).or_else(trailers).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.body.length() == Some(0) && self.body.trailers.is_none()
    }
}
