//! Subjects of commits: `Reject expired codes`, at most 72 characters.
//!
//! Easy to get wrong: CI often has a shallow clone. Its oldest commits may be older than the rule, but only if the
//! commit from which the rule holds is in the clone; otherwise all of them are newer.

use anyhow::Result;

use super::{Finding, git};

/// The last commit before the rule.
const LAST_BEFORE: &str = "18df7f2";
const LONGEST: usize = 72;

/// Imperatives that end like other forms.
const IMPERATIVES: &[&str] =
    &["Bring", "Embed", "Exceed", "Feed", "Need", "Ping", "Proceed", "Seed", "Shed", "Speed", "Spring", "String"];

pub(super) struct Commits {
    /// Short hashes and subjects.
    seen: Vec<(String, String)>,
    /// Which commits this clone does not have.
    pub(super) unseen: Option<String>,
}

/// The commits since the rule, without merges, whose subjects Git writes.
pub(super) fn read() -> Result<Commits> {
    let shallow = git(&["rev-parse", "--is-shallow-repository"])?.trim() == "true";
    let since = git(&["merge-base", LAST_BEFORE, "HEAD"]).is_ok();
    if !since && !shallow {
        let unseen = format!("no commit subject was checked, because {LAST_BEFORE} is not in this history");
        return Ok(Commits { seen: Vec::new(), unseen: Some(unseen) });
    }
    let range = if since { format!("{LAST_BEFORE}..HEAD") } else { "HEAD".to_owned() };
    let log = git(&["log", "--no-merges", "--format=%h %s", &range])?;
    let seen: Vec<_> = log.lines().filter_map(|line| line.split_once(' ')).map(owned).collect();
    let unseen = (!since).then(|| format!("shallow clone: only the last {} commit subjects were checked", seen.len()));
    Ok(Commits { seen, unseen })
}

impl Commits {
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.seen.iter().filter_map(|(hash, subject)| {
            let wanted = format!("{} ({subject})", wanted(subject)?);
            Some(Finding { file: "commit".to_owned(), line: 1, key: hash.clone(), wanted })
        })
    }
}

fn owned((hash, subject): (&str, &str)) -> (String, String) {
    (hash.to_owned(), subject.to_owned())
}

/// How the subject should change. `None` if it may stay.
fn wanted(subject: &str) -> Option<String> {
    let length = subject.chars().count();
    let first = subject.split_whitespace().next().unwrap_or_default();
    if length > LONGEST {
        Some(format!("{length} characters, {LONGEST} are allowed"))
    } else if subject.contains(';') {
        Some("has a `;`: one commit, one change".to_owned())
    } else if subject.ends_with('.') {
        Some("ends in a dot: remove it".to_owned())
    } else if !first.starts_with(char::is_uppercase) {
        Some("begin with a capital letter".to_owned())
    } else if (first.ends_with("ed") || first.ends_with("ing")) && !IMPERATIVES.contains(&first) {
        Some(format!("`{first}` is no imperative"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_in_another_form_fail() {
        for (subject, part) in [
            ("Added a check", "imperative"),
            ("Adding a check", "imperative"),
            ("add a check", "capital"),
            ("Add a check.", "dot"),
            ("Add a check; fix a test", "`;`"),
            (&*format!("Add {}", "x".repeat(69)), "73 characters"),
        ] {
            assert!(wanted(subject).is_some_and(|wanted| wanted.contains(part)), "{subject}");
        }
    }

    #[test]
    fn imperative_subjects_pass() {
        for subject in ["Add a check", "Feed the cache", "Ping idle connections", &format!("Add {}", "x".repeat(68))] {
            assert_eq!(wanted(subject), None, "{subject}");
        }
    }

    #[test]
    fn finding_names_the_commit_and_its_subject() {
        let commits = Commits { seen: vec![("abc1234".to_owned(), "added".to_owned())], unseen: None };
        let finding = commits.findings().next().expect("one");
        assert_eq!((&*finding.key, &*finding.wanted), ("abc1234", "begin with a capital letter (added)"));
    }
}
