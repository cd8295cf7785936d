//! A peer that forgives nothing: reads what the machine sent, with code of its own.

/// A frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub key: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn fin(&self) -> bool {
        self.first >= 0x80
    }

    pub fn opcode(&self) -> u8 {
        self.first % 16
    }

    /// The code of a Close frame, 1005 without a body; `None` for another frame.
    pub fn close_code(&self) -> Option<u16> {
        (self.first == 0x88).then(|| match self.payload[..] {
            [high, low, ..] => u16::from(high) * 256 + u16::from(low),
            _ => 1005,
        })
    }

    /// Its bytes without a mask.
    pub fn plain(&self) -> Vec<u8> {
        super::frame(self.first, &self.payload)
    }
}

/// Cuts `bytes` into whole frames, all of them masked or none.
#[track_caller]
pub fn frames(masked: bool, mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (first, second) = (take(&mut bytes, 1)[0], take(&mut bytes, 1)[0]);
        assert_eq!(second >= 0x80, masked, "frame {}: mask bit", frames.len());
        let len = match second % 0x80 {
            126 => {
                let len = number(take(&mut bytes, 2));
                assert!(len > 125, "{len} does not need 16 bits");
                len
            }
            127 => {
                let len = number(take(&mut bytes, 8));
                assert!(len > 0xFFFF && len < 1 << 63, "{len} in 64 bits");
                len
            }
            len => u64::from(len),
        };
        let key = masked.then(|| <[u8; 4]>::try_from(take(&mut bytes, 4)).unwrap());
        let mut payload = take(&mut bytes, usize::try_from(len).unwrap()).to_vec();
        if let Some(key) = key {
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= key[i % 4];
            }
        }
        frames.push(Frame { first, key, payload });
    }
    frames
}

/// The same, and their order and content are those of one valid session.
#[track_caller]
pub fn session(masked: bool, bytes: &[u8]) -> Vec<Frame> {
    let frames = frames(masked, bytes);
    let (mut open, mut closed): (Option<(u8, Vec<u8>)>, bool) = (None, false);
    for (i, frame) in frames.iter().enumerate() {
        assert_eq!(frame.first & 0x70, 0, "frame {i}: reserved bits");
        match frame.opcode() {
            opcode @ 0..=2 => {
                assert!(!closed, "frame {i}: data after a Close");
                let (kind, mut message) = match (opcode, open.take()) {
                    (0, Some(message)) => message,
                    (1 | 2, None) => (opcode, Vec::new()),
                    (0, None) => panic!("frame {i}: continues nothing"),
                    _ => panic!("frame {i}: a message inside another"),
                };
                message.extend(&frame.payload);
                if !frame.fin() {
                    open = Some((kind, message));
                } else if kind == 1 {
                    assert!(std::str::from_utf8(&message).is_ok(), "frame {i}: text that is none");
                }
            }
            8..=10 => {
                assert!(frame.fin(), "frame {i}: a control frame in fragments");
                assert!(frame.payload.len() <= 125, "frame {i}: a long control frame");
                if frame.opcode() == 8 {
                    assert!(!closed, "frame {i}: a second Close");
                    closed = true;
                    close_body(&frame.payload);
                }
                assert!(!closed || frame.opcode() != 9, "frame {i}: a Ping after the Close");
            }
            opcode => panic!("frame {i}: opcode {opcode}"),
        }
    }
    frames
}

#[track_caller]
fn close_body(body: &[u8]) {
    if let [high, low, reason @ ..] = body {
        let code = u16::from(*high) * 256 + u16::from(*low);
        assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "Close code {code}");
        assert!(std::str::from_utf8(reason).is_ok(), "a reason that is no text");
    } else {
        assert!(body.is_empty(), "a Close with half a code");
    }
}

#[track_caller]
fn take<'b>(bytes: &mut &'b [u8], len: usize) -> &'b [u8] {
    let (front, rest) = bytes.split_at_checked(len).expect("a frame that is not whole");
    *bytes = rest;
    front
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number * 256 + u64::from(byte))
}
