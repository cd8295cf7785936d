//! What the fuzz targets share: second opinions that are written from the RFC and not from the crate, slow and plain,
//! and the means to compare traces of a connection.

pub mod cuts;
pub mod http;
pub mod reader;
pub mod setup;
pub mod trace;
