//! `cargo xtask english`: the text of this repository is plain English.
//!
//! Three rules: no phrase of `english/words.txt`, commit subjects of one form, and test names of at most 60 characters.
//! What broke them before there was a check is counted in `xtask/english-exceptions.txt`. Easy to get wrong: the total
//! there may only shrink, so a file that is renamed takes its exceptions along, and a fixed phrase takes its line away.

mod commits;
mod prose;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::Run;
use crate::workspace;

const LONGEST_TEST_NAME: usize = 60;
const EXCEPTIONS: &str = "xtask/english-exceptions.txt";
const WORDS: &str = include_str!("english/words.txt");

/// Files whose text has its source elsewhere in the repository, and the list of odd phrases itself.
const GENERATED: &[&str] = &[
    "bench/RESULTS.md",
    "docs/reference/cli.md",
    "docs/reference/configuration.md",
    "docs/reference/denials.md",
    "xtask/src/english/words.txt",
    "xtask/src/english.rs",
    EXCEPTIONS,
];

#[derive(Debug, Default, clap::Args)]
#[command(about = "Check the text of this repository: odd phrases, commit subjects and the length of test names")]
pub(crate) struct Options {
    /// Write the list of exceptions again, with what there is now
    #[arg(long)]
    update: bool,
}

/// A place that breaks a rule. Exceptions are counted by file and key.
#[derive(Debug, PartialEq)]
struct Finding {
    file: String,
    line: usize,
    /// The odd phrase, the test's name, or the commit.
    key: String,
    wanted: String,
}

type Exceptions = BTreeMap<(String, String), usize>;

pub(crate) fn run(options: &Options) -> Result<bool> {
    if !workspace::root().join(".git").exists() {
        println!("english: not checked, because this is not a checkout of the Git repository");
        return Ok(true);
    }
    let phrases = phrases(WORDS)?;
    let mut findings = Vec::new();
    for file in git(&["ls-files", "--cached", "--others", "--exclude-standard"])?.lines() {
        if !GENERATED.iter().any(|generated| file.starts_with(generated))
            && let Ok(text) = fs::read_to_string(workspace::root().join(file))
        {
            findings.extend(of_file(&phrases, file, &text));
        }
    }
    let commits = commits::read()?;
    if let Some(unseen) = &commits.unseen {
        println!("english: {unseen}");
    }
    findings.extend(commits.findings());

    let path = workspace::root().join(EXCEPTIONS);
    if options.update {
        fs::write(&path, written(&count(&findings)))?;
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let exceptions = parsed(&text)?;
    let mut errors = compare(&findings, &exceptions);
    errors.extend(grown(&exceptions, &before()?));
    for error in &errors {
        println!("{error}");
    }
    println!("english: {} errors, {} exceptions", errors.len(), exceptions.values().sum::<usize>());
    Ok(errors.is_empty())
}

/// Odd phrases by their first word, each as its words and what to write instead.
type Phrases<'a> = HashMap<&'a str, Vec<(Vec<&'a str>, &'a str)>>;

fn phrases(list: &str) -> Result<Phrases<'_>> {
    let mut phrases = Phrases::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let (phrase, wanted) = line.split_once(" = ").with_context(|| format!("`{line}` has no ` = `"))?;
        let words: Vec<_> = phrase.split(' ').collect();
        phrases.entry(words[0]).or_default().push((words, wanted));
    }
    // The longest phrase is reported, not also those inside it.
    phrases.values_mut().for_each(|all| all.sort_by_key(|(words, _)| std::cmp::Reverse(words.len())));
    Ok(phrases)
}

fn of_file(phrases: &Phrases<'_>, file: &str, text: &str) -> Vec<Finding> {
    let words = prose::words(file, text).unwrap_or_default();
    let mut findings = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is_here = |phrase: &[&str]| {
            words
                .get(at..at + phrase.len())
                .is_some_and(|here| here.iter().map(|word| &*word.text).eq(phrase.iter().copied()))
        };
        let found = phrases.get(&*words[at].text).and_then(|all| all.iter().find(|(phrase, _)| is_here(phrase)));
        let Some((phrase, wanted)) = found else {
            at += 1;
            continue;
        };
        let (line, key, wanted) = (words[at].line, phrase.join(" "), format!("write: {wanted}"));
        findings.push(Finding { file: file.to_owned(), line, key, wanted });
        at += phrase.len();
    }
    if Path::new(file).extension().is_some_and(|extension| extension == "rs") {
        let long = prose::test_names(text).into_iter().filter(|test| test.name.len() > LONGEST_TEST_NAME);
        findings.extend(long.map(|test| Finding {
            file: file.to_owned(),
            line: test.line,
            key: test.name.to_owned(),
            wanted: format!("{} characters, {LONGEST_TEST_NAME} are allowed", test.name.len()),
        }));
    }
    findings
}

fn count(findings: &[Finding]) -> Exceptions {
    findings.iter().fold(Exceptions::new(), |mut counts, finding| {
        *counts.entry((finding.file.clone(), finding.key.clone())).or_default() += 1;
        counts
    })
}

/// What is not excepted, and each exception that is larger than needed.
fn compare(findings: &[Finding], exceptions: &Exceptions) -> Vec<String> {
    let counts = count(findings);
    let mut errors = Vec::new();
    for Finding { file, line, key, wanted } in findings {
        let place = (file.clone(), key.clone());
        if counts[&place] > exceptions.get(&place).copied().unwrap_or_default() {
            errors.push(format!("{file}:{line}: `{key}`: {wanted}"));
        }
    }
    for (place, allowed) in exceptions {
        let (file, key) = place;
        let needed = counts.get(place).copied().unwrap_or_default();
        if needed < *allowed {
            let instead = if needed == 0 { "remove the line".to_owned() } else { format!("write {needed}") };
            errors.push(format!("{EXCEPTIONS}: `{allowed} {file} {key}` is no longer needed: {instead}"));
        }
    }
    errors
}

/// An error if the list allows more than one of its earlier versions did.
fn grown(now: &Exceptions, before: &[Exceptions]) -> Option<String> {
    let total = now.values().sum::<usize>();
    let least = before.iter().map(|exceptions| exceptions.values().sum::<usize>()).min()?;
    (total > least).then(|| format!("{EXCEPTIONS}: {total} exceptions, {least} before: fix the text instead"))
}

/// The list as the last two commits that changed it left it, as far as this clone has them.
fn before() -> Result<Vec<Exceptions>> {
    let commits = git(&["log", "-2", "--format=%H", "--diff-filter=AM", "--", EXCEPTIONS])?;
    commits.lines().map(|commit| parsed(&git(&["show", &format!("{commit}:{EXCEPTIONS}")])?)).collect()
}

fn parsed(text: &str) -> Result<Exceptions> {
    let mut exceptions = Exceptions::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let (Some(count), Some(file), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            bail!("{EXCEPTIONS}: `{line}` is not a number, a file and a phrase");
        };
        let count = count.parse().with_context(|| format!("{EXCEPTIONS}: `{line}` begins with no number"))?;
        exceptions.insert((file.to_owned(), key.to_owned()), count);
    }
    Ok(exceptions)
}

fn written(exceptions: &Exceptions) -> String {
    let mut text =
        "# Text that breaks a rule of `cargo xtask english`: how often, the file, the phrase or test name.\n\
                    # The list only shrinks. After fixing text: `cargo xtask english --update`.\n"
            .to_owned();
    for ((file, key), count) in exceptions {
        text.push_str(&format!("{count} {file} {key}\n"));
    }
    text
}

fn git(arguments: &[&str]) -> Result<String> {
    Command::new("git").current_dir(workspace::root()).args(arguments).read()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(file: &str, text: &str) -> Vec<String> {
        compare(&of_file(&phrases(WORDS).unwrap(), file, text), &Exceptions::new())
    }

    #[test]
    fn odd_phrases_fail_with_place_and_wanted_word() {
        assert_eq!(errors("a.md", "One.\nRead it anew.\n"), ["a.md:2: `anew`: write: again"]);
        assert_eq!(errors("a.rs", "/// Compared to the\n/// letter.\n"), ["a.rs:1: `to the letter`: write: exactly"]);
        assert_eq!(errors("a.rs", "#[test]\nfn a_no_is_told() {}").len(), 2);
        assert_eq!(
            errors("a.rs", "x(\"Whoever asks\")"),
            ["a.rs:1: `whoever`: write: the caller, the client or anyone who"]
        );
    }

    #[test]
    fn identifiers_code_and_longer_words_are_no_phrases() {
        for (file, text) in [
            ("a.rs", "fn anew(whoever: u8) { told(); }"),
            ("a.rs", "// `anew` is a word.\n// a\n\n// no"),
            ("a.md", "A no-op is a normal thing.\n\nIt renews a\n\nno."),
        ] {
            assert_eq!(errors(file, text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn test_name_of_61_characters_fails() {
        let test = |length| format!("#[tokio::test(start_paused = true)]\nasync fn {}() {{}}", "x".repeat(length));
        assert_eq!(errors("a.rs", &test(60)), Vec::<String>::new());
        let expected = format!("a.rs:2: `{}`: 61 characters, 60 are allowed", "x".repeat(61));
        assert_eq!(errors("a.rs", &test(61)), [expected]);
    }

    #[test]
    fn exceptions_cover_exactly_what_there_is() {
        let findings = of_file(&phrases(WORDS).unwrap(), "a.md", "anew, anew");
        let allowed = |count| parsed(&format!("# why\n{count} a.md anew\n")).unwrap();
        assert_eq!(compare(&findings, &allowed(1)).len(), 2);
        assert_eq!(compare(&findings, &allowed(2)), Vec::<String>::new());
        let needless = |count| format!("{EXCEPTIONS}: `3 a.md anew` is no longer needed: {count}");
        assert_eq!(compare(&findings, &allowed(3)), [needless("write 2")]);
        assert_eq!(compare(&[], &allowed(3)), [needless("remove the line")]);
        assert_eq!(parsed(&written(&count(&findings))).unwrap(), allowed(2));
    }

    #[test]
    fn exceptions_may_move_but_not_grow() {
        let list = |text| parsed(text).unwrap();
        let before = [list("2 a.md anew\n"), list("3 a.md anew\n")];
        assert_eq!(grown(&list("1 b.md anew\n1 c.md told\n"), &before), None);
        assert!(grown(&list("2 a.md anew\n1 c.md told\n"), &before).is_some());
        assert_eq!(grown(&list("9 a.md anew\n"), &[]), None);
    }

    #[test]
    fn broken_lists_are_errors() {
        assert!(phrases("anew again").is_err());
        assert!(parsed("anew a.md 2").is_err());
        assert!(parsed("2 a.md").is_err());
    }
}
