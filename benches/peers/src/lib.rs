pub mod limits;
pub mod memio;
pub mod peers;
pub mod raw;
pub mod run;
pub mod work;
