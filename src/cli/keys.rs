//! `keys` and `config`: API keys in a store, and settings, without a server.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people")]

use chokepoint::service::access::keys::NewKey;
use chokepoint::service::access::{Grants, Role};
use clap::{Args, Subcommand};

use super::table::table;
use super::{Common, Failure, open};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once.
    Create(CreateArgs),
    /// List the keys, without their secrets.
    List(Common),
    /// Revoke a key.
    Revoke(RevokeArgs),
}

/// The key to make.
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    common: Common,
    /// Who or what will use it.
    name: String,
    /// reader, analyst, editor or admin.
    #[arg(long, value_name = "ROLE", default_value = "reader")]
    role: Role,
    /// Role on graphs by pattern, for example `critical-*=reader`; other graphs are then out of
    /// reach. May be repeated.
    #[arg(long = "graph", value_name = "PATTERN=ROLE")]
    graphs: Vec<String>,
    /// Days until it expires [default: never].
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u32>,
}

/// The key to revoke.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    common: Common,
    /// Id: the part of the key between the underscores.
    id: String,
}

fn grants(written: &[String]) -> Result<Grants, Failure> {
    let one = |text: &String| {
        let (pattern, role) = text.split_once('=').ok_or_else(|| {
            Failure::Input(format!("--graph {text}: write it like critical-*=reader"))
        })?;
        let role = role.parse().map_err(|e| Failure::Input(format!("--graph {text}: {e}")))?;
        Ok((pattern.to_owned(), role))
    };
    written.iter().map(one).collect()
}

/// Makes, lists or revokes keys.
pub fn keys(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Create(args) => {
            let graphs = grants(&args.graphs)?;
            let service = open(&args.common.settings(Vec::new())?)?;
            let made = service.access.keys.create(NewKey {
                name: args.name.clone(),
                role: args.role,
                graphs,
                expires_days: args.expires_days,
            })?;
            println!("{}", made.key);
            eprintln!("key {} ({}); it is shown this once", made.view.id, made.view.role.as_str());
        }
        KeysCommand::List(common) => {
            let service = open(&common.settings(Vec::new())?)?;
            let rows: Vec<Vec<String>> = service
                .access
                .keys
                .list()
                .into_iter()
                .map(|key| {
                    let state = match (&key.revoked, &key.expires) {
                        (Some(at), _) => format!("revoked {at}"),
                        (None, Some(at)) => format!("until {at}"),
                        (None, None) => "valid".to_owned(),
                    };
                    vec![key.id, key.name, key.role.as_str().to_owned(), key.created, state]
                })
                .collect();
            print!("{}", table(&["id", "name", "role", "made", "state"], &rows));
        }
        KeysCommand::Revoke(args) => {
            let service = open(&args.common.settings(Vec::new())?)?;
            let view = service.access.keys.revoke(&args.id)?;
            println!("revoked {} ({})", view.id, view.name);
        }
    }
    Ok(())
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the settings in force and say what is wrong.
    Check(Common),
    /// List every setting with what it holds.
    List,
}

/// Checks or lists settings.
pub fn config(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(common) => {
            let config = common.settings(Vec::new())?;
            config.check()?;
            println!(
                "the settings are good: listen on {}, data in {}, access control {}",
                config.bind,
                config.data_dir.display(),
                if config.auth.is_off() { "off (loopback only)" } else { "on" }
            );
        }
        ConfigCommand::List => {
            let rows: Vec<Vec<String>> = chokepoint::config::SETTINGS
                .iter()
                .map(|(name, holds)| {
                    let variable = format!("CHOKEPOINT_{}", name.to_uppercase());
                    vec![(*name).to_owned(), variable, (*holds).to_owned()]
                })
                .collect();
            print!("{}", table(&["setting", "variable", "holds"], &rows));
        }
    }
    Ok(())
}
