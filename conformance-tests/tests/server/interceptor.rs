//! Middleware between the server and the application that breaks rules which the reference server
//! keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use callgate::{
    App, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};

/// Stands between the server and one call of the application, and changes what passes. The default of
/// each method passes it unchanged.
pub(crate) trait Interceptor: Send + Sync + 'static {
    /// Changes the scope.
    fn scope(&self, _scope: &mut Scope) {}

    /// Receives from the server for the application.
    fn receive(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        server.poll_receive(cx)
    }

    /// Waits until the server has room for an event of the application.
    fn poll_ready(&self, server: &dyn Channel, cx: &mut Context<'_>) -> Poll<()> {
        server.poll_ready(cx)
    }

    /// Sends an event to the server for the application.
    fn start_send(
        &self,
        server: &dyn Channel,
        event: SendEvent,
    ) -> Result<SendProgress, SendError> {
        server.start_send(event)
    }

    /// Changes the result of the call.
    fn result(&self, result: Result<(), AppError>) -> Result<(), AppError> {
        result
    }
}

/// Returns the application `inside` with an [`Interceptor`] for each call.
pub(crate) fn intercepted<B: Interceptor>(
    inside: impl App,
    make: impl Fn() -> B + Clone + Send + Sync + 'static,
) -> BoxApp {
    let inside = BoxApp::new(inside);
    BoxApp::new(
        move |mut scope: Scope, receiver: Receiver, sender: Sender| {
            let (inside, make) = (inside.clone(), make.clone());
            async move {
                let interceptor = Arc::new(make());
                interceptor.scope(&mut scope);
                let channel = Arc::new(InterceptedChannel {
                    interceptor: interceptor.clone(),
                    receiving: receiver.into_channel(),
                    sending: sender.into_channel(),
                });
                let (receiver, sender) = (Receiver::new(channel.clone()), Sender::new(channel));
                interceptor.result(inside.call(scope, receiver, sender).await)
            }
        },
    )
}

struct InterceptedChannel<B> {
    interceptor: Arc<B>,
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
}

impl<B: Interceptor> Channel for InterceptedChannel<B> {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.interceptor.receive(&*self.receiving, cx)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.interceptor.poll_ready(&*self.sending, cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        self.interceptor.start_send(&*self.sending, event)
    }
}

/// Returns the application `inside`. Sets `started` when its lifespan call completes start-up, and
/// `ended` when that call ends.
pub(crate) fn observe_startup(
    inside: BoxApp,
    started: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
) -> BoxApp {
    BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
        let (inside, started, ended) = (inside.clone(), started.clone(), ended.clone());
        async move {
            if !matches!(scope, Scope::Lifespan(_)) {
                return inside.call(scope, receiver, sender).await;
            }
            let sender = Sender::new(Arc::new(StartupObserver {
                sending: sender.into_channel(),
                started,
            }));
            let result = inside.call(scope, receiver, sender).await;
            ended.store(true, Ordering::SeqCst);
            result
        }
    })
}

struct StartupObserver {
    sending: Arc<dyn Channel>,
    started: Arc<AtomicBool>,
}

impl Channel for StartupObserver {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        self.sending.poll_receive(cx)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        if let SendEvent::LifespanStartupComplete(_) = event {
            self.started.store(true, Ordering::SeqCst);
        }
        self.sending.start_send(event)
    }
}
