//! The HTTP door, asked for `/healthz` in as few words as HTTP allows.

use std::str::FromStr;
use std::time::{Duration, Instant};

use kernel::Code;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tick::{Tick, ms};

const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// More than an answer has, metrics of many streams included, in bytes.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// `http://host:port`; the scheme may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
}

impl Address {
    /// Where the door listens unless it is told otherwise.
    pub(super) fn usual() -> Address {
        Address { host: "127.0.0.1:7400".into() }
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let rest = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some(("https", _)) => return Err("only http:// is checked; ask https:// with curl"),
            Some(_) => return Err("an address is http://HOST:PORT"),
        };
        let host = rest.trim_end_matches('/');
        let legal = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'@' | b'?' | b'#'));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match (legal, has_port) {
            (false, _) => Err("an address is http://HOST:PORT"),
            (true, true) => Ok(Address { host: host.into() }),
            (true, false) => Ok(Address { host: format!("{host}:80") }),
        }
    }
}

/// What the door said.
pub(super) struct Door {
    pub(super) tick: Tick,
    /// Where it is, if it answered well.
    pub(super) address: Option<Address>,
    /// Its clock, in seconds since 1970, if it told.
    pub(super) date_s: Option<u64>,
}

/// Asks the door; without an address the usual one, if something listens there.
pub(super) async fn check(named: Option<Address>) -> Door {
    let address = named.clone().unwrap_or_else(Address::usual);
    let url = format!("http://{}/healthz", address.host);
    let start = Instant::now();
    let tcp = match timeout(STEP_TIMEOUT, TcpStream::connect(&address.host)).await {
        Ok(Ok(tcp)) => tcp,
        _ if named.is_none() => {
            let what = format!("nothing listens on http://{}; name another with --http URL", address.host);
            return Door { tick: Tick::skipped("http", what), address: None, date_s: None };
        }
        Ok(Err(e)) => return broken(&url, &e.to_string()),
        Err(_) => return broken(&url, "no answer"),
    };
    let answer = match timeout(STEP_TIMEOUT, ask(tcp, &address.host, "/healthz")).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => return broken(&url, &e.to_string()),
        Err(_) => return broken(&url, "it took the connection but did not answer"),
    };
    let date_s = date(&answer);
    let tick = match status(&answer) {
        Some(200) => Tick::good("http", format!("{url} is well, in {}", ms(start.elapsed()))),
        Some(status) => {
            let fix = "If this is a node, its log says what it lacks; else name the node's HTTP door with --http URL.";
            Tick::bad("http", Code::ServiceUnavailable, format!("{url} answered {status}"), fix)
        }
        None => return broken(&url, "what answers does not speak HTTP"),
    };
    Door { tick, address: Some(address), date_s }
}

/// The whole answer to `GET path`; larger ones are cut off.
pub(super) async fn get(address: &Address, path: &str) -> std::io::Result<Vec<u8>> {
    timeout(STEP_TIMEOUT, async { ask(TcpStream::connect(&address.host).await?, &address.host, path).await })
        .await?
}

fn broken(url: &str, why: &str) -> Door {
    let fix = "Check that the node runs with an HTTP door there: `neuroplex up --http ADDR`.";
    let tick = Tick::bad("http", Code::ConnectionError, format!("{url}: {why}"), fix);
    Door { tick, address: None, date_s: None }
}

async fn ask(mut tcp: TcpStream, host: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let question =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: neuroplex\r\n\r\n");
    tcp.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    tcp.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.split(|b| *b == b'\r').next()?).ok()?;
    line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// The `Date` header, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7), in seconds since 1970.
fn date(answer: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(answer);
    let head = text.split("\r\n\r\n").next()?;
    let named = head.lines().filter_map(|l| l.split_once(':')).find(|(n, _)| n.eq_ignore_ascii_case("date"));
    let mut parts = named?.1.split_ascii_whitespace().skip(1);
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|m| *m == month)? as i64 + 1;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|p| p.parse::<i64>());
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    u64::try_from(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

/// Days since 1970-01-01 of a date (Hinnant, "chrono-compatible low-level date algorithms", days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, host) in [
            ("http://127.0.0.1:7400/", "127.0.0.1:7400"),
            ("localhost:7400", "localhost:7400"),
            ("http://[::1]:1", "[::1]:1"),
            ("http://h", "h:80"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().host, host);
        }
        for bad in ["", "https://h", "ftp://h", "http://h/path", "http://a b"] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_is_read() {
        let answer = b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok";
        assert_eq!((status(answer), date(answer)), (Some(200), Some(784_111_777)));
        let leap = b"HTTP/1.0 503 No\r\nDate: Thu, 29 Feb 2024 00:00:00 GMT\r\n\r\n";
        assert_eq!((status(leap), date(leap)), (Some(503), Some(1_709_164_800)));
        for odd in [
            &b""[..],
            b"INFO {}\r\n",
            b"HTTP/1.1 x\r\nDate: yesterday\r\n\r\n",
            b"HTTP/1.1 200\r\nDate: a 1 Jan\r\n\r\n",
        ] {
            assert_eq!(date(odd), None);
        }
    }
}
