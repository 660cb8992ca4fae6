//! As much of Redis as `XADD`, `XLEN`, `DEL` and `INFO` need, for one key.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where it listens. With `forgets` it answers the tenth entry and does not count it.
pub(crate) fn start(forgets: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let entries = Arc::new(AtomicU64::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, entries) = (stream.unwrap(), entries.clone());
            std::thread::spawn(move || serve(stream, &entries, forgets));
        }
    });
    format!("redis://127.0.0.1:{port}")
}

fn serve(mut stream: TcpStream, entries: &AtomicU64, forgets: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(words) = command(&mut reader) {
        let bulk = |text: String| format!("${}\r\n{text}\r\n", text.len());
        let answer = match words.first().map(String::as_str) {
            Some("XADD") => bulk(format!("1700000000000-{}", entries.fetch_add(1, Ordering::SeqCst))),
            Some("XLEN") => {
                let count = entries.load(Ordering::SeqCst);
                format!(":{}\r\n", count - u64::from(forgets && count >= 10))
            }
            Some("INFO") => bulk("# Server\r\nredis_version:7.0.0\r\n".into()),
            _ => ":0\r\n".into(),
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut number = |mark: char| {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let count = line.strip_prefix(mark)?.trim().parse::<usize>().ok()?;
        let mut bytes = vec![0; if mark == '$' { count + 2 } else { 0 }];
        reader.read_exact(&mut bytes).ok()?;
        bytes.truncate(bytes.len().saturating_sub(2));
        Some((count, String::from_utf8_lossy(&bytes).into_owned()))
    };
    let (count, _) = number('*')?;
    (0..count).map(|_| number('$').map(|(_, word)| word)).collect()
}
