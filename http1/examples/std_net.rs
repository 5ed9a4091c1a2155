//! A server over `std::net` that sends the content of each request back. Each connection has a
//! thread.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{thread, time::SystemTime};

use bytes::BytesMut;
use callgate_http1::{AfterHead, Config, ContentLength, Date, DecodeError, DecodedContent};
use callgate_http1::{DecodedHead, HeadDecoder, Next, Persistence, ResponseEncoder};
use http::{HeaderMap, StatusCode};

fn main() -> io::Result<()> {
    serve(&TcpListener::bind("127.0.0.1:8000")?)
}

pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || {
            let error = serve_connection(&stream).err()?;
            let error = error.downcast_ref::<DecodeError>()?;
            let encoder = ResponseEncoder::for_malformed_request();
            respond(&stream, encoder, error.status(), error.reason().as_bytes()).ok()
        });
    }
}

fn serve_connection(stream: &TcpStream) -> Result<(), Box<dyn Error>> {
    let mut input = BytesMut::new();
    let mut decoder = HeadDecoder::new(Config::default());
    loop {
        let (head, mut next) = match decoder.decode(&mut input)? {
            DecodedHead::Complete(head, next) => (head, next),
            DecodedHead::Incomplete(unchanged) => {
                decoder = unchanged;
                read(stream, &mut input)?;
                continue;
            }
        };
        let mut content = BytesMut::new();
        decoder = loop {
            next = match next {
                Next::Head(decoder) => break decoder,
                Next::Content(decoder) => match decoder.decode(&mut input)? {
                    DecodedContent::Data(data, decoder) => {
                        content.extend_from_slice(&data);
                        Next::Content(decoder)
                    }
                    DecodedContent::End(_trailers, decoder) => Next::Head(decoder),
                    DecodedContent::Incomplete(decoder) => {
                        read(stream, &mut input)?;
                        Next::Content(decoder)
                    }
                },
            };
        };
        let encoder = ResponseEncoder::new(&head);
        if respond(stream, encoder, StatusCode::OK, &content)? == Persistence::Close {
            return Ok(());
        }
    }
}

fn read(mut stream: &TcpStream, input: &mut BytesMut) -> io::Result<()> {
    let mut octets = [0; 4096];
    let length = stream.read(&mut octets)?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    input.extend_from_slice(&octets[..length]);
    Ok(())
}

fn respond(
    mut stream: &TcpStream,
    encoder: ResponseEncoder,
    status: StatusCode,
    content: &[u8],
) -> Result<Persistence, Box<dyn Error>> {
    let mut output = BytesMut::new();
    let length = ContentLength::Known(content.len() as u64);
    let date = Date::at(SystemTime::now());
    let after = encoder.encode(
        status,
        &HeaderMap::new(),
        length,
        (&date).into(),
        &mut output,
    )?;
    let persistence = match after {
        AfterHead::Content(mut encoder) => {
            encoder.encode(content, &mut output)?;
            encoder.end(&mut output)?
        }
        AfterHead::End(persistence) => persistence,
        AfterHead::Tunnel => Persistence::Close,
    };
    stream.write_all(&output)?;
    Ok(persistence)
}
