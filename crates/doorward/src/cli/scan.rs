//! `doorward scan`.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use doorward_core::scan::Scanner;
use url::Url;

use crate::{
    failure::Failure,
    output::{Output, line, note, shown},
    scan::{
        Collector, Finding, Report, files,
        history::{self, Lines},
        liveness, sarif, standard_input,
    },
    serve,
};

const AFTER_HELP: &str = "\
Exit codes:
  0  nothing was found except publishable keys, and everything was read
  1  a secret was found
  2  error in the command line
  3  no secret was found, but not everything could be read, or the server could not be asked";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ScanArgs {
    /// Files and folders, or - for standard input. With --git or --staged: only these files of the repository
    #[arg(value_name = "PATH", required_unless_present_any = ["git", "staged"])]
    paths: Vec<PathBuf>,
    /// Search the lines that these commits add, for example origin/main..HEAD; --git=--all searches every branch and tag
    #[arg(long, value_name = "RANGE", conflicts_with = "staged")]
    git: Option<String>,
    /// Search the lines that are staged for the next commit
    #[arg(long)]
    staged: bool,
    /// Also search the files that .gitignore excludes
    #[arg(long, conflicts_with_all = ["git", "staged"])]
    no_ignore: bool,
    /// Print SARIF 2.1.0, which code hosts read
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Ask the server at this URL whether each API key that was found is valid. This sends the keys to the server
    #[arg(long, value_name = "URL", requires = "key_file")]
    live: Option<Url>,
    /// File with the API key for --live; it needs the scope keys:verify
    #[arg(long, value_name = "FILE", requires = "live")]
    key_file: Option<PathBuf>,
}

pub(super) fn run(args: &ScanArgs, output: Output) -> Result<ExitCode, Failure> {
    let verifier = match (&args.live, &args.key_file) {
        (Some(server), Some(file)) => Some(liveness::Verifier::new(server, file)?),
        _ => None,
    };
    let scanner = Scanner::new();
    let collector = Collector::new(output, verifier.is_some());
    match &args.git {
        Some(range) => history::search(&scanner, Lines::OfCommits(range), &args.paths, &collector)?,
        None if args.staged => history::search(&scanner, Lines::Staged, &args.paths, &collector)?,
        None => {
            let (input, paths): (Vec<_>, _) = args.paths.iter().cloned().partition(|path| path.as_os_str() == "-");
            if !input.is_empty() {
                standard_input(&scanner, &collector);
            }
            files::search(&scanner, &paths, !args.no_ignore, &collector);
        }
    }
    let mut report = collector.into_report();
    // What was found is printed in any case.
    let asked = verifier.map_or(Ok(()), |verifier| serve::runtime(1)?.block_on(verifier.ask(&mut report)));
    print(&report, args, output)?;
    if let Err(failure) = asked {
        failure.report(output);
        report.unread += 1;
    }
    // Those beyond the list are not looked at one by one.
    let has_secrets = report.more > 0 || report.findings.iter().any(|finding| finding.kind.is_secret());
    Ok(ExitCode::from(match (has_secrets, report.unread) {
        (true, _) => 1,
        (false, 0) => 0,
        (false, _) => 3,
    }))
}

fn print(report: &Report, args: &ScanArgs, output: Output) -> Result<(), Failure> {
    if args.sarif {
        let source = if args.git.is_some() || args.staged { sarif::Source::Repository } else { sarif::Source::Files };
        return match line(&sarif::log(report, source).to_string()) {
            Err(Failure::ReaderGone) => Ok(()),
            printed => printed,
        };
    }
    if output.json {
        return output.print(report, String::new);
    }
    if !report.findings.is_empty() {
        output.print(&(), || report.findings.iter().map(describe).collect::<Vec<_>>().join("\n"))?;
    }
    let (what, number) = match &args.git {
        Some(_) => ("commit", report.searched),
        None if args.staged => ("staged byte", report.bytes),
        None => ("file", report.searched),
    };
    let found = match report.findings.len() as u64 + report.more {
        0 => "nothing found".to_owned(),
        found if report.more > 0 => format!("{found} found, of which the first {} are listed", report.findings.len()),
        found => format!("{found} found"),
    };
    let unread = match report.unread {
        0 => String::new(),
        unread => format!("; {unread} could not be read"),
    };
    let plural = if number == 1 { "" } else { "s" };
    note(&format!("{number} {what}{plural} searched: {found}{unread}."));
    Ok(())
}

/// A finding on one line, as compilers write places.
fn describe(finding: &Finding) -> String {
    let mut text = String::new();
    if let Some(commit) = &finding.commit {
        // What Git shows of a commit, and unlikely to be that of another.
        text.extend(commit.chars().take(12).chain([':']));
    }
    let Finding { path, line, column, hint, .. } = finding;
    // Writing to a text does not fail.
    let _ = write!(text, "{}:{line}:{column}: {} {hint}…", shown(path).replace('\n', "\u{fffd}"), finding.kind.title());
    if let Some(state) = &finding.state {
        let _ = write!(text, " ({state})");
    }
    text
}
