//! A server that sends the content of each request back. Each connection has a thread.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{error::Error, mem, thread, time::SystemTime};

use bytes::BytesMut;
use callgate_http1::{Config, Date, Decoder, Event, Expectation, Persistence, ResponseEncoder};
use http::{HeaderMap, StatusCode};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8000")?;
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || serve(stream).ok());
    }
}

pub(crate) fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
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
        match event {
            Some(Event::Head(head)) => {
                encoder = ResponseEncoder::new(&head);
                if head.expectation == Expectation::Continue {
                    encoder.encode_continue(&mut output);
                }
            }
            Some(Event::Data(data)) => content.extend_from_slice(&data),
            Some(Event::End(_trailers)) => {
                let encoder = mem::replace(&mut encoder, ResponseEncoder::for_malformed_request());
                let (status, fields, date) = (StatusCode::OK, HeaderMap::new(), (&date).into());
                persistence = encoder.encode_whole(status, &fields, &content, date, &mut output)?;
                content.clear();
            }
            None => {
                stream.write_all(&output.split())?;
                let mut octets = [0; 4096];
                match stream.read(&mut octets)? {
                    0 => return Ok(()),
                    length => input.extend_from_slice(&octets[..length]),
                }
            }
        }
    }
    Ok(stream.write_all(&output)?)
}
