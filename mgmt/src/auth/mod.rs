//! Who may do what. One middleware ([`Gate::guard`]) finds the operation a request means, who
//! sends it, and what [`rules`] says; a handler that runs was allowed to.

mod credential;
pub mod password;
pub mod rules;
pub mod token;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, Method};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{HttpMethod, OpenApi};

use crate::Shared;
use crate::api::problem::{Code, Problem};
use crate::store::Actor;
use rules::Access;

/// What somebody is allowed, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
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

    fn in_scope(&self, operation: &Operation) -> bool {
        let Some(scopes) = &self.scopes else {
            return true;
        };
        let wanted = if operation.writes { "write" } else { "read" };
        scopes.iter().any(|scope| {
            let (tag, right) = scope.split_once(':').unwrap_or((scope, ""));
            (tag == "*" || tag == operation.tag) && (right == wanted || right == "write")
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
        let address = address(request.extensions());
        // Apart from the body, which only one thread at a time may hold.
        let headers = request.headers().clone();
        let principal = credential::check(&app, &headers, operation.writes, address).await;
        match principal {
            Ok(Some(principal)) => {
                if !access.allows(principal.role) || !principal.in_scope(operation) {
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

    fn operation(&self, method: &Method, extensions: &Extensions) -> Option<&Operation> {
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
        let right = if operation.writes { "write" } else { "read" };
        format!("The token lacks the scope `{}:{right}`.", operation.tag)
    } else {
        format!(
            "The role `{}` may not do this; it takes {}.",
            principal.role.name(),
            access.words()
        )
    };
    Problem::new(Code::Forbidden, detail)
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
