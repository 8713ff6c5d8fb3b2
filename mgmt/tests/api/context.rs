//! What others say of devices, and what people say they are.

use reqwest::Method;
use serde_json::json;
use wardline_mgmt::auth::Role;

use crate::devices::with_devices;
use crate::played::Stage;
use crate::support::{Server, problem};

const KEY: &str = "00-09-fb-00-00-01.10";
const PATH: &str = "/context/00-09-fb-00-00-01.10";

async fn say(server: &Server, body: serde_json::Value) -> u16 {
    server
        .send(Role::Security, Method::PUT, PATH, &body)
        .await
        .0
}

/// Waits until the fast path knows so many statements.
async fn handed(server: &Server, count: usize) {
    for _ in 0..600 {
        if server.stage().context.len() == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the fast path knows {:?}", server.stage().context);
}

#[tokio::test]
async fn several_sources_speak_of_a_device_and_the_fast_path_hears_them() {
    let mut server = with_devices(1).await;
    let nac = json!({ "source": "nac", "user": "nurse-7", "health": "patched", "lifetime_s": 600 });
    assert_eq!(say(&server, nac.clone()).await, 200);
    assert_eq!(
        say(
            &server,
            json!({ "source": "ehr", "location": "ICU", "lifetime_s": 600 })
        )
        .await,
        200
    );
    handed(&server, 2).await;
    let device = server.read(&format!("/devices/{KEY}")).await;
    let sources: Vec<_> = device["context"]
        .as_array()
        .expect("said")
        .iter()
        .map(|s| &s["source"])
        .collect();
    assert_eq!(sources, ["ehr", "nac"]);
    assert_eq!(server.stage().context[1].user.as_deref(), Some("nurse-7"));

    // The same again only prolongs it.
    assert_eq!(say(&server, nac).await, 200);
    let audit = server.read("/audit?operation=put_context").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2));

    server.fastpath_goes();
    server.fastpath_comes_with(Stage::default());
    handed(&server, 2).await;
    server.crash().await;
    server.fastpath_goes();
    server.fastpath_comes();
    handed(&server, 2).await;

    let path = format!("{PATH}?source=nac");
    let gone = server
        .request(Role::Security, Method::DELETE, &path)
        .send()
        .await;
    assert_eq!(gone.expect("an answer").status(), 204);
    handed(&server, 1).await;
    let again = server
        .request(Role::Security, Method::DELETE, &path)
        .send()
        .await;
    assert_eq!(problem(again.expect("an answer")).await.0, 404);
}

#[tokio::test]
async fn what_was_said_for_a_second_is_soon_not_shown() {
    let server = Server::start().await;
    let short = json!({ "source": "nac", "health": "infected", "lifetime_s": 1 });
    assert_eq!(say(&server, short).await, 200);
    let none = |context: &serde_json::Value| context["items"] == json!([]);
    server.read_until(PATH, none).await;
}

#[tokio::test]
async fn what_cannot_be_said_is_named() {
    let server = Server::start().await;
    for body in [
        json!({ "source": "nac", "lifetime_s": 60 }),
        json!({ "source": "", "user": "x", "lifetime_s": 60 }),
        json!({ "source": "nac", "user": "x", "lifetime_s": 604_801 }),
        json!({ "source": "nac", "user": "x".repeat(129), "lifetime_s": 60 }),
    ] {
        assert_eq!(say(&server, body).await, 422);
    }
    let body = json!({ "source": "nac", "user": "x", "lifetime_s": 60 });
    let nobody = server
        .send(Role::Security, Method::PUT, "/context/nothing", &body)
        .await;
    assert_eq!(nobody.0, 404);
    assert_eq!(
        server.send(Role::Viewer, Method::PUT, PATH, &body).await.0,
        403
    );
}

#[tokio::test]
async fn a_person_says_what_a_device_is() {
    let server = with_devices(1).await;
    let path = format!("/devices/{KEY}/role");
    let body = json!({ "role": "infusion-pump", "reason": "I stand before it" });
    let (status, answer) = server.send(Role::Biomed, Method::PUT, &path, &body).await;
    assert_eq!((status, &answer["record"]), (200, &json!(1)), "{answer:#}");
    let statement = server.stage().statements[0].clone();
    assert_eq!(
        (statement.role.as_deref(), statement.who.as_str()),
        (Some("infusion-pump"), "token:biomed")
    );
    let back = json!({ "role": null, "reason": "I was wrong" });
    assert_eq!(
        server.send(Role::Biomed, Method::PUT, &path, &back).await.0,
        200
    );
    assert_eq!(server.stage().statements[1].role, None);
    let audit = server.read("/audit?operation=set_device_role").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2));
    let unknown = "/devices/00-09-fb-00-00-09.10/role";
    assert_eq!(
        server
            .send(Role::Biomed, Method::PUT, unknown, &body)
            .await
            .0,
        404
    );
    assert_eq!(
        server.send(Role::Viewer, Method::PUT, &path, &body).await.0,
        403
    );
}
