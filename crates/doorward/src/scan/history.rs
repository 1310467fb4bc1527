//! The history of a repository: every line that commits add, or that is staged for the next one. The program `git` reads it.
//!
//! Easy to get wrong: what a user or a repository configures changes what `git` prints, and attributes hide files from
//! it. Each such setting is given here.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use doorward_core::scan::{Found, Place, Scanner, Stream};

use super::{BUFFER, Collector, added_lines::AddedLines};
use crate::failure::Failure;

/// The most bytes of a line that are looked at together. No line of a header is as long.
const PIECE: u64 = 64 * 1024;
/// Bytes of an error of `git` that are shown.
const MAX_ERROR: u64 = 4 * 1024;

/// Which lines to search.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines<'a> {
    /// Those that the commits of a range add; `--all` means every branch and tag.
    OfCommits(&'a str),
    /// Those that are staged.
    Staged,
}

/// Searches the repository of the current folder; only `paths`, if there are any.
///
/// # Errors
/// [`Failure::System`] if there is no `git`, or if it fails.
pub(crate) fn search(
    scanner: &Scanner,
    lines: Lines<'_>,
    paths: &[PathBuf],
    collector: &Collector,
) -> Result<(), Failure> {
    let mut git = command(lines, paths);
    let mut child =
        git.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| match error
            .kind()
        {
            io::ErrorKind::NotFound => {
                Failure::System("the program git was not found: install it, or search files without --git".to_owned())
            }
            _ => Failure::system("git can't be started", error),
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, mut stderr) = (stdout.expect("it is piped"), stderr.expect("it is piped"));
    let errors = thread::spawn(move || {
        let mut said = Vec::new();
        // What could not be read is not shown; the exit code says enough.
        let _ = stderr.by_ref().take(MAX_ERROR).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
        String::from_utf8_lossy(&said).trim().to_owned()
    });
    let read = search_diff(scanner, BufReader::with_capacity(BUFFER, stdout), collector);
    let status = child.wait().map_err(|error| Failure::system("git", error))?;
    let said = errors.join().unwrap_or_default();
    read.map_err(|error| Failure::system("what git prints can't be read", error))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::System(format!("git: {}", said.trim_start_matches("fatal: ")))),
    }
}

fn command(lines: Lines<'_>, paths: &[PathBuf]) -> Command {
    let mut git = Command::new("git");
    git.env("LC_ALL", "C").args(["--no-pager", "--literal-pathspecs"]);
    git.args(["-c", "core.quotePath=false", "-c", "log.follow=false", "-c", "log.showRoot=true"]);
    git.arg(if matches!(lines, Lines::Staged) { "diff" } else { "log" });
    // The form of the diff.
    git.args(["--patch", "--unified=0", "--inter-hunk-context=0", "--no-color", "--no-relative", "--no-renames"]);
    git.args(["--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"]);
    // What it must not hide: binary files, and what filters and programs would make of a file.
    git.args(["--text", "--no-textconv", "--no-ext-diff"]);
    match lines {
        Lines::OfCommits("--all") => git.args(COMMITS).arg("--all"),
        Lines::OfCommits(range) => git.args(COMMITS).args(["--end-of-options", range]),
        Lines::Staged => git.arg("--cached"),
    };
    git.arg("--").args(paths.iter().map(|path| -> &OsStr { path.as_ref() }));
    git
}

/// Of a merge: the lines that no parent has. With paths, git would leave out sides of the history that a merge undid.
const COMMITS: [&str; 5] = ["-c", "--full-history", "--no-notes", "--no-show-signature", "--format=commit %H"];

fn search_diff(scanner: &Scanner, mut diff: impl BufRead, collector: &Collector) -> io::Result<()> {
    let (mut added, mut stream, mut piece) = (AddedLines::default(), Stream::new(scanner, BUFFER), Vec::new());
    let mut bytes = 0;
    while read_piece(&mut diff, &mut piece)? {
        let mut rest = added.read(&piece);
        let report = |place: Place, found: Found| {
            let place = Place { line: added.line(), ..place };
            collector.found(added.path(), added.commit(), place, &found);
        };
        let is_added = rest.is_some();
        // A long line comes in several pieces.
        loop {
            let content = rest.unwrap_or_default();
            bytes += content.len() as u64;
            feed(&mut stream, content, report);
            if piece.ends_with(b"\n") || !read_piece(&mut diff, &mut piece)? {
                break;
            }
            rest = is_added.then_some(piece.as_slice());
        }
        stream.finish(report);
    }
    collector.searched(added.commits(), bytes);
    Ok(())
}

/// Reads the next line or the next part of a long one. Whether there was one.
fn read_piece(diff: &mut impl BufRead, piece: &mut Vec<u8>) -> io::Result<bool> {
    piece.clear();
    Ok(Read::take(diff, PIECE).read_until(b'\n', piece)? > 0)
}

fn feed(stream: &mut Stream<'_>, mut content: &[u8], mut report: impl FnMut(Place, Found)) {
    while !content.is_empty() {
        let space = stream.space();
        let fits = space.len().min(content.len());
        space[..fits].copy_from_slice(&content[..fits]);
        content = &content[fits..];
        stream.advance(fits, &mut report);
    }
}
