//! What whoever owns the state directory does on the machine itself, beside a running service or
//! without one.

use anyhow::{Context as _, Result, bail};

use crate::api;
use crate::auth::token::{self, NewToken};
use crate::auth::{Gate, Role, setup, unfit_name};
use crate::config::Config;
use crate::store::{Actor, Record, Store, StoreError};
use crate::time::Time;

/// Hours that a token may hold.
const HOURS: i64 = token::LONGEST_DAYS * 24;

/// A token to be made.
#[derive(Debug, clap::Args)]
pub struct CreateToken {
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

/// Prints a fresh setup code.
///
/// # Errors
/// When there is an administrator, or the state directory cannot be used.
pub async fn setup_code(config: &Config) -> Result<()> {
    let store = open(config).await?;
    let code = setup::renew(&store, &config.state.dir).await?;
    store.close().await;
    let Some(code) = code else {
        bail!("there is an administrator already: log in, or ask them for a new password");
    };
    println!("{}", code.reveal());
    Ok(())
}

/// Makes a token and prints it.
///
/// # Errors
/// When it cannot be so, or the state directory cannot be used.
pub async fn create_token(config: &Config, new: &CreateToken) -> Result<()> {
    let gate = Gate::new(&api::document());
    for scope in &new.scopes {
        if let Some(why) = token::unfit_scope(&gate, scope) {
            bail!("--scope {scope}: {why}");
        }
    }
    if new.scopes.len() > token::MOST_SCOPES {
        bail!("--scope: at most {} of them", token::MOST_SCOPES);
    }
    let store = open(config).await?;
    let mut change = store.change(Actor::system()).await?;
    let new = NewToken {
        name: &new.name,
        role: new.role,
        scopes: &new.scopes,
        expires: Time::now().plus_s(new.hours * 3_600),
    };
    let token = match token::create(&mut change, &new).await {
        Err(StoreError::Taken(_)) => bail!("there is a token `{}` already", new.name),
        token => token?,
    };
    let subject = format!("token/{}", new.name);
    let record = Record::new("create_token", subject).after(&token::described(&new));
    change.commit(record).await?;
    store.close().await;
    println!("{}", token.reveal());
    Ok(())
}

async fn open(config: &Config) -> Result<Store> {
    let dir = &config.state.dir;
    let store = Store::open(dir).await;
    store.with_context(|| format!("state directory {}", dir.display()))
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
        format!("one of {}", names.join(", "))
    })
}
