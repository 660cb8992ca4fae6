//! The time of day as the API writes it, and what a body of a script means by `{now+5}` and `{x*100}`.

use std::time::{SystemTime, UNIX_EPOCH};

/// RFC 3339, in UTC, of a number of seconds since 1970. The date follows Hinnant's "civil from days".
fn rfc3339(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// A body as it is sent.
pub(crate) fn filled_in(body: &str) -> Result<Vec<u8>, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?.as_secs();
    let now = i64::try_from(now).map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let inside = from.get(1..).and_then(|from| from.split_once('}')).map(|(inside, _)| inside);
        match inside.and_then(|inside| Some((written(inside, now)?, inside.len() + 2))) {
            Some((text, length)) => {
                out.extend_from_slice(&text);
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                out.push(b'{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

fn written(inside: &str, now: i64) -> Option<Vec<u8>> {
    if let Some(offset) = inside.strip_prefix("now") {
        return Some(rfc3339(now + offset.parse::<i64>().ok()?).into_bytes());
    }
    let (letter, count) = inside.split_once('*')?;
    (letter.len() == 1).then_some(())?;
    Some(letter.repeat(count.parse().ok()?).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(4_102_444_799), "2099-12-31T23:59:59Z");
    }

    #[test]
    fn bodies_are_taken_as_they_are_but_for_two_forms() {
        assert_eq!(filled_in("{\"a\":{},\"b\":\"{x*3}\"}").unwrap(), b"{\"a\":{},\"b\":\"xxx\"}");
        assert_eq!(filled_in("{now+5}").unwrap().len(), 20);
        assert_eq!(filled_in("a{b").unwrap(), b"a{b");
    }
}
