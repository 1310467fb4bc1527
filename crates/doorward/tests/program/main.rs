//! The program as a user meets it: started, asked, killed, started again.

mod command_line;
mod crash;
mod demo;
mod end;
#[cfg(target_os = "linux")]
mod full_disk;
mod log;
mod printed;
mod serve;
mod support;
