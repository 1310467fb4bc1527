//! Links of a page to files of the checkout, and to headings in them.

use std::{fs, path::Path};

/// The links of `page` that lead nowhere, each with what is missing. Links with a scheme are not looked at.
pub(crate) fn broken(root: &Path, page: &str, text: &str) -> Vec<String> {
    let folder = Path::new(page).parent().expect("a page is a file");
    targets(text)
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| {
            let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
            let file = match path {
                "" => root.join(page),
                path => root.join(folder).join(path),
            };
            if !file.exists() {
                return Some(format!("{page}: {target}: no such file"));
            }
            let anchor = anchor?;
            let headings = fs::read_to_string(&file).unwrap_or_default();
            match anchors(&headings).any(|known| known == anchor) {
                true => None,
                false => Some(format!("{page}: {target}: no such heading")),
            }
        })
        .collect()
}

/// The targets of inline links, also of those whose text has line breaks.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains(char::is_whitespace))
}

/// The anchors of a page's headings, as GitHub forms them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
    })
}

#[test]
fn a_link_to_a_missing_file_or_heading_is_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("README.md"), "# A\n## GET, POST /userinfo\n## The `id_token`\n").unwrap();
    let text = "# Here\n[a](../README.md) [b](../README.md#get-post-userinfo) [c](#here) [d](https://x.example/#y)\n\
        [e\nf](../README.md#the-id_token) [g](missing.md) [h](../README.md#missing) [i](#missing)\n";
    fs::write(folder.path().join("docs/page.md"), text).unwrap();
    assert_eq!(
        broken(folder.path(), "docs/page.md", text),
        [
            "docs/page.md: missing.md: no such file",
            "docs/page.md: ../README.md#missing: no such heading",
            "docs/page.md: #missing: no such heading",
        ]
    );
}
