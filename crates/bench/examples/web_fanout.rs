//! A bare loop that writes the frames of `neuroplex bench ws-fanout`, or the events of `sse-fanout`: what a server reaches
//! that does nothing else. One thread, raw sockets; it knows the run beforehand, parses nothing, and is *not* a server.
//!
//! `web_fanout ws|sse SUBJECT SIZE CLIENTS` prints its address and serves one run with the same options.

use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use wire::websocket::{Opcode, write};

/// What was read of a handshake's end tells nothing more.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n";

/// The head of endless events, and the chunk that comes before any.
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\
    transfer-encoding: chunked\r\n\r\nd\r\nretry: 1000\n\n\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, subject, size, clients] = args.as_slice() else {
        return Err("usage: web_fanout ws|sse SUBJECT SIZE CLIENTS".into());
    };
    let is_sse = match kind.as_str() {
        "ws" => false,
        "sse" => true,
        other => return Err(format!("no such kind: {other}").into()),
    };
    let payload = "x".repeat(size.parse()?);
    let mut frame = Vec::new();
    match is_sse {
        true => frame.extend_from_slice(
            format!("event: message\ndata: {{\"subject\":\"{subject}\",\"payload\":\"{payload}\"}}\n\n")
                .as_bytes(),
        ),
        false => {
            let text = format!(r#"{{"op":"msg","sid":1,"subject":"{subject}","payload":"{payload}"}}"#);
            write(&mut frame, Opcode::Text, text.as_bytes());
        }
    }
    let published = format!(r#"{{"op":"pub","subject":"{subject}","payload":"{payload}"}}"#).len();
    // A head of 2, 4 or 10 bytes, and the mask.
    let published = published + wire::websocket::head_len(published) + 4;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let mut subscribers = Vec::new();
    for _ in 0..clients.parse::<usize>()? {
        let socket = if is_sse { greet(&listener, EVENTS)? } else { subscribe(&listener)? };
        socket.set_nonblocking(true)?;
        subscribers.push((socket, Vec::new(), 0));
    }
    let publisher = greet(&listener, ANSWER)?;
    serve(publisher, subscribers, &frame, published, is_sse)
}

/// A subscriber over WebSocket, who is told that it is one.
fn subscribe(listener: &TcpListener) -> Result<TcpStream, Box<dyn Error>> {
    let mut socket = greet(listener, ANSWER)?;
    if socket.read(&mut [0; 4096])? == 0 {
        return Err("a subscriber left before it subscribed".into());
    }
    let mut ok = Vec::new();
    write(&mut ok, Opcode::Text, br#"{"op":"ok","sid":1}"#);
    socket.write_all(&ok)?;
    Ok(socket)
}

/// Reads the head of a request and answers it.
fn greet(listener: &TcpListener, answer: &[u8]) -> Result<TcpStream, Box<dyn Error>> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    socket.write_all(answer)?;
    Ok(socket)
}

/// Reads what is published; writes as many frames to each subscriber, in one write where the socket takes it.
fn serve(
    mut publisher: TcpStream,
    mut subscribers: Vec<(TcpStream, Vec<u8>, usize)>,
    frame: &[u8],
    published: usize,
    is_chunked: bool,
) -> Result<(), Box<dyn Error>> {
    let (mut buffer, mut read) = (vec![0; 256 << 10], 0usize);
    loop {
        let is_behind = subscribers.iter().any(|(_, waiting, at)| *at < waiting.len());
        publisher.set_nonblocking(is_behind)?;
        let before = read / published;
        match publisher.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => read += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Ok(()),
        }
        let mut frames = frame.repeat(read / published - before);
        if is_chunked && !frames.is_empty() {
            frames = [format!("{:x}\r\n", frames.len()).as_bytes(), &frames, b"\r\n"].concat();
        }
        for (socket, waiting, at) in &mut subscribers {
            if *at == waiting.len() {
                waiting.clear();
                *at = 0;
            }
            waiting.extend_from_slice(&frames);
            match socket.write(waiting.get(*at..).unwrap_or_default()) {
                Ok(n) => *at += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Ok(()),
            }
        }
    }
}
