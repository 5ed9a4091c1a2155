//! Layers on a Redis.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use callgate_channels::backend::BoxFuture;
use callgate_channels::suite::Harness;
use callgate_channels::{ChannelLayer, Settings};
use tokio::runtime::{Builder, Runtime};

/// Returns the URL of the Redis that all tests share.
pub(crate) fn shared_url() -> String {
    std::env::var("CALLGATE_REDIS_URL").expect(
        "CALLGATE_REDIS_URL is the URL of a Redis for tests: `cargo xtask test` and \
         `cargo xtask redis cargo test` start one",
    )
}

/// Creates layers with a namespace of their own. Each has the threads of its own, as processes do.
#[derive(Debug)]
pub(crate) struct RedisHarness {
    url: String,
    namespace: String,
    processes: Mutex<Vec<Runtime>>,
}

impl RedisHarness {
    pub(crate) fn new() -> Self {
        Self::at(&shared_url())
    }

    pub(crate) fn at(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            url: url.to_owned(),
            namespace: format!("test-{}-{count}", std::process::id()),
            processes: Mutex::default(),
        }
    }
}

impl Harness for RedisHarness {
    fn process(&self, settings: Settings) -> BoxFuture<'_, ChannelLayer> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (url, settings) = (self.url.clone(), settings.namespace(&self.namespace));
        let connecting =
            runtime.spawn(async move { ChannelLayer::connect_with(&url, settings).await });
        self.processes.lock().expect("the lock").push(runtime);
        Box::pin(async { connecting.await.expect("no panic").expect("a layer") })
    }

    /// Ends the threads of the layer that was created last.
    fn kill(&self, layer: ChannelLayer) -> BoxFuture<'_, ()> {
        let process = self.processes.lock().expect("the lock").pop();
        process.expect("a process").shutdown_background();
        drop(layer);
        Box::pin(std::future::ready(()))
    }
}

impl Drop for RedisHarness {
    fn drop(&mut self) {
        // A runtime cannot be dropped where it would have to wait for its threads.
        for process in self.processes.lock().expect("the lock").drain(..) {
            process.shutdown_background();
        }
    }
}
