//! The end of a connection whose client may still be sending.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// How long a connection lingers while the client sends nothing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection lingers while the client goes on sending.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much a connection discards while it lingers, in octets.
const MOST: usize = 64 * 1024 * 1024;

/// Closes the sending side of a connection, and discards what the client still sends. Returns when
/// the client has closed its side, has sent nothing for 2 s, or has sent for 30 s or 64 MiB.
///
/// A server that closes both sides while the client is sending destroys the output that the client
/// has not read (RFC 9112, 9.6).
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let discarding = async {
        stream.shutdown().await?;
        // In few calls, and not in the future, which is small then.
        let mut discarded = vec![0; 16 * 1024];
        let mut left = MOST;
        loop {
            let read = timeout(IDLE_TIMEOUT, stream.read(&mut discarded)).await??;
            left = left.saturating_sub(read);
            if read == 0 || left == 0 {
                return io::Result::Ok(());
            }
        }
    };
    // A connection that fails has ended, too.
    let _ = timeout(TIMEOUT, discarding).await;
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lingering_ends_when_the_client_sends_nothing_and_does_not_close() {
        let (mut stream, _client_that_stays) = tokio::io::duplex(64);
        let start = Instant::now();
        linger(&mut stream).await;
        // Timers go off at the next full millisecond.
        assert!(start.elapsed() - IDLE_TIMEOUT <= Duration::from_millis(1));
    }

    #[tokio::test]
    async fn lingering_ends_when_the_client_has_sent_too_much() {
        let (mut stream, mut client) = tokio::io::duplex(64 * 1024);
        let sending = async {
            let mut sent = 0;
            while client.write_all(&[0; 64 * 1024]).await.is_ok() {
                sent += 64 * 1024;
            }
            sent
        };
        let lingering = async {
            linger(&mut stream).await;
            drop(stream);
        };
        let (sent, ()) = tokio::join!(sending, lingering);
        assert!((MOST..MOST + 256 * 1024).contains(&sent), "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_goes_on_while_the_client_sends_but_not_for_ever() {
        const PAUSE: Duration = Duration::from_secs(1);
        for (sends, longest) in [(9, 9 * PAUSE + IDLE_TIMEOUT), (1000, TIMEOUT)] {
            let (mut stream, mut client) = tokio::io::duplex(64);
            let start = Instant::now();
            let sending = async {
                for _ in 0..sends {
                    tokio::time::sleep(PAUSE).await;
                    client.write_all(b"x").await?;
                }
                std::future::pending::<io::Result<()>>().await
            };
            tokio::select! {
                () = linger(&mut stream) => {}
                sent = sending => panic!("{sent:?}"),
            }
            let lasted = start.elapsed();
            assert!(lasted >= longest, "{lasted:?}");
            assert!(lasted - longest <= Duration::from_millis(1), "{lasted:?}");
        }
    }
}
