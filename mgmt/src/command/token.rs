//! `wardline-mgmt token …`.

use std::path::Path;

use clap::{Args, Subcommand};
use wardline_mgmt::auth::Role;
use wardline_mgmt::auth::token::{self, NewToken};
use wardline_mgmt::secret::Secret;
use wardline_mgmt::store::{Actor, Record, Store, StoreError};
use wardline_mgmt::time::Time;

use super::{Failure, load};

/// Longest life of a token, in hours.
const HOURS: u32 = 365 * 24;

/// Credentials of programs.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token and print it, this once
    Create(Create),
}

/// What the token is to be.
#[derive(Debug, Args)]
pub struct Create {
    /// Unique name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may do: viewer, biomed, security, administrator or auditor
    #[arg(long, value_parser = role)]
    role: Role,
    /// How long it holds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(HOURS)))]
    hours: u32,
    /// What it is narrowed to, such as `devices:read`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

fn role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("a role is one of {}", names.join(", "))
    })
}

/// Does it, whether the service runs or not.
///
/// # Errors
/// When the name cannot be one or is taken, or the state directory cannot be used.
pub async fn run(command: &Token, config: &Path) -> Result<(), Failure> {
    let Token::Create(new) = command;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(1..=64).contains(&new.name.len()) || !new.name.chars().all(plain) {
        let said = "a name is made of 1 to 64 letters, digits, `-`, `_` and `.`";
        return Err(Failure::Usage(said.to_owned()));
    }
    let config = load(config)?;
    let token = create(new, &config.state.dir).await;
    println!("{}", token.map_err(anyhow::Error::from)?.reveal());
    Ok(())
}

async fn create(new: &Create, state: &Path) -> Result<Secret, StoreError> {
    let store = Store::open(state).await?;
    let mut change = store.change(Actor::system()).await?;
    let expires = Time::now().plus_s(i64::from(new.hours) * 3_600);
    let wanted = NewToken {
        name: &new.name,
        role: new.role,
        scopes: &new.scopes,
        expires,
    };
    let token = token::create(&mut change, &wanted).await?;
    let record = Record::new("create_token", format!("token/{}", new.name))
        .because(Some("made on the command line"))
        .after(&serde_json::json!({
            "role": new.role, "scopes": new.scopes, "expires": expires,
        }));
    change.commit(record).await?;
    store.close().await;
    Ok(token)
}
