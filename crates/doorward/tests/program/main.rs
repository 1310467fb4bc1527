//! The program as a user meets it: started, asked, killed, started again.

mod command_line;
mod demo;
#[cfg(target_os = "linux")]
mod full_disk;
mod printed;
mod serve;
mod support;
