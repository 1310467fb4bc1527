//! The program as a user meets it: started, asked, killed, started again.

mod command_line;
mod demo;
mod serve;
mod support;
