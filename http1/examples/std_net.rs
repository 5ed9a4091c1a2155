//! A server that sends the content of each request back. Each connection has a thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, SystemTime};
use std::{error::Error, thread};

use bytes::BytesMut;
use callgate_http1::{Config, Date, Decoder, Event, Expectation, Persistence, ResponseEncoder};
use http::{HeaderMap, Method, StatusCode};

/// How many octets of content a request may have, and how many are discarded before a close.
const CONTENT_LIMIT: usize = 1 << 20;

fn main() -> io::Result<()> {
    serve_all(TcpListener::bind("127.0.0.1:8000")?.incoming());
    Ok(())
}

pub(crate) fn serve_all(streams: impl Iterator<Item = io::Result<TcpStream>>) {
    let spawn = |stream| thread::Builder::new().spawn(move || serve(stream).ok());
    for stream in streams {
        if stream.and_then(spawn).is_err() {
            // The process may have too many open files or threads.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(crate) fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let (mut input, mut content, mut output) = (BytesMut::new(), Vec::new(), BytesMut::new());
    let mut decoder = Decoder::new(Config::default());
    let mut encoder = ResponseEncoder::for_malformed_request();
    let mut persistence = Persistence::KeepAlive;
    while persistence == Persistence::KeepAlive {
        let date = Date::at(SystemTime::now());
        let (event, next) = match decoder.decode(&mut input) {
            Ok(decoded) => decoded,
            Err(error) => {
                encoder.encode_refusal(error, (&date).into(), &mut output);
                break;
            }
        };
        decoder = next;
        let status = match event {
            Some(Event::Head(head)) => {
                encoder = ResponseEncoder::new(&head);
                if head.expectation == Expectation::Continue {
                    encoder.encode_continue(&mut output);
                }
                (head.method == Method::CONNECT).then_some(StatusCode::NOT_IMPLEMENTED)
            }
            Some(Event::Data(data)) => {
                content.extend_from_slice(&data);
                (content.len() > CONTENT_LIMIT).then_some(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Some(Event::End(_trailers)) => Some(StatusCode::OK),
            None => {
                stream.write_all(&output.split())?;
                let mut octets = [0; 4096];
                match stream.read(&mut octets)? {
                    0 => return Ok(()),
                    length => input.extend_from_slice(&octets[..length]),
                }
                None
            }
        };
        if let Some(status) = status {
            if status != StatusCode::OK {
                content.clear();
                encoder.close();
            }
            let (fields, date) = (HeaderMap::new(), (&date).into());
            persistence = encoder.encode_whole(status, &fields, &content, date, &mut output)?;
            encoder = ResponseEncoder::for_malformed_request();
            content.clear();
        }
    }
    stream.write_all(&output)?;
    // A close with unread input resets the connection, and the client may lose the response.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(CONTENT_LIMIT as u64), &mut io::sink())?;
    Ok(())
}
