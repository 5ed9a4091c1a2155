//! Blocking functions on the reference server, over real sockets.

use std::io::{self, Read};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use callgate_toolkit::blocking::{Body, ThreadPool};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;

use crate::served::{Served, rest};

/// More than all buffers between a client and a function hold.
const LARGE: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn an_upload_larger_than_all_buffers_waits_until_it_is_read() {
    let (read_on, reads) = mpsc::channel::<()>();
    let reads = Mutex::new(reads);
    let count = move |_: Request<()>, body: &mut dyn Read| -> io::Result<_> {
        reads.lock().unwrap().recv().unwrap();
        let length = io::copy(body, &mut io::sink())?;
        Ok(Response::new(length.to_string()))
    };
    let served = Served::start(ThreadPool::new(1).app(count));
    let mut upload = served.request("POST /").await;
    let length = format!("content-length: {LARGE}\r\n\r\n");
    upload.write_all(length.as_bytes()).await.unwrap();
    let part = vec![b'x'; 64 * 1024];
    // What the buffers hold goes out at once. They are full when the system takes no more, and no
    // event says so but that.
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(std::time::Duration::from_millis(500), upload.write(&part)).await
    {
        sent += written.unwrap();
        assert!(sent < LARGE, "all of it is held in memory");
    }
    read_on.send(()).unwrap();
    while sent < LARGE {
        let length = part.len().min(LARGE - sent);
        upload.write_all(&part[..length]).await.unwrap();
        sent += length;
    }
    let response = rest(upload).await;
    assert!(
        response.ends_with(&format!("\r\n\r\n{LARGE}")),
        "{response}"
    );
    served.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_thread() {
    let (ended, mut ends) = unbounded_channel();
    let handler = move |request: Request<()>, body: &mut dyn Read| -> io::Result<_> {
        let ended = ended.clone();
        match request.uri().path() {
            "/up" => {
                let result = io::copy(body, &mut io::sink());
                ended.send(result.as_ref().unwrap_err().kind()).unwrap();
                result?;
                Ok(Response::new(Body::empty()))
            }
            "/down" => Ok(Response::new(Body::write(move |out| {
                loop {
                    if let Err(error) = out.write_all(&[b'x'; 64 * 1024]) {
                        ended.send(error.kind()).unwrap();
                        return Err(error);
                    }
                }
            }))),
            _ => Ok(Response::new("still here".into())),
        }
    };
    let pool = Arc::new(ThreadPool::new(1));
    let served = Served::start(pool.app(handler));
    let mut upload = served.request("POST /up").await;
    upload
        .write_all(b"content-length: 9\r\n\r\nhalf")
        .await
        .unwrap();
    drop(upload);
    assert_eq!(ends.recv().await.unwrap(), io::ErrorKind::UnexpectedEof);

    let mut download = served.request("GET /down").await;
    download.write_all(b"\r\n").await.unwrap();
    download
        .read_exact(&mut vec![0; 1024 * 1024])
        .await
        .unwrap();
    drop(download);
    assert_eq!(ends.recv().await.unwrap(), io::ErrorKind::BrokenPipe);

    let mut other = served.request("GET /").await;
    other.write_all(b"\r\n").await.unwrap();
    assert!(rest(other).await.ends_with("still here"));
    assert_eq!(pool.threads(), 1);
    served.stop().await;
}
