//! Which lines of a diff are added, to which file, at which line, by which commit.
//!
//! The diff is Git's, of one parent or combined of several (git-diff(1), "Combined diff format"). Easy to get wrong: a
//! line of a file can look like a header. So the lines of a hunk are counted as its header says.

/// Reads a diff line by line.
#[derive(Debug, Default)]
pub(super) struct AddedLines {
    commit: Option<String>,
    commits: u64,
    path: String,
    hunk: Hunk,
    /// The line in the new file of the line that was read last, if it is in it.
    line: u64,
}

/// The lines of a hunk that are still to come.
#[derive(Debug, Default)]
struct Hunk {
    /// Of each parent.
    old: Vec<u64>,
    new: u64,
    /// The number of the next line of the new file.
    next: u64,
}

impl AddedLines {
    /// Reads a line, with its line break or without. Returns its content if every parent lacks it.
    pub(super) fn read<'a>(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        if self.hunk.is_over() {
            self.read_header(line);
            return None;
        }
        // "\ No newline at end of file"
        if line.starts_with(b"\\") {
            return None;
        }
        let (columns, content) = line.split_at_checked(self.hunk.old.len())?;
        let is_new = !columns.contains(&b'-');
        if is_new {
            self.line = self.hunk.next;
            self.hunk.next += 1;
            self.hunk.new = self.hunk.new.saturating_sub(1);
        }
        let is_old = if is_new { b' ' } else { b'-' };
        for (old, _) in self.hunk.old.iter_mut().zip(columns).filter(|(_, column)| **column == is_old) {
            *old = old.saturating_sub(1);
        }
        columns.iter().all(|column| *column == b'+').then_some(content)
    }

    /// The file of the line that was read last.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The commit of the line that was read last. What is staged has none.
    pub(super) fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// The number of the line that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How many commits there were.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    fn read_header(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if let Some(id) = line.strip_prefix(b"commit ") {
            self.commit = Some(String::from_utf8_lossy(id).into_owned());
            self.commits += 1;
        } else if let Some(path) = line.strip_prefix(b"+++ ") {
            self.path = file(path);
        } else if line.starts_with(b"@@") {
            self.hunk = Hunk::parse(&String::from_utf8_lossy(line)).unwrap_or_default();
        }
    }
}

impl Hunk {
    /// Parses `@@ -1,2 +3,4 @@`, with one more `@` at each end and one more range for each further parent.
    fn parse(header: &str) -> Option<Self> {
        let parents = header.bytes().take_while(|byte| *byte == b'@').count().checked_sub(1)?;
        let mut ranges = header.split(' ').skip(1);
        let old = ranges.by_ref().take(parents).map(|range| Some(parse_range(range.strip_prefix('-')?)?.1));
        let old = old.collect::<Option<Vec<_>>>()?;
        let (next, new) = parse_range(ranges.next()?.strip_prefix('+')?)?;
        Some(Self { old, new, next })
    }

    fn is_over(&self) -> bool {
        self.new == 0 && self.old.iter().all(|old| *old == 0)
    }
}

/// The first line and the number of lines, which is 1 if it is not given.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (first, count) = text.split_once(',').unwrap_or((text, "1"));
    Some((first.parse().ok()?, count.parse().ok()?))
}

/// The path behind `+++ `. One with unusual characters is quoted as in C; behind one with blanks there is a tab.
fn file(text: &[u8]) -> String {
    let text = text.strip_suffix(b"\t").unwrap_or(text);
    let path = match text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(quoted) => unquote(quoted),
        None => text.to_owned(),
    };
    String::from_utf8_lossy(path.strip_prefix(b"b/").unwrap_or(&path)).into_owned()
}

fn unquote(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), text);
    while let [first, behind @ ..] = rest {
        let (byte, taken) = match (first, behind) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 4)
            }
            (b'\\', [escaped, ..]) => (unescape(*escaped), 2),
            _ => (*first, 1),
        };
        plain.push(byte);
        rest = &rest[taken..];
    }
    plain
}

fn unescape(letter: u8) -> u8 {
    match letter {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commit, path, line and content of each added line.
    fn added(diff: &str) -> Vec<(Option<String>, String, u64, String)> {
        let mut lines = AddedLines::default();
        let mut found = Vec::new();
        for line in diff.split_inclusive('\n') {
            if let Some(content) = lines.read(line.as_bytes()) {
                let content = String::from_utf8_lossy(content).trim_end().to_owned();
                found.push((lines.commit().map(str::to_owned), lines.path().to_owned(), lines.line(), content));
            }
        }
        found
    }

    #[test]
    fn added_line_has_its_commit_file_and_number() {
        let diff = "commit abc\n\ndiff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -3 +3,2 @@ fn x\n-old\n\
                    +new\n+newer\n\\ No newline at end of file\n@@ -9,0 +11 @@\n+last\n\ncommit def\n\n\
                    diff --git a/y z b/y z\nnew file mode 100644\n--- /dev/null\n+++ b/y z\t\n@@ -0,0 +1 @@\n+one\n";
        let line = |commit: &str, path: &str, line, text: &str| {
            (Some(commit.to_owned()), path.to_owned(), line, text.to_owned())
        };
        assert_eq!(
            added(diff),
            [
                line("abc", "x", 3, "new"),
                line("abc", "x", 4, "newer"),
                line("abc", "x", 11, "last"),
                line("def", "y z", 1, "one")
            ]
        );
    }

    #[test]
    fn line_that_looks_like_a_header_is_content() {
        let diff = "+++ b/x\n@@ -1,3 +1,3 @@\n--- a/other\n-@@ -1 +1 @@\n-commit evil\n+++ b/other\n+commit evil\n+@@ -1 +1 @@\n";
        let contents: Vec<_> = added(diff).into_iter().map(|(_, path, line, text)| (path, line, text)).collect();
        let expected = ["++ b/other", "commit evil", "@@ -1 +1 @@"];
        let expected = expected.into_iter().zip(1..).map(|(text, line)| ("x".to_owned(), line, text.to_owned()));
        assert_eq!(contents, expected.collect::<Vec<_>>());
    }

    #[test]
    fn merge_adds_the_lines_that_no_parent_has() {
        let diff = "commit m\n\ndiff --combined x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,2 -1,2 +1,4 @@@\n  both\n\
                    + ours\n +theirs\n++evil\n--gone\n";
        let evil = (Some("m".to_owned()), "x".to_owned(), 4, "evil".to_owned());
        assert_eq!(added(diff), [evil]);
    }

    #[test]
    fn quoted_path_is_read_as_git_wrote_it() {
        assert_eq!(file(br#""b/a\tb\"c\\d\303\244""#), "a\tb\"c\\dä");
        assert_eq!(file(b"\"b/a \\\"b\"\t"), "a \"b");
        assert_eq!(file(b"b/plain"), "plain");
        assert_eq!(file(br#""b/\""#), "\\");
    }

    #[test]
    fn malformed_diff_adds_nothing() {
        for diff in ["@@\n+x\n", "@@ -1 @@\n+x\n", "@@ -a +b @@\n+x\n", "@@@ -1 +1 @@@\n+x\n", "@\n+x\n"] {
            assert_eq!(added(diff), [], "{diff}");
        }
    }
}
