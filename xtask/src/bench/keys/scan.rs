//! How fast `doorward scan` searches text that has a few keys in it.
//!
//! Easy to get wrong: a file that was just written is in memory, so this measures the search and not the disk. And a search
//! that finds too little is fast, so what it finds is counted.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Programs,
    lines::{
        Lines,
        Target::{self, AtMost},
        Unit,
    },
};
use crate::bench::report::median;

/// `sample` has a key in each line.
pub(super) fn measure(programs: &Programs<'_>, sample: PathBuf, mib: u64, lines: &mut Lines) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("scan-").tempdir_in(programs.folder)?;
    let keys = BufReader::new(File::open(sample)?).lines().take(FILES).collect::<Result<Vec<_>, _>>()?;
    let each = mib * MIB / u64::try_from(FILES)?;
    let mut bytes = 0;
    for (nth, key) in keys.iter().enumerate() {
        bytes += write(&folder.path().join(format!("{nth}.txt")), each, key)?;
    }
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut scan = Command::new(programs.target("dist/doorward"));
        // The folder is below one that Git ignores.
        scan.args(["scan", "--no-ignore", "--json"]).arg(folder.path());
        let start = Instant::now();
        let output = scan.output().context("the program could not be started")?;
        times.push(start.elapsed().as_secs_f64());
        ensure!(output.status.code() == Some(FOUND), "it ended with {}", output.status);
        let found = found(&output.stdout)?;
        ensure!(found == keys.len(), "{found} of {} keys were found", keys.len());
    }
    let seconds = median(times).unwrap_or(f64::NAN);
    let what = format!("scan {mib} MiB in {FILES} files with {} keys, both cores", keys.len());
    // Of another size, the target is in proportion.
    #[expect(clippy::cast_precision_loss, reason = "a few gigabytes")]
    let (bytes, target) = (bytes as f64, SECONDS * mib as f64 / 1_024.0);
    lines.add(format!("{what}, time"), seconds, Unit::Seconds, AtMost(target));
    lines.add(format!("{what}, rate"), bytes / seconds / 1e6, Unit::MegabytesPerSecond, Target::None);
    Ok(())
}

/// How many findings there are in what `doorward scan --json` prints.
fn found(output: &[u8]) -> Result<usize> {
    let output: Value = serde_json::from_slice(output)?;
    output["findings"].as_array().map(Vec::len).context("it printed no findings")
}

/// Writes lines as source code and logs have them, with a key in the middle. Returns how many bytes there are.
fn write(path: &Path, length: u64, key: &str) -> Result<u64> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut random, mut is_due) = (0, 0x9e37_79b9_7f4a_7c15_u64, true);
    while written < length {
        let mut line = String::with_capacity(128);
        for _ in 0..8 {
            // Knuth's linear congruential generator: the text is to be the same in each run.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let word = WORDS[usize::try_from(random >> 60)?];
            line += word;
            line.push(' ');
        }
        line += &format!("{random:016x}\n");
        if is_due && written >= length / 2 {
            line += &format!("api_key = \"{key}\"\n");
            is_due = false;
        }
        file.write_all(line.as_bytes())?;
        written += u64::try_from(line.len())?;
    }
    file.flush()?;
    Ok(written)
}

/// Words with the marks that secrets have too: a search that looks at each of them is as slow as with real text.
const WORDS: [&str; 16] = [
    "request",
    "user_id",
    "the",
    "GET",
    "/v1/notes",
    "status=200",
    "let",
    "sk_test",
    "fn",
    "=>",
    "bench_live_",
    "notes:read",
    "INFO",
    "{",
    "}",
    "return;",
];
const FILES: usize = 16;
const MIB: u64 = 1 << 20;
const RUNS: usize = 3;
/// "A few seconds" for a gibibyte.
const SECONDS: f64 = 5.0;
/// The exit code when something was found.
const FOUND: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_its_length_and_the_key_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let length = write(&path, 10_000, "a-key").unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!((u64::try_from(text.len()).unwrap(), text.matches("a-key").count()), (length, 1));
        assert!((10_000..10_200).contains(&length), "{length}");
    }
}
