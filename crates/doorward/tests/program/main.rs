//! The program as a user meets it: started, asked, killed, started again.

mod apply;
mod audit;
mod backup;
#[cfg(target_os = "linux")]
mod broken_output;
mod certificates;
#[cfg(target_os = "linux")]
mod chaos;
mod command_line;
mod crash;
mod demo;
mod end;
#[cfg(target_os = "linux")]
mod full_disk;
mod half_copies;
mod health;
mod init;
mod log;
mod manage_apis;
mod nodes;
mod printed;
mod scan;
mod serve;
mod support;
mod traces;
