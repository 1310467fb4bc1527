//! `cargo xtask package`: what is shipped, in `target/package`.
//!
//! The program is linked statically with musl, so that one file runs on every Linux and in an empty image. The Debian
//! package holds the same file. Easy to get wrong: `cargo deb` would build the program again with the wrong libc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::Run;
use crate::tools::{self, Missing, Tool};
use crate::workspace;

/// Builds the packages: its own version and features of crates are no part of the workspace.
const CARGO_DEB: &str = "3.8.0";
const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// What building needs, all of it there.
pub(crate) struct Workshop {
    target: PathBuf,
    /// The target of the static program: this machine's own processor.
    triple: String,
    cargo_deb: PathBuf,
}

/// What was built.
pub(crate) struct Packages {
    pub(crate) program: PathBuf,
    workshop: Workshop,
    /// Where everything that is shipped is.
    folder: PathBuf,
}

pub(crate) fn run() -> Result<bool> {
    let packages = Workshop::ready()?.build()?;
    let deb = packages.deb(1)?;
    let version = env!("CARGO_PKG_VERSION");
    let program = packages.folder.join(format!("doorward-{version}-{}-linux", std::env::consts::ARCH));
    fs::copy(&packages.program, &program)?;
    println!("{}\n{}", program.display(), deb.display());
    match engine() {
        Some(engine) => {
            let image = format!("doorward:{version}");
            Command::new(engine).current_dir(workspace::root()).args(["build", "--tag", &image, "."]).run()?;
            println!("{image} (image of {engine})");
        }
        None => println!("no image: neither docker nor podman is running here"),
    }
    Ok(true)
}

/// A container engine that answers.
fn engine() -> Option<&'static str> {
    ["docker", "podman"].into_iter().find(|engine| Command::new(engine).arg("info").read().is_ok())
}

impl Workshop {
    /// Finds or installs what building needs.
    pub(crate) fn ready() -> Result<Self> {
        tools::ready(&[Tool::Musl].into())?;
        let target = workspace::target_folder()?;
        let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        add_target(&triple)?;
        let cargo_deb = install_cargo_deb(&target)?;
        Ok(Self { target, triple, cargo_deb })
    }

    /// Builds the static program, and with it the man pages and completions.
    pub(crate) fn build(self) -> Result<Packages> {
        let build = ["build", "--locked", "--profile", "dist", "--package", "doorward", "--target", &self.triple];
        workspace::cargo().args(build).run()?;
        let built = self.target.join(&self.triple).join("dist");
        let program = built.join("doorward");
        write_documents(&program, &built)?;
        let folder = self.target.join("package");
        fs::create_dir_all(&folder)?;
        Ok(Packages { program, workshop: self, folder })
    }
}

impl Packages {
    /// Builds the Debian package with this revision.
    pub(crate) fn deb(&self, revision: u32) -> Result<PathBuf> {
        let Workshop { triple, cargo_deb, .. } = &self.workshop;
        let revision = revision.to_string();
        let arguments = ["--quiet", "--no-build", "--package", "doorward", "--profile", "dist", "--target", triple];
        Command::new(cargo_deb.join("bin/cargo-deb"))
            .current_dir(workspace::root())
            .args(arguments)
            .args(["--deb-revision", &revision, "--output"])
            .arg(&self.folder)
            .run()?;
        // The architecture in its name is Debian's word for it.
        let begin = format!("doorward_{}-{revision}_", env!("CARGO_PKG_VERSION"));
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin));
        let files = fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        files.into_iter().find(is_it).with_context(|| format!("cargo deb wrote no {begin}*.deb"))
    }
}

/// Has rustup add the target if the compiler lacks it.
fn add_target(triple: &str) -> Result<()> {
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", triple]).read()?;
    if Path::new(library.trim()).exists() {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", triple]).run();
    added.map_err(|error| Missing(format!("no Rust library for {triple}: {error:#}")).into())
}

/// Installs `cargo deb` into the target folder, once for each version.
fn install_cargo_deb(target: &Path) -> Result<PathBuf> {
    let folder = target.join(format!("tools/cargo-deb-{CARGO_DEB}"));
    if !folder.join("bin/cargo-deb").exists() {
        let features = ["--no-default-features", "--features", "gzip"];
        let install = ["install", "cargo-deb", "--quiet", "--locked", "--version", CARGO_DEB, "--root"];
        // Without its own target folder, Cargo would take the one that the environment names.
        let build = target.join("tools/build");
        workspace::cargo().args(install).arg(&folder).args(features).arg("--target-dir").arg(build).run()?;
    }
    Ok(folder)
}

/// Has the program write its own man pages and completions, into the places from which the package takes them.
fn write_documents(program: &Path, built: &Path) -> Result<()> {
    let (pages, completions) = (built.join("man"), built.join("completions"));
    // A page of a command that is gone must not be shipped.
    for folder in [&pages, &completions] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    Command::new(program).arg("man-pages").arg(&pages).read()?;
    // Debian Policy 12.1: compressed, and without a time, so that two builds are alike.
    Command::new("gzip").args(["-9", "--no-name", "--recursive"]).arg(&pages).read()?;
    for shell in SHELLS {
        let script = Command::new(program).args(["completions", shell]).read()?;
        ensure!(!script.is_empty(), "no completions for {shell}");
        fs::write(completions.join(shell), script).with_context(|| completions.display().to_string())?;
    }
    Ok(())
}
