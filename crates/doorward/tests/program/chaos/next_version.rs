//! The next version of this program, as far as nodes of this version notice one: the same source with one more migration,
//! which adds a column and a table.
//!
//! Easy to get wrong: Cargo gives the packages of a copied workspace the same names as those of the original, and would
//! mix both in one target folder. The copy has its own, which shares only the dependencies.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::PROGRAM;

/// A test of the program's package, emptied so that it needs no time.
const TEST: &str = "docs";

const MIGRATIONS: &str = "crates/store/migrations/";

/// What the migration adds.
const SQL: &str = "ALTER TABLE clients ADD COLUMN next_version text;\n\
                   CREATE TABLE next_version (id text NOT NULL PRIMARY KEY);\n";

/// Builds it, and gives the program.
pub(crate) fn build() -> PathBuf {
    let profile = Path::new(PROGRAM).parent().expect("a folder of the profile");
    let chaos = profile.parent().expect("the target folder").join("chaos");
    let (source, target) = (chaos.join("source"), chaos.join("target"));
    for (file, content) in files() {
        write(&source.join(file), &content);
    }
    let own_profile = target.join(profile.file_name().expect("a name"));
    if !own_profile.exists() {
        take_dependencies(profile, &own_profile);
    }

    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    // With tests, so that the features of dependencies are those that were built already.
    cargo.args(["build", "--workspace", "--bin", "doorward", "--test", TEST, "--target-dir"]).arg(&target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(&source).status().expect("Cargo starts").success(), "the next version is built");
    own_profile.join("doorward")
}

/// Links what was built of other packages. Those of the workspace have the same names in both versions, and are left out.
fn take_dependencies(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for folder in ["build", "deps", ".fingerprint"] {
        let linked = Command::new("cp").arg("-al").arg(from.join(folder)).arg(to).status();
        assert!(linked.expect("cp runs").success(), "{folder} is linked");
        for entry in fs::read_dir(to.join(folder)).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if !["doorward", "xtask"].iter().any(|own| name.trim_start_matches("lib").starts_with(own)) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.expect("it is removed");
        }
    }
}

/// The workspace's files with what is new in them.
fn files() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(&root);
    let listed = list.output().expect("git runs");
    assert!(listed.status.success(), "the files of the workspace are listed");
    let listed = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let read = |file: &str| Some((file.to_owned(), fs::read(root.join(file)).ok()?));
    // One that was removed is listed until that is staged.
    let mut files: BTreeMap<_, _> = listed.split_terminator('\0').filter_map(read).collect();

    let known = files.keys().filter(|file| file.starts_with(MIGRATIONS)).count();
    let (next, file) = (known + 1, format!("{:04}_next_version.sql", known + 1));
    files.insert(format!("{MIGRATIONS}{file}"), SQL.into());
    let migration = format!(
        "Migration {{ usable_from: {known}, ..Migration::new({next}, \"next_version\", \
         include_str!(\"../migrations/{file}\")) }},"
    );
    change(&mut files, "crates/store/src/migrate.rs", |text| {
        let (before, after) = text.split_once("\n];").expect("the list of migrations ends");
        format!("{before}\n    {migration}\n];{after}")
    });
    change(&mut files, &format!("crates/doorward/tests/{TEST}.rs"), |_| String::new());
    files
}

fn change(files: &mut BTreeMap<String, Vec<u8>>, file: &str, to: impl FnOnce(String) -> String) {
    let content = files.get_mut(file).unwrap_or_else(|| panic!("{file} is there"));
    *content = to(String::from_utf8(content.clone()).expect("UTF-8")).into();
}

/// A file that is the same stays as it is, so that a second build has little to do.
fn write(file: &Path, content: &[u8]) {
    if fs::read(file).is_ok_and(|own| own == content) {
        return;
    }
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, content).expect("written");
}
