//! Without the feature `deflate` there is no codec: a type without values stands for it, so that the machine is written
//! once.

/// What no connection has.
#[derive(Debug)]
pub(crate) enum Codec {}

pub(crate) enum Inflater {}

pub(crate) struct Inflated<'a> {
    pub(crate) used: usize,
    pub(crate) output: &'a [u8],
    pub(crate) stop: Stop,
}

#[derive(PartialEq, Eq)]
#[allow(dead_code, reason = "nothing constructs it")]
pub(crate) enum Stop {
    Full,
    Hungry,
    Done,
    Broken,
}

#[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the signatures of the real codec")]
impl Codec {
    pub(crate) fn plain_below(&self) -> usize {
        match *self {}
    }

    pub(crate) fn decide(&mut self, _len: usize, _whole: bool) -> bool {
        match *self {}
    }

    pub(crate) fn send_plain(&mut self) {
        match *self {}
    }

    pub(crate) fn prepared_window(&mut self) -> Option<u8> {
        match *self {}
    }

    pub(crate) fn is_sending(&self) -> bool {
        match *self {}
    }

    pub(crate) fn max_inflated(&self, _compressed: u64) -> u64 {
        match *self {}
    }

    pub(crate) fn inflater(&mut self) -> &mut Inflater {
        match *self {}
    }

    pub(crate) fn received(&mut self) {
        match *self {}
    }

    pub(crate) fn deflate(&mut self, _piece: &[u8], _last: bool) -> &[u8] {
        match *self {}
    }

    pub(crate) fn sent(&mut self) {
        match *self {}
    }

    pub(crate) fn end(&mut self) {
        match *self {}
    }
}

impl Inflater {
    pub(crate) fn inflated(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn inflate(&mut self, _input: &[u8], _last: bool, _max: u64) -> Inflated<'_> {
        match *self {}
    }
}
