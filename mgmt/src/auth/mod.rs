//! Who may do what. One middleware ([`Gate::guard`]) finds the operation a request means, who
//! sends it, and what [`rules`] says; a handler that runs was allowed to.

pub mod certificate;
mod credential;
pub mod login;
pub mod oidc;
pub mod password;
pub mod rules;
pub mod session;
pub mod setup;
pub mod throttle;
pub mod token;
pub mod user;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, Method};
use axum::middleware::Next;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{HttpMethod, OpenApi};

use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::store::Actor;
use credential::Presented;
use rules::Access;

/// What somebody is allowed, in one word.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Knows the devices: their names, roles, places, and what they need.
    Biomed,
    /// Knows the network: policies, alerts, captures.
    Security,
    /// Everything, users and settings included.
    Administrator,
    /// Reads what happened and who did it; changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Biomed,
        Self::Security,
        Self::Administrator,
        Self::Auditor,
    ];

    /// As in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Biomed => "biomed",
            Self::Security => "security",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Somebody whose credentials were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Such as `user:anna` or `token:backup`; unique.
    pub who: String,
    /// What it may do.
    pub role: Role,
    /// What a token is narrowed to, such as `devices:read`; absent: whatever the role may.
    pub scopes: Option<Vec<String>>,
    /// Digest of the session, for users who logged in.
    pub session: Option<String>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

impl Principal {
    /// The same for the audit log.
    pub fn actor(&self) -> Actor {
        Actor {
            who: self.who.clone(),
            address: self.address,
        }
    }

    /// Whether a right on the operations of a tag is within what a token is narrowed to.
    pub fn in_scope(&self, tag: &str, right: &str) -> bool {
        let Some(scopes) = &self.scopes else {
            return true;
        };
        scopes.iter().any(|scope| {
            let (of, has) = scope.split_once(':').unwrap_or((scope, ""));
            (of == "*" || of == tag) && (has == right || has == "write")
        })
    }
}

/// The principal of a request, for handlers.
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::new(Code::Unauthenticated, "This needs a session or a token."))
    }
}

/// One operation of the API, as its description has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// Its first tag: the resource.
    pub tag: String,
    /// Whether it changes something.
    pub writes: bool,
}

impl Operation {
    /// The right that a scope must hold.
    fn right(&self) -> &'static str {
        if self.writes { "write" } else { "read" }
    }
}

/// Finds operations and asks the rules.
#[derive(Debug)]
pub struct Gate {
    operations: HashMap<(Method, String), Operation>,
}

impl Gate {
    /// For the operations of an API.
    pub fn new(api: &OpenApi) -> Self {
        Self {
            operations: operations(api)
                .map(|(method, path, operation)| ((method, path), operation))
                .collect(),
        }
    }

    /// The middleware before all handlers.
    ///
    /// # Errors
    /// The problem that keeps the request from its handler.
    pub async fn guard(
        State(app): State<Shared>,
        mut request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let Some(operation) = app.gate.operation(request.method(), request.extensions()) else {
            // No operation: the router says that there is no such thing.
            return Ok(next.run(request).await);
        };
        let access = rules::of(&operation.id);
        let presented = Presented::by(&request, operation.writes);
        let principal = presented.check(&app).await;
        let pace = match &principal {
            Ok(Some(principal)) => principal.who.clone(),
            _ => throttle::network(presented.address),
        };
        if !app.login.pace.allows(&pace, Instant::now()) {
            let detail = "Too many requests; go slower (`limits.requests_per_second`).";
            return Err(Problem::new(Code::TooManyRequests, detail).retry_after_s(1));
        }
        match principal {
            Ok(Some(principal)) => {
                if !access.allows(principal.role)
                    || !principal.in_scope(&operation.tag, operation.right())
                {
                    return Err(refusal(access, operation, &principal));
                }
                request.extensions_mut().insert(principal);
            }
            Ok(None) if access == Access::Public => {}
            // Whoever comes with bad credentials is told so, except where none are needed.
            Err(_) if access == Access::Public => {}
            Ok(None) => {
                return Err(Problem::new(
                    Code::Unauthenticated,
                    "This needs a session or a token (`Authorization: Bearer …`).",
                ));
            }
            Err(problem) => return Err(problem),
        }
        Ok(next.run(request).await)
    }

    /// Whether operations have this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.operations
            .values()
            .any(|operation| operation.tag == tag)
    }

    /// The operation that a request means.
    pub fn operation(&self, method: &Method, extensions: &Extensions) -> Option<&Operation> {
        let path = extensions.get::<MatchedPath>()?.as_str().to_owned();
        let method = if method == Method::HEAD {
            Method::GET
        } else {
            method.clone()
        };
        self.operations.get(&(method, path))
    }
}

fn refusal(access: Access, operation: &Operation, principal: &Principal) -> Problem {
    let detail = if access.allows(principal.role) {
        let (tag, right) = (&operation.tag, operation.right());
        format!("The token lacks the scope `{tag}:{right}`.")
    } else {
        format!(
            "The role `{}` may not do this; it takes {}.",
            principal.role.name(),
            access.words()
        )
    };
    Problem::new(Code::Forbidden, detail)
}

/// What names of users, tokens and certificates' programs look like, for the API's description.
pub const NAME: &str = "^[a-z0-9][a-z0-9._@-]{0,63}$";

/// What keeps a text from being a name, if anything does.
pub fn unfit_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=64).contains(&name.len())
        && name.starts_with(plain)
        && name.chars().all(|c| plain(c) || "._@-".contains(c));
    (!fits).then_some(
        "1 to 64 of the small letters a to z, digits, `.`, `_`, `@` and `-`; a letter or a digit \
         first",
    )
}

/// Where a request came from.
pub fn address(extensions: &Extensions) -> Option<IpAddr> {
    let info = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(info.0.ip().to_canonical())
}

/// All operations of an API.
pub fn operations(api: &OpenApi) -> impl Iterator<Item = (Method, String, Operation)> + '_ {
    api.paths.paths.iter().flat_map(|(path, item)| {
        let of = [
            (HttpMethod::Get, Method::GET, &item.get),
            (HttpMethod::Put, Method::PUT, &item.put),
            (HttpMethod::Post, Method::POST, &item.post),
            (HttpMethod::Patch, Method::PATCH, &item.patch),
            (HttpMethod::Delete, Method::DELETE, &item.delete),
        ];
        of.into_iter().filter_map(|(_, method, operation)| {
            let operation = operation.as_ref()?;
            let tags = operation.tags.as_ref();
            Some((
                method.clone(),
                path.clone(),
                Operation {
                    id: operation.operation_id.clone()?,
                    tag: tags.and_then(|tags| tags.first()).cloned()?,
                    writes: method != Method::GET,
                },
            ))
        })
    })
}
