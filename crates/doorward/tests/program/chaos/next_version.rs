//! The next version of this program, as far as nodes of this version notice one: the same source with one more migration,
//! which adds a column and a table.
//!
//! Easy to get wrong: it is built in the same target folder, so that its dependencies are. Its program has a name of its
//! own, or it would replace the one that is tested.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::PROGRAM;

const NAME: &str = "doorward-next-version";

/// Builds it, and gives the program.
pub(crate) fn build() -> PathBuf {
    let profile = Path::new(PROGRAM).parent().expect("a folder of the profile");
    let target = profile.parent().expect("the target folder");
    let source = target.join("chaos/next-version");
    copy(&source);
    add_migration(&source.join("crates/store"));
    let manifest = source.join("crates/doorward/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    fs::write(&manifest, format!("{text}\n[[bin]]\nname = \"{NAME}\"\npath = \"src/main.rs\"\n")).expect("written");

    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    // A test is named so that features are those of the workspace's tests, and dependencies are not built again.
    cargo.args(["build", "--workspace", "--bin", NAME, "--test", "docs", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(&source).status().expect("Cargo starts").success(), "the next version is built");
    profile.join(NAME)
}

/// Copies the workspace. Files that are the same stay as they are, so that a second build has little to do.
fn copy(to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut list = Command::new("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(&root);
    let files = list.output().expect("git runs");
    assert!(files.status.success(), "the files of the workspace are listed");
    for file in String::from_utf8_lossy(&files.stdout).split_terminator('\0') {
        // One that was removed is still listed until that is staged.
        let Ok(content) = fs::read(root.join(file)) else { continue };
        let copy = to.join(file);
        if fs::read(&copy).is_ok_and(|own| own == content) {
            continue;
        }
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::write(copy, content).expect("written");
    }
}

fn add_migration(store: &Path) {
    let number = fs::read_dir(store.join("migrations")).expect("the migrations").filter(|file| {
        let file = file.as_ref().expect("an entry").file_name();
        !file.to_string_lossy().ends_with("_next_version.sql")
    });
    let known = number.count();
    let file = format!("{:04}_next_version.sql", known + 1);
    let sql = "ALTER TABLE clients ADD COLUMN next_version text;\n\
               CREATE TABLE next_version (id text NOT NULL PRIMARY KEY);\n";
    fs::write(store.join("migrations").join(&file), sql).expect("written");
    let code = store.join("src/migrate.rs");
    let text = fs::read_to_string(&code).expect("the list of migrations");
    let (before, after) = text.split_once("\n];").expect("the list's end");
    let migration = format!(
        "Migration {{ usable_from: {known}, ..Migration::new({}, \"next_version\", include_str!(\"../migrations/{file}\")) }},",
        known + 1
    );
    fs::write(code, format!("{before}\n    {migration}\n];{after}")).expect("written");
}
