//! Programs that run to their end. Those that keep running are in [`crate::leash`].

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs a command and turns a failure into an error that names the command line.
pub(crate) trait Run {
    /// Prints the command line and lets the program write to the terminal.
    fn run(&mut self) -> Result<()>;

    /// Returns the program's standard output. The error contains its standard error.
    fn read(&mut self) -> Result<String>;
}

impl Run for Command {
    fn run(&mut self) -> Result<()> {
        let line = line(self);
        println!("$ {line}");
        let status = self.status().with_context(|| format!("`{line}` could not be started"))?;
        ensure!(status.success(), "`{line}` failed");
        Ok(())
    }

    fn read(&mut self) -> Result<String> {
        let line = line(self);
        let output = self.output().with_context(|| format!("`{line}` could not be started"))?;
        ensure!(output.status.success(), "`{line}` failed\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The program and its arguments, without the environment, which may contain secrets.
fn line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
