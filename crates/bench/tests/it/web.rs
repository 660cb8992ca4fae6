//! `http-publish` against a server that answers from a list: a refusal, an answer that came already and what is no answer
//! are found.

use bench::{BenchError, Mode, Options, Report};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

/// Serves one connection: the n-th request, with a body of 16 bytes, gets the n-th answer.
fn answering(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut socket = BufReader::new(listener.accept().unwrap().0);
        for answer in answers {
            let mut line = String::new();
            // A client that has gone is the end.
            while line != "\r\n" {
                line.clear();
                if socket.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
            }
            let mut body = [0; 16];
            socket.read_exact(&mut body).unwrap();
            assert_eq!(&body, &[b'x'; 16]);
            socket.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn run(answers: Vec<String>) -> Result<Report, BenchError> {
    let msgs = answers.len() as u64;
    let server = answering(answers);
    let options = Options::new(Mode::HttpPublish, "it.bench");
    bench::run(&Options { server, msgs, size: 16, warmup_percent: 0, ..options })
}

#[test]
fn requests_that_have_answers_of_their_own_are_complete() {
    let report = run((0..500).map(|n| answer("202 Accepted", &format!("{{\"id\":{n}}}"))).collect()).unwrap();
    assert!(report.faults.none(), "{:?}", report.faults);
    assert_eq!((report.msgs, report.delivered), (500, 500));
}

#[test]
fn a_refusal_and_an_answer_that_came_already_are_faults() {
    let good = answer("202 Accepted", "{\"id\":1}");
    let bad = answer("503 Service Unavailable", "{}");
    let report = run(vec![good.clone(), good, bad]).unwrap();
    assert_eq!((report.faults.doubled, report.faults.refused, report.delivered), (1, 1, 3));
}

#[test]
fn what_is_no_answer_ends_the_run() {
    for wrong in ["SSH-2.0\r\n", "HTTP/1.1 202 Accepted\r\n\r\n"] {
        let said = run(vec![wrong.into()]).unwrap_err().to_string();
        assert!(said.contains("no answer"), "{said}");
    }
    let twice = answer("202 Accepted", "").repeat(2);
    assert!(run(vec![twice]).unwrap_err().to_string().contains("more than one"));
}
