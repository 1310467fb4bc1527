//! Commands for a POSIX shell: what is printed works when it is pasted, wherever the reader's shell is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// How this program is called: by its name where the shell finds it under that name, else by its absolute path.
pub(super) fn program() -> String {
    let called = env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match env::current_exe() {
        Ok(path) if is_in_path(&called, &path) => quoted(&called.to_string_lossy()),
        Ok(path) => quoted(&path.to_string_lossy()),
        Err(_) => quoted(&called.to_string_lossy()),
    }
}

/// Whether `name` is a bare name under which the folders of `PATH` hold `program`.
fn is_in_path(name: &Path, program: &Path) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    // A relative folder is another one in another place.
    let mut found = env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    let same =
        |path: PathBuf| path.canonicalize().ok().filter(|path| Some(path) == program.canonicalize().ok().as_ref());
    name.components().count() == 1 && found.find(|path| path.is_file()).and_then(same).is_some()
}

/// A word as a shell reads it back, in quotes only where it needs them.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in
            ["", "/srv/demo", "a b", "it's", "\"$HOME\"", "`id`", "a\\b", "*", "~", "a\nb", "é", "''", "#", "a;b"]
        {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{script}");
        }
        assert_eq!(quoted("/srv/demo-1.2"), "/srv/demo-1.2");
    }
}
