//! Every operation is called by every role and by nobody, and compared with the table that a
//! reviewer agreed to.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::json;
use wardline_mgmt::api;
use wardline_mgmt::auth::{Operation, Role, operations};

use crate::support::Server;

const TABLE: &str = include_str!("../../golden/authorization.txt");

/// Whether each column's caller may call each operation.
fn agreed() -> HashMap<&'static str, HashMap<&'static str, bool>> {
    let mut lines = TABLE.lines();
    let callers: Vec<_> = lines
        .next()
        .expect("a heading")
        .split(' ')
        .skip(1)
        .collect();
    let row = |line: &'static str| {
        let mut cells = line.split(' ');
        let operation = cells.next().expect("an operation");
        let may = cells.map(|cell| cell == "yes");
        (operation, callers.iter().copied().zip(may).collect())
    };
    lines.map(row).collect()
}

/// The status of a call that would be valid but for its body, so that nothing changes.
async fn call(server: &Server, role: Option<Role>, method: &Method, path: &str) -> u16 {
    let mut parts = Vec::new();
    for part in path.split('/') {
        parts.push(if part.starts_with('{') { "4711" } else { part });
    }
    let url = format!("{}{}", server.base, parts.join("/"));
    let request = server.client.request(method.clone(), url);
    let request = match role {
        Some(role) => request.bearer_auth(server.token(role)),
        None => request,
    };
    let request = match *method {
        Method::PUT | Method::POST | Method::PATCH => request.json(&json!({ "none": "such" })),
        _ => request,
    };
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let server = Server::start().await;
    let agreed = agreed();
    let mut count = 0;
    for (method, path, Operation { id, .. }) in operations(&api::document()) {
        let row = agreed
            .get(id.as_str())
            .unwrap_or_else(|| panic!("{id} is not in the table"));
        for role in Role::ALL {
            let status = call(&server, Some(role), &method, &path).await;
            let allowed = status != 401 && status != 403;
            assert_eq!(
                allowed,
                row[role.name()],
                "{id} by {}: {status}",
                role.name()
            );
            assert!(
                status < 500 || status == 503,
                "{id} by {}: {status}",
                role.name()
            );
        }
        let status = call(&server, None, &method, &path).await;
        let expected = if row["anybody"] { status } else { 401 };
        assert_eq!(status, expected, "{id} by nobody");
        assert!(
            status != 403 && (status != 401 || !row["anybody"]),
            "{id}: {status}"
        );
        count += 1;
    }
    assert_eq!(count, agreed.len());
}
