//! Tests and examples of sansock that need other libraries; there is nothing in the library itself.
#![forbid(unsafe_code)]

/// The examples in the documentation of `sansock` that need other libraries.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../src/adapter/futures.md")]
    struct Futures;

    #[doc = include_str!("../src/adapter/hyper/connect.md")]
    struct Connect;

    #[doc = include_str!("../src/adapter/hyper/extended_connect.md")]
    struct ExtendedConnect;
}
