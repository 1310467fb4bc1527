//! A log that can't be written.

use std::{fs::OpenOptions, path::Path, process::Stdio};

use super::{load::Load, site::Site};
use crate::support::PROGRAM;

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn log_that_can_not_be_written_costs_no_request() {
    let site = Site::on_sqlite();
    let (reader, abandoned) = std::io::pipe().expect("a pipe");
    drop(reader);
    let (unread, stopped) = std::io::pipe().expect("a pipe");
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    for (scenario, log) in [
        ("The log is a full disk (2>/dev/full)", Stdio::from(full)),
        ("The log's reader is gone", abandoned.into()),
        ("The log's reader does not read", stopped.into()),
    ] {
        let mut command = site.serve(0, Path::new(PROGRAM));
        // A line for each request, so that there is much to write.
        command.env("DOORWARD_LOG__LEVEL", "debug").stderr(log);
        let node = site.start_by(0, command);
        let load = Load::start(scenario, &site.target);
        load.phase("unwritable");
        load.until_fulfilled(100);
        assert_eq!(load.shared().tally.failed(), 0, "{}", load.shared().tally.table());
        load.finish();
        assert_eq!(node.terminate(), Some(0));
    }
    drop(unread);
}
