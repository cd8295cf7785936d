//! Masking keys (RFC 6455 §5.3, §10.3): a client's, each fresh, from one seed.

use alloc::boxed::Box;
use core::{fmt, mem};

use chacha20::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};

/// Where masking keys come from (§5.3, §10.3): a server has none, a client expands its seed, a fresh key a frame.
pub(crate) enum Keys {
    Server,
    /// A client that has sent nothing yet. All its keys follow from the seed (I12).
    Seed([u8; 32]),
    Client(Box<ChaCha12Rng>),
}

impl Keys {
    /// The key of the next frame.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<[u8; 4]> {
        // R55, I10, §5.1: "a client MUST mask all frames that it sends to the server … A server MUST NOT mask any
        // frames that it sends to the client."
        // R56, §5.3: "When preparing a masked frame, the client MUST pick a fresh masking key from the set of allowed
        // 32-bit values."
        match self {
            Self::Server => None,
            Self::Client(generator) => Some(generator.next_u32().to_le_bytes()),
            Self::Seed(_) => self.expand(),
        }
    }

    #[cold]
    fn expand(&mut self) -> Option<[u8; 4]> {
        if let Self::Seed(seed) = self {
            *self = Self::Client(Box::new(ChaCha12Rng::from_seed(mem::take(seed))));
        }
        self.next()
    }
}

impl fmt::Debug for Keys {
    /// Not the seed, nor the state that its keys follow from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::Seed(_) | Self::Client(_) => "Client",
        })
    }
}

/// Thirty-two bytes of the operating system's entropy: what [`Connection::client`](crate::Connection::client) wants,
/// fresh for each connection.
///
/// # Errors
///
/// [`NoEntropy`] where the operating system has none to give.
#[cfg(feature = "getrandom")]
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| NoEntropy)?;
    Ok(seed)
}

/// The operating system has no entropy to give.
#[cfg(feature = "getrandom")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

#[cfg(feature = "getrandom")]
impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system has no entropy to give")
    }
}

#[cfg(feature = "getrandom")]
impl core::error::Error for NoEntropy {}
