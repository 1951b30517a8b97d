//! `tere template`: builds versions of templates with mkosi, and has tere-machine keep them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use clap::Subcommand;
use nix::fcntl::{Flock, FlockArg};
use serde::Deserialize;

use super::failure::Failure;
use super::privileged::{confirm, listed, not_started, tere_machine, unreadable};
use super::{print, table, time};
use crate::clock;
use crate::names::{TemplateName, TemplateVersion};

/// Where the package has the definitions of its templates.
const DEFINITIONS: &str = "/usr/share/tere/templates";

/// Where templates are built. It is on the file system of the templates.
const BUILDS: &str = "/var/lib/tere/templates/.build";

/// The subcommands for templates.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the templates, their versions, and the machines that were made of them.
    List {
        /// Print JSON: an array of objects with template, version, newest (whether it is),
        /// machines, faults (why no machine can be made of it).
        #[arg(long)]
        json: bool,
    },
    /// Build a new version of a template with mkosi.
    Build {
        /// The template.
        #[arg(value_name = "NAME")]
        template: TemplateName,
        /// The folder with mkosi's files [default: /usr/share/tere/templates/NAME].
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// The new version [default: today's date].
        #[arg(id = "as", long, value_name = "VERSION")]
        version: Option<TemplateVersion>,
    },
    /// Add a system that is there as a new version of a template. It is copied.
    Add {
        /// The template.
        #[arg(value_name = "NAME")]
        template: TemplateName,
        /// The folder with the system.
        #[arg(value_name = "TREE")]
        tree: PathBuf,
        /// The new version [default: today's date].
        #[arg(id = "as", long, value_name = "VERSION")]
        version: Option<TemplateVersion>,
    },
    /// Say whether machines can be made of each version of a template.
    Check {
        /// The template.
        #[arg(value_name = "NAME")]
        template: TemplateName,
    },
    /// Remove a version of a template. Refused while a machine is made of it.
    Remove {
        /// The template.
        #[arg(value_name = "NAME")]
        template: TemplateName,
        /// The version.
        #[arg(id = "removed", value_name = "VERSION")]
        version: TemplateVersion,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// What tere-machine prints of a version.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) template: String,
    pub(super) version: TemplateVersion,
    pub(super) newest: bool,
    pub(super) machines: Vec<String>,
    pub(super) faults: Vec<String>,
}

pub(super) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::List { json: true } => print(&listed("list the templates", LIST)?.to_string()),
        Command::List { json: false } => list(&versions()?),
        Command::Build { template, from, version } => {
            let version = version.map_or_else(|| free_version(&template), Ok)?;
            let from = from.unwrap_or_else(|| Path::new(DEFINITIONS).join(template.as_str()));
            let (tree, _lock) = build(&from)?;
            add(&template, &version, &tree, &["--move"])
        }
        Command::Add { template, tree, version } => {
            let version = version.map_or_else(|| free_version(&template), Ok)?;
            add(&template, &version, &tree, &[])
        }
        Command::Check { template } => check(&template),
        Command::Remove { template, version, yes } => {
            confirm(yes, &format!("Remove version {version} of the template {template}?"))?;
            let arguments = ["remove-template", template.as_str(), version.as_str()];
            tere_machine(&format!("remove {template} {version}"), &arguments)?;
            print(&format!("Version {version} of the template {template} is removed."))
        }
    }
}

const LIST: &str = "list-templates";

pub(super) fn versions() -> Result<Vec<Listed>, Failure> {
    serde_json::from_value(listed("list the templates", LIST)?).map_err(|error| unreadable(&error))
}

fn list(versions: &[Listed]) -> Result<ExitCode, Failure> {
    if versions.is_empty() {
        return print(
            "There are no templates. Build the one that comes with tere: tere template build debian",
        );
    }
    let rows = versions.iter().map(|one| {
        let remark = match (one.faults.is_empty(), one.newest) {
            (false, _) => format!("cannot be used: {}", one.faults.join("; ")),
            (true, true) => "for new machines".to_owned(),
            (true, false) => String::new(),
        };
        let machines = one.machines.len().to_string();
        vec![one.template.clone(), one.version.to_string(), machines, remark]
    });
    print(&table(&["TEMPLATE", "VERSION", "MACHINES", ""], rows.collect()))
}

fn check(template: &TemplateName) -> Result<ExitCode, Failure> {
    let versions = versions()?;
    let theirs: Vec<_> = versions.iter().filter(|one| one.template == template.as_str()).collect();
    if theirs.is_empty() {
        return Err(Failure {
            cause: format!("there is no template {template}"),
            next: format!(
                "'tere template list' shows those that there are; build it: tere template build {template}"
            ),
        });
    }
    let line = |one: &&Listed| match one.faults.as_slice() {
        [] => format!("ok     {} {}", one.template, one.version),
        faults => format!("WRONG  {} {}: {}", one.template, one.version, faults.join("; ")),
    };
    print(&theirs.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    let good = theirs.iter().all(|one| one.faults.is_empty());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn add(
    template: &TemplateName,
    version: &TemplateVersion,
    tree: &Path,
    how: &[&str],
) -> Result<ExitCode, Failure> {
    let tree = std::path::absolute(tree).unwrap_or_else(|_| tree.to_owned());
    let Some(path) = tree.to_str() else {
        return Err(Failure {
            cause: format!("the name of {} is not UTF-8", tree.display()),
            next: "Rename the folder.".to_owned(),
        });
    };
    let arguments = [&["add-template"][..], how, &["--", template.as_str(), version.as_str(), path]].concat();
    tere_machine(&format!("add {template} {version}"), &arguments)?;
    print(&format!(
        "Version {version} of the template {template} is there. New machines are made of it; others when they are rebuilt."
    ))
}

/// Today's date, or the first version that follows it and is not there yet.
fn free_version(template: &TemplateName) -> Result<TemplateVersion, Failure> {
    let versions = versions()?;
    let there = |version: &TemplateVersion| {
        versions.iter().any(|one| one.template == template.as_str() && one.version == *version)
    };
    let date = time::date(clock::now());
    let today = date.split(' ').next().unwrap_or_default().replace('-', ".");
    let first = std::iter::once(today.clone());
    let more = (2..1000).map(|number| format!("{today}.{number}"));
    let free = first.chain(more).filter_map(|text| text.parse().ok()).find(|version| !there(version));
    free.ok_or_else(|| Failure {
        cause: format!("{template} has a thousand versions of today"),
        next: "Name one with --as.".to_owned(),
    })
}

/// Has mkosi build a system from the files in `from`, and returns its path, with the lock that keeps
/// others from building there. mkosi says on the terminal how far it is.
fn build(from: &Path) -> Result<(PathBuf, Flock<File>), Failure> {
    if !from.join("mkosi.conf").exists() {
        return Err(Failure {
            cause: format!("there is no {}", from.join("mkosi.conf").display()),
            next: format!("Name a folder with mkosi's files: --from FOLDER. {DEFINITIONS} has examples."),
        });
    }
    let mut mkosi = Process::new("mkosi");
    mkosi.arg("--directory").arg(from).args(["--format=directory", "--output=image", "--force"]);
    mkosi.args(["--output-directory", BUILDS, "--workspace-directory", BUILDS, "build"]);
    std::fs::create_dir_all(BUILDS).map_err(|error| Failure {
        cause: format!("cannot make {BUILDS}: {error}"),
        next: "Only root may do this. Run it again with sudo.".to_owned(),
    })?;
    let lock =
        File::open(BUILDS).ok().and_then(|folder| Flock::lock(folder, FlockArg::LockExclusiveNonblock).ok());
    let lock = lock.ok_or_else(|| Failure {
        cause: "another template is being built".to_owned(),
        next: "Wait until it is done.".to_owned(),
    })?;
    let status = mkosi.status().map_err(|error| {
        if error.kind() != std::io::ErrorKind::NotFound {
            return not_started("mkosi", &error);
        }
        Failure {
            cause: "mkosi is not installed".to_owned(),
            next: "apt install mkosi; or add a system that you made in another way: tere template add"
                .to_owned(),
        }
    })?;
    if status.success() {
        return Ok((Path::new(BUILDS).join("image"), lock));
    }
    Err(Failure {
        cause: format!("mkosi failed: {status}"),
        next: "Its own message is above. Nothing has changed.".to_owned(),
    })
}
