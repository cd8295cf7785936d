//! Tests and examples of sansock that need other libraries; there is nothing in the library itself.
#![forbid(unsafe_code)]
