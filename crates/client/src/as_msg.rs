//! What can be published: a borrowed or owned message, or simply a subject and a payload.

use kernel::{Message, Msg};

/// Anything that can be seen as a message.
pub trait AsMsg {
    /// The message, borrowed.
    fn view(&self) -> Msg<'_>;
}

impl AsMsg for Msg<'_> {
    fn view(&self) -> Msg<'_> {
        *self
    }
}

impl AsMsg for Message {
    fn view(&self) -> Msg<'_> {
        self.as_msg()
    }
}

/// A subject and a payload.
impl<S: AsRef<[u8]>, P: AsRef<[u8]>> AsMsg for (S, P) {
    fn view(&self) -> Msg<'_> {
        Msg { subject: self.0.as_ref(), payload: self.1.as_ref(), ..Msg::default() }
    }
}

impl<M: AsMsg + ?Sized> AsMsg for &M {
    fn view(&self) -> Msg<'_> {
        (**self).view()
    }
}
