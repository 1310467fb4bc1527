//! The next version of this program, as far as nodes of this version notice one: the same source with one more migration,
//! which adds a column and a table.
//!
//! Easy to get wrong: it is built in the same target folder, so that its dependencies are. Its program has a name of its
//! own, or it would replace the one that is tested.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::PROGRAM;

const NAME: &str = "doorward-next-version";

/// A test of the program's package, which is emptied: it would need a program by the usual name.
const TEST: &str = "docs";

const MIGRATIONS: &str = "crates/store/migrations/";

/// What the migration adds.
const SQL: &str = "ALTER TABLE clients ADD COLUMN next_version text;\n\
                   CREATE TABLE next_version (id text NOT NULL PRIMARY KEY);\n";

/// Builds it, and gives the program.
pub(crate) fn build() -> PathBuf {
    let profile = Path::new(PROGRAM).parent().expect("a folder of the profile");
    let target = profile.parent().expect("the target folder");
    let source = target.join("chaos/next-version");
    for (file, content) in files() {
        write(&source.join(file), &content);
    }

    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    // A test is named so that features are those of the workspace's tests, and dependencies are not built again.
    cargo.args(["build", "--workspace", "--bin", NAME, "--test", TEST, "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(&source).status().expect("Cargo starts").success(), "the next version is built");
    profile.join(NAME)
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
    let program = format!("\n[[bin]]\nname = \"{NAME}\"\npath = \"src/main.rs\"\n");
    change(&mut files, "crates/doorward/Cargo.toml", |text| text + &program);
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
