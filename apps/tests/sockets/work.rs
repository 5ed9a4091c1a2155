use std::sync::mpsc::channel;

use tokio::runtime::Builder;

use crate::TestServer;
use crate::http_client;

/// The server and its client share one thread. The one thread for blocking work is busy.
#[test]
fn checks_are_answered_while_computations_run() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.max_blocking_threads(1).enable_all().build();
    let runtime = runtime.unwrap();
    let (release, released) = channel::<()>();
    runtime.spawn_blocking(move || released.recv());
    runtime.block_on(async {
        let server = TestServer::start("work");
        let mut work = tokio::spawn(http_client::get(server.url("/work/4")));
        for _ in 0..20 {
            let check = http_client::get(server.url("/check")).await.unwrap();
            assert_eq!(check.text().await.unwrap(), "OK\n");
            assert!(!work.is_finished());
        }
        drop(release);
        let sorted = (&mut work).await.unwrap().unwrap();
        let sorted = sorted.text().await.unwrap();
        assert_eq!(sorted, "{\"numbers\":10000,\"sorted\":true}\n");

        let refused = http_client::get(server.url("/work/8")).await.unwrap();
        assert_eq!(refused.status(), 422);
        server.stop().await;
    });
}
