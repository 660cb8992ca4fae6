//! Where messages go that are published into a stream: which subjects are its own, so that nothing else is said through the
//! door. Who may publish on them is *not* decided here.

use kernel::{Code, Subject, SubjectPattern};
use wire::jetstream as js;
use wire::jetstream::api::{Nothing, StreamInfoPage};

use super::{ANSWER_BYTES_MAX, ask};
use crate::http::caller::Caller;
use crate::http::problem::Problem;

/// See the module.
pub(super) struct Goal {
    pub(super) stream: String,
    /// The subjects that the stream hears; `None`: this user may not know them.
    subjects: Option<Vec<SubjectPattern>>,
}

impl Goal {
    /// The stream of that name, as far as `caller` may know it.
    pub(super) async fn of(caller: &Caller, stream: &str) -> Result<Goal, Problem> {
        let mut call = caller.call(ANSWER_BYTES_MAX)?;
        let what = js::Call::StreamInfo { stream };
        let config = match ask::<StreamInfoPage>(&mut call, what, &Nothing {}).await {
            Ok(page) => page.info.into_inner().config,
            Err(problem) if problem.code() == Code::PermissionDenied => {
                return Ok(Goal { stream: stream.to_owned(), subjects: None });
            }
            Err(problem) => return Err(problem),
        };
        if config.no_ack {
            let detail = "this stream acknowledges nothing (`no_ack`), so nobody would know what is stored";
            return Err(Problem::new(Code::InvalidRequest, detail));
        }
        let patterns = config.subjects.iter().filter_map(|s| SubjectPattern::parse(s.as_bytes()).ok());
        Ok(Goal { stream: stream.to_owned(), subjects: Some(patterns.collect()) })
    }

    /// Where a message goes that does not say it.
    pub(super) fn only_subject(&self) -> Option<&str> {
        match self.subjects.as_deref() {
            Some([only]) => Subject::parse(only.as_str().as_bytes()).is_ok().then_some(only.as_str()),
            _ => None,
        }
    }

    /// Refuses a subject that is none or is not the stream's, so that nothing else can be said through this door.
    pub(super) fn check(&self, subject: &[u8]) -> Result<(), Problem> {
        let shown = String::from_utf8_lossy(subject);
        let wrong = |detail: String| Err(Problem::new(Code::SubjectInvalid, detail));
        if Subject::parse(subject).is_err() {
            return wrong(format!("`{shown}` is no subject"));
        }
        let is_heard = match &self.subjects {
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(subject)),
            None => !subject.starts_with(b"$"),
        };
        match is_heard {
            true => Ok(()),
            false => wrong(format!("stream `{}` does not hear `{shown}`", self.stream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(subjects: Option<&[&str]>) -> Goal {
        let parse = |s: &&str| SubjectPattern::parse(s.as_bytes()).unwrap();
        Goal { stream: "S".into(), subjects: subjects.map(|all| all.iter().map(parse).collect()) }
    }

    #[test]
    fn a_message_goes_to_the_stream_and_nowhere_else() {
        let known = goal(Some(&["a.>", "b"]));
        assert!(known.check(b"a.x").is_ok() && known.check(b"b").is_ok());
        for bad in [&b"c"[..], b"a", b"a.*", b"$JS.API.STREAM.DELETE.S", b"", b"a. b"] {
            assert_eq!(known.check(bad).unwrap_err().code(), Code::SubjectInvalid);
        }
        let unknown = goal(None);
        assert!(unknown.check(b"c").is_ok() && unknown.check(b"$JS.API.STREAM.DELETE.S").is_err());
        assert_eq!(known.only_subject(), None);
        assert_eq!(goal(Some(&["b"])).only_subject(), Some("b"));
        assert_eq!(goal(Some(&["a.>"])).only_subject(), None);
    }
}
