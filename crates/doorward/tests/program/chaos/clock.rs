//! A clock that jumps ahead and back (libfaketime).

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{load::Load, site::Site};
use crate::support::{PROGRAM, eventually};

/// How long the clock is wrong.
const JUMP: Duration = Duration::from_secs(25);

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn clock_that_jumps_ahead_and_back_removes_nothing() {
    let Some(library) = library() else {
        println!("not tried: libfaketime is missing");
        return;
    };
    let site = Site::on_sqlite();
    let clock = site.data().with_file_name("clock");
    let set = |offset: &str| {
        // A reader must not see half a file.
        let next = clock.with_extension("next");
        fs::write(&next, offset).and_then(|()| fs::rename(&next, &clock)).expect("the clock is set");
    };
    set("+0");
    let mut command = site.serve(0, Path::new(PROGRAM));
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
    // What measures time continues, as on a machine whose clock is set.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    let node = site.start_by(0, command);
    let load = Load::start("The clock is 200 days ahead for 25 s", &site.target);

    let before = site.target.audit_rows();
    load.phase("200 days ahead");
    load.shared().ledger.doubt_the_clock(true);
    let begun = Instant::now();
    set("+200d");
    eventually("the log names the jump", || site.log(0).contains("the clock has jumped ahead"));
    thread::sleep(JUMP.saturating_sub(begun.elapsed()));
    set("+0");
    load.phase("back");
    load.until_fulfilled(5);
    load.shared().ledger.doubt_the_clock(false);
    load.until_fulfilled(20);
    assert!(site.target.audit_rows() >= before, "no row of the audit was removed");
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}

/// The library for programs with several threads.
fn library() -> Option<String> {
    let output = Command::new("faketime").args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).output().ok()?;
    let library = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!library.is_empty()).then_some(library)
}
