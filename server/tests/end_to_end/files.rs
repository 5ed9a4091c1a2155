//! Path sends over HTTP/1.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use callgate::{HttpResponseBody, HttpResponsePathSend, HttpResponseStart, SendError};
use tempfile::TempDir;

use crate::support::{Server, config, get, head, http, within};

/// More than the system takes from a server whose client does not read, with a small send buffer.
const LARGE: usize = 4 * 1024 * 1024;

/// Serves the files of a directory with these names and lengths. Each octet tells where it stands.
fn serve(files: &[(&str, usize)]) -> (Server, TempDir) {
    serve_from(tempfile::tempdir().unwrap(), files)
}

fn serve_from(directory: TempDir, files: &[(&str, usize)]) -> (Server, TempDir) {
    for (name, length) in files {
        std::fs::write(directory.path().join(name), content(*length)).unwrap();
    }
    let path = directory.path().to_owned();
    let app = http(
        Arc::new(path),
        async |directory: Arc<PathBuf>, scope, _, sender| {
            sender.send(HttpResponseStart::ok()).await?;
            let path = directory.join(&scope.raw_path()[1..]);
            Ok(sender.send(HttpResponsePathSend::new(path)).await?)
        },
    );
    // An idle connection frees memory, which must not be what lets a stuck connection go on.
    let mut config = config();
    config.timeouts.keep_alive = Duration::from_secs(3600);
    (Server::with_small_buffer(config, app), directory)
}

fn content(length: usize) -> String {
    const OCTETS: &str = "abcdefghijklmnopqrstuvw";
    let mut content = OCTETS.repeat(length / OCTETS.len() + 1);
    content.truncate(length);
    content
}

#[tokio::test]
async fn ext_08_and_09_a_file_is_sent_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let big = "0123456789abcdef".repeat(20_000);
    std::fs::write(directory.path().join("big"), &big).unwrap();
    std::fs::write(directory.path().join("empty"), "").unwrap();
    let server = Server::start(http(
        Arc::new(directory.path().to_owned()),
        async |directory: Arc<PathBuf>, scope, _, sender| {
            let name = scope.raw_path()[1..].to_owned();
            let mut start = HttpResponseStart::ok();
            if name == "stated" {
                start = start.header("content-length", "320000");
            }
            sender.send(start).await?;
            let path = directory.join(if name == "stated" { "big" } else { &name });
            match sender.send(HttpResponsePathSend::new(path)).await {
                Err(SendError::File { .. }) => {
                    sender.send(HttpResponseBody::last("no file")).await?;
                }
                sent => sent?,
            }
            Ok(())
        },
    ));
    let mut client = server.connect().await;
    for (target, body) in [
        ("/big", big.as_str()),
        ("/stated", &big),
        ("/empty", ""),
        ("/missing", "no file"),
        ("/.", "no file"),
    ] {
        for _ in 0..2 {
            client.send(get(target)).await;
            let response = client.response().await;
            assert_eq!(response.status, 200);
            let length = body.len().to_string();
            assert_eq!(response.field("content-length"), Some(length.as_str()));
            assert!(
                response.body == body,
                "{target}: {} bytes",
                response.body.len()
            );
        }
    }
    client.send(head("/big")).await;
    assert_eq!(client.head().await.field("content-length"), Some("320000"));
    client.send(get("/empty")).await;
    assert_eq!(client.response().await.body, "");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn files_of_all_sizes_leave_in_the_order_of_their_requests() {
    let files = [
        ("none", 0),
        ("small", 100),
        ("chunk", 70_000),
        ("large", LARGE),
    ];
    let (server, _directory) = serve(&files);
    let mut client = server.connect().await;
    let order = ["large", "none", "chunk", "small", "large", "small"];
    let targets = order.map(|name| get(&format!("/{name}")));
    client.send(targets.concat()).await;
    for name in order {
        let length = files.iter().find(|file| file.0 == name).unwrap().1;
        let response = client.response().await;
        assert_eq!(
            response.field("content-length"),
            Some(length.to_string().as_str())
        );
        assert!(
            response.body == content(length),
            "{name}: {}",
            response.body.len()
        );
    }
    drop(client);
    server.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_the_system_has_forgotten_is_read_from_the_disk() {
    use rustix::fs::{Advice, fadvise};

    let (server, directory) = serve(&[("large", LARGE)]);
    let file = std::fs::File::open(directory.path().join("large")).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, LARGE as u64 / 2, None, Advice::DontNeed).unwrap();
    let mut client = server.connect().await;
    client.send([get("/large"), get("/large")].concat()).await;
    for _ in 0..2 {
        assert!(client.response().await.body == content(LARGE));
    }
    drop(client);
    server.finish().await;
}

/// Returns how many files of a directory this process has open.
#[cfg(target_os = "linux")]
fn open_files(directory: &std::path::Path) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| path.starts_with(directory))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_has_one_file_open_however_many_requests_are_pipelined() {
    // The files of this directory are never known to be in memory.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (server, directory) = serve_from(directory, &[("small", 1)]);
    let mut client = server.connect().await;
    client.send(get("/small").repeat(100)).await;
    let responses = async {
        let mut most = 0;
        for _ in 0..100 {
            assert_eq!(client.response().await.body, "a");
            most = most.max(open_files(directory.path()));
        }
        most
    };
    let most = within(responses).await;
    assert!(most <= 1, "{most}");
    drop(client);
    server.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn http_09_a_file_is_closed_when_its_client_is_gone() {
    let (server, directory) = serve(&[("large", LARGE)]);
    let mut client = server.connect().await;
    client.send(get("/large")).await;
    client.bytes(1).await;
    assert_eq!(open_files(directory.path()), 1);
    drop(client);
    let closed = async {
        while open_files(directory.path()) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(closed).await;
    server.finish().await;
}

#[tokio::test]
async fn ext_09_a_file_that_becomes_shorter_cuts_the_response() {
    let (server, directory) = serve(&[("large", LARGE)]);
    let mut client = server.connect().await;
    client.send(get("/large")).await;
    assert_eq!(client.head().await.field("content-length"), Some("4194304"));
    client.bytes(1).await;
    let file = std::fs::File::options()
        .write(true)
        .open(directory.path().join("large"));
    file.unwrap().set_len(1).unwrap();
    let rest = client.rest().await;
    assert!(rest.len() < LARGE - 1, "{}", rest.len());
    server.finish().await;
}
