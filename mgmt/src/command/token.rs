//! `wardline-mgmt token …` and `wardline-mgmt setup-code`, whether the service runs or not.

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use wardline_mgmt::api;
use wardline_mgmt::auth::token::{self, NewToken};
use wardline_mgmt::auth::{Gate, Role, setup, unfit_name};
use wardline_mgmt::config::Config;
use wardline_mgmt::store::{Actor, Record, Store, StoreError};
use wardline_mgmt::time::Time;

use super::{Failure, load};

/// Hours that a token may hold.
const HOURS: i64 = token::LONGEST_DAYS * 24;

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
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: String,
    /// What it may do: viewer, biomed, security, administrator or auditor
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// How long it holds, in hours; at most a year
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=HOURS))]
    hours: i64,
    /// What to narrow it to, such as devices:read; may be given several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
}

/// Makes a token and prints it.
///
/// # Errors
/// When it cannot be so, or the state directory cannot be used.
pub async fn run(Token::Create(new): &Token, config: &Path) -> Result<(), Failure> {
    let gate = Gate::new(&api::document());
    for scope in &new.scopes {
        if let Some(why) = token::unfit_scope(&gate, scope) {
            return Err(Failure::Usage(format!("--scope {scope}: {why}")));
        }
    }
    if new.scopes.len() > token::MOST_SCOPES {
        let most = token::MOST_SCOPES;
        return Err(Failure::Usage(format!("--scope: at most {most} of them")));
    }
    let store = open(&load(config)?).await?;
    let wanted = NewToken {
        name: &new.name,
        role: new.role,
        scopes: &new.scopes,
        expires: Time::now().plus_s(new.hours * 3_600),
    };
    let made = create(&store, &wanted).await;
    store.close().await;
    match made {
        Ok(token) => println!("{}", token.reveal()),
        Err(StoreError::Taken(_)) => {
            let said = format!("there is a token `{}` already", new.name);
            return Err(Failure::Usage(said));
        }
        Err(error) => return Err(Failure::Failed(error.into())),
    }
    Ok(())
}

/// Prints a fresh setup code.
///
/// # Errors
/// When there is an administrator, or the state directory cannot be used.
pub async fn setup_code(config: &Path) -> Result<(), Failure> {
    let config = load(config)?;
    let store = open(&config).await?;
    let code = setup::renew(&store, &config.state.dir).await;
    store.close().await;
    let said = "there is an administrator already: log in, or ask them for a new password";
    let code = code.map_err(anyhow::Error::from)?;
    let code = code.ok_or_else(|| Failure::Usage(said.to_owned()))?;
    println!("{}", code.reveal());
    Ok(())
}

async fn create(
    store: &Store,
    new: &NewToken<'_>,
) -> Result<wardline_mgmt::secret::Secret, StoreError> {
    let mut change = store.change(Actor::system()).await?;
    let token = token::create(&mut change, new).await?;
    let record = Record::new("create_token", format!("token/{}", new.name))
        .because(Some("made on the command line"))
        .after(&token::described(new));
    change.commit(record).await?;
    Ok(token)
}

async fn open(config: &Config) -> Result<Store, Failure> {
    let dir = &config.state.dir;
    let store = Store::open(dir).await;
    Ok(store.with_context(|| format!("state directory {}", dir.display()))?)
}

fn name(text: &str) -> Result<String, String> {
    match unfit_name(text) {
        None => Ok(text.to_owned()),
        Some(why) => Err(why.to_owned()),
    }
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("a role is one of {}", names.join(", "))
    })
}
