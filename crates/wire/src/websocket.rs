//! Frames of WebSocket (RFC 6455): read from bytes as they come, unmasked in place, and written. Nothing of a message is
//! kept here: its pieces are handed out, and whoever needs it whole gathers them. The handshake is *not* here, and no
//! extension is known.

/// What a message or a control frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further frame of a message.
    Continuation = 0,
    /// A message of UTF-8.
    Text = 1,
    /// A message of bytes.
    Binary = 2,
    /// The last frame of a side.
    Close = 8,
    /// To be answered by a pong with the same content.
    Ping = 9,
    /// The answer.
    Pong = 10,
}

/// Reasons to close that the protocol has numbers for.
pub mod close {
    /// All is said.
    pub const NORMAL: u16 = 1000;
    /// The server is about to stop.
    pub const GOING_AWAY: u16 = 1001;
    /// Frames that are none.
    pub const PROTOCOL: u16 = 1002;
    /// A message of a kind that is not taken.
    pub const UNSUPPORTED: u16 = 1003;
    /// A text that is not UTF-8.
    pub const NOT_TEXT: u16 = 1007;
    /// Not allowed, for a reason that has no number of its own.
    pub const POLICY: u16 = 1008;
    /// A message that is too large.
    pub const TOO_LARGE: u16 = 1009;
    /// Come back later.
    pub const TRY_LATER: u16 = 1013;
}

/// Largest content of a control frame, in bytes.
pub const CONTROL_BYTES_MAX: usize = 125;
/// Longest head of a frame, in bytes.
pub const HEAD_BYTES_MAX: usize = 14;
/// Longest head of a frame without a mask, in bytes.
pub const PLAIN_HEAD_BYTES_MAX: usize = 10;

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bits that an extension would have to give a meaning.
    #[error("a frame has reserved bits set")]
    Reserved,
    /// An opcode without meaning.
    #[error("a frame has an unknown opcode")]
    Opcode,
    /// A client must mask, a server must not.
    #[error("a client's frames must be masked")]
    Mask,
    /// A length that is written longer than needed, or has its highest bit set.
    #[error("a frame's length is not in its shortest form")]
    Length,
    /// A control frame that is fragmented, or larger than 125 bytes.
    #[error("a control frame is fragmented or too large")]
    Control,
    /// A frame goes on with a message that has not begun, or begins one inside another.
    #[error("frames of messages are not in order")]
    Order,
    /// A close frame whose content is no code and text.
    #[error("a close frame has no valid code or reason")]
    Close,
    /// A message beyond the limit.
    #[error("a message is larger than {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// The number to close with.
    pub fn close_code(self) -> u16 {
        match self {
            Error::TooLarge(_) => close::TOO_LARGE,
            _ => close::PROTOCOL,
        }
    }
}

/// The content of a control frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Control {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

impl Control {
    const EMPTY: Control = Control { bytes: [0; CONTROL_BYTES_MAX], len: 0 };

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Everything is used up; the next bytes go on.
    More,
    /// A piece of a message, unmasked.
    Piece {
        /// Whether the message is text.
        is_text: bool,
        /// The piece.
        bytes: &'a mut [u8],
        /// Whether the message ends with it.
        ends: bool,
    },
    /// To be answered.
    Ping(Control),
    /// An answer.
    Pong(Control),
    /// The other side ends; its code, if it gave one. What comes after it means nothing.
    Close(Option<u16>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Message,
    Control(Opcode),
    Over,
}

/// Reads the frames of one side of a connection, however they are split.
#[derive(Clone, Debug)]
pub struct Reader {
    is_masked: bool,
    message_bytes_max: usize,
    stage: Stage,
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    /// Bytes of the frame that have not come.
    left: u64,
    is_final: bool,
    key: [u8; 4],
    /// Whether a message has begun, and whether it is text.
    message: Option<bool>,
    message_bytes: u64,
    control: Control,
}

impl Reader {
    /// For what clients send: masked. A message may have `message_bytes_max` bytes.
    pub fn of_client(message_bytes_max: usize) -> Reader {
        Reader::new(true, message_bytes_max)
    }

    /// For what servers send.
    pub fn of_server(message_bytes_max: usize) -> Reader {
        Reader::new(false, message_bytes_max)
    }

    fn new(is_masked: bool, message_bytes_max: usize) -> Reader {
        Reader {
            is_masked,
            message_bytes_max,
            stage: Stage::Head,
            head: [0; HEAD_BYTES_MAX],
            head_len: 0,
            left: 0,
            is_final: false,
            key: [0; 4],
            message: None,
            message_bytes: 0,
            control: Control::EMPTY,
        }
    }

    /// Reads up to the next thing that means something; says how many bytes that used up. An error is for ever.
    pub fn step<'a>(&mut self, bytes: &'a mut [u8]) -> Result<(usize, Step<'a>), Error> {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.stage {
                Stage::Over => return Ok((bytes.len(), Step::More)),
                Stage::Head => {
                    let (taken, is_whole) = self.take_head(rest);
                    used += taken;
                    if !is_whole {
                        return Ok((used, Step::More));
                    }
                    self.begin()?;
                    // Nothing is to come of an empty frame, but it may end its message.
                    if self.left == 0 && self.stage == Stage::Message && !self.is_final {
                        self.stage = Stage::Head;
                    }
                }
                Stage::Control(opcode) => {
                    let taken = self.take_control(rest);
                    used += taken;
                    if self.left > 0 {
                        return Ok((used, Step::More));
                    }
                    self.stage = if opcode == Opcode::Close { Stage::Over } else { Stage::Head };
                    return Ok((used, self.heard(opcode)?));
                }
                Stage::Message => {
                    if rest.is_empty() && self.left > 0 {
                        return Ok((used, Step::More));
                    }
                    let taken = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    let piece = bytes.get_mut(used..used + taken).unwrap_or_default();
                    mask(piece, self.key);
                    self.key.rotate_left(taken % 4);
                    self.left -= taken as u64;
                    let is_text = self.message.unwrap_or_default();
                    let ends = self.left == 0 && self.is_final;
                    if self.left == 0 {
                        self.stage = Stage::Head;
                    }
                    if ends {
                        (self.message, self.message_bytes) = (None, 0);
                    }
                    return Ok((used + taken, Step::Piece { is_text, bytes: piece, ends }));
                }
            }
        }
    }

    /// From the next frame on a message may have so many bytes.
    pub fn allow(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// Whether the other side has ended.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Bytes that are still to come of the frame that has begun.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes bytes of a head; says how many, and whether it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (taken, byte) in bytes.iter().enumerate() {
            if self.head_len >= self.head_need() {
                return (taken, true);
            }
            if let Some(slot) = self.head.get_mut(self.head_len) {
                *slot = *byte;
                self.head_len += 1;
            }
        }
        (bytes.len(), self.head_len >= self.head_need())
    }

    /// Bytes that the head has, as far as that is known.
    fn head_need(&self) -> usize {
        if self.head_len < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & 0x80 != 0 { 4 } else { 0 }
    }

    /// A frame begins: reads its head.
    fn begin(&mut self) -> Result<(), Error> {
        let head = std::mem::replace(&mut self.head, [0; HEAD_BYTES_MAX]);
        let whole = std::mem::take(&mut self.head_len);
        let (first, second) = (head[0], head[1]);
        if first & 0x70 != 0 {
            return Err(Error::Reserved);
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(Error::Opcode),
        };
        if (second & 0x80 != 0) != self.is_masked {
            return Err(Error::Mask);
        }
        let (length, least) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), 126),
            127 => {
                let bytes = [head[2], head[3], head[4], head[5], head[6], head[7], head[8], head[9]];
                (u64::from_be_bytes(bytes), 1 << 16)
            }
            short => (u64::from(short), 0),
        };
        if length < least || length >> 63 != 0 {
            return Err(Error::Length);
        }
        if self.is_masked {
            self.key.copy_from_slice(&head[whole - 4..whole]);
        }
        (self.left, self.is_final) = (length, first & 0x80 != 0);
        self.stage = match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                if !self.is_final || length > CONTROL_BYTES_MAX as u64 {
                    return Err(Error::Control);
                }
                self.control = Control::EMPTY;
                Stage::Control(opcode)
            }
            _ => self.begin_message(opcode, length)?,
        };
        Ok(())
    }

    fn begin_message(&mut self, opcode: Opcode, length: u64) -> Result<Stage, Error> {
        if (opcode == Opcode::Continuation) != self.message.is_some() {
            return Err(Error::Order);
        }
        if opcode != Opcode::Continuation {
            self.message = Some(opcode == Opcode::Text);
        }
        self.message_bytes = self.message_bytes.saturating_add(length);
        if self.message_bytes > self.message_bytes_max as u64 {
            return Err(Error::TooLarge(self.message_bytes_max));
        }
        Ok(Stage::Message)
    }

    fn take_control(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let from = usize::from(self.control.len);
        if let (Some(into), Some(bytes)) =
            (self.control.bytes.get_mut(from..from + taken), bytes.get(..taken))
        {
            into.copy_from_slice(bytes);
        }
        self.control.len += taken as u8;
        self.left -= taken as u64;
        taken
    }

    /// A control frame is whole.
    fn heard(&mut self, opcode: Opcode) -> Result<Step<'static>, Error> {
        let len = usize::from(self.control.len);
        mask(self.control.bytes.get_mut(..len).unwrap_or_default(), self.key);
        match opcode {
            Opcode::Ping => Ok(Step::Ping(self.control)),
            Opcode::Pong => Ok(Step::Pong(self.control)),
            _ => Ok(Step::Close(close_code(self.control.as_slice())?)),
        }
    }
}

/// The code in a close frame.
fn close_code(content: &[u8]) -> Result<Option<u16>, Error> {
    let Some((code, reason)) = content.split_at_checked(2) else {
        return if content.is_empty() { Ok(None) } else { Err(Error::Close) };
    };
    let code = code.iter().fold(0u16, |code, b| code << 8 | u16::from(*b));
    let is_one = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    match is_one && std::str::from_utf8(reason).is_ok() {
        true => Ok(Some(code)),
        false => Err(Error::Close),
    }
}

/// Masks or unmasks bytes, the first of them with the first byte of `key`.
#[inline]
pub fn mask(bytes: &mut [u8], key: [u8; 4]) {
    if key == [0; 4] {
        return;
    }
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(eight) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The head of a whole, unmasked frame, and how long it is.
#[inline]
pub fn head(opcode: Opcode, len: usize) -> ([u8; PLAIN_HEAD_BYTES_MAX], usize) {
    let mut head = [0; PLAIN_HEAD_BYTES_MAX];
    head[0] = 0x80 | opcode as u8;
    let used = match len {
        0..126 => {
            head[1] = len as u8;
            2
        }
        126..0x1_0000 => {
            head[1] = 126;
            head[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            head[1] = 127;
            head[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    (head, used)
}

/// Bytes that the head of a frame of `len` bytes has.
#[inline]
pub fn head_len(len: usize) -> usize {
    match len {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    }
}

/// Writes the head of a whole frame of `len` bytes, unmasked as servers send them.
#[inline]
pub fn write_head(out: &mut Vec<u8>, opcode: Opcode, len: usize) {
    let (head, used) = head(opcode, len);
    out.extend_from_slice(&head[..used]);
}

/// Writes a whole frame, unmasked as servers send them.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, content: &[u8]) {
    write_head(out, opcode, content.len());
    out.extend_from_slice(content);
}

/// Writes a close frame; what is too long of the reason is left out.
pub fn write_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut end = reason.len().min(CONTROL_BYTES_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    write_head(out, Opcode::Close, 2 + end);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&reason.as_bytes()[..end]);
}

/// Writes one frame as clients send them: masked with `key`. `ends`: the last of its message.
pub fn write_masked(out: &mut Vec<u8>, opcode: Opcode, ends: bool, key: [u8; 4], content: &[u8]) {
    let (mut head, used) = head(opcode, content.len());
    head[1] |= 0x80;
    if !ends {
        head[0] &= 0x7f;
    }
    out.extend_from_slice(&head[..used]);
    out.extend_from_slice(&key);
    let from = out.len();
    out.extend_from_slice(content);
    mask(out.get_mut(from..).unwrap_or_default(), key);
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
