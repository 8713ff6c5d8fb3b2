//! The model that names devices.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::support::Server;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");

#[tokio::test]
async fn a_model_is_put_in_use_by_its_name() {
    let server = Server::start_with(&format!("[models]\ndir = \"{MODELS}\"\n")).await;
    let there = |models: &Json| models["in_use"]["origin"] == "built-in";
    let models = server.read_until("/models", there).await;
    let available = models["available"].as_array().expect("a list");
    let ours = available
        .iter()
        .find(|model| model["folder"] == "wardline")
        .expect("there");
    assert_eq!(
        (&ours["sound"], &ours["name"]),
        (&json!(true), &json!("wardline")),
        "{ours:#}"
    );
    let activate = |role, folder: &str| {
        let body = json!({ "folder": folder, "reason": "newer" });
        let server = &server;
        async move {
            server
                .send(role, Method::POST, "/models/activate", &body)
                .await
        }
    };
    assert_eq!(activate(Role::Biomed, "wardline").await.0, 403);
    let (status, now) = activate(Role::Security, "wardline").await;
    assert_eq!((status, &now["origin"]), (200, &json!("folder")), "{now:#}");
    let folder = server.stage().model.clone().expect("a folder");
    assert!(
        folder.ends_with("/models/wardline") && !folder.contains(".."),
        "{folder}"
    );
    for folder in ["../mgmt", "nothing", ""] {
        let (status, problem) = activate(Role::Security, folder).await;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!("folder"))
        );
    }
    let body = json!({ "reason": "back" });
    let (_, now) = server
        .send(Role::Security, Method::POST, "/models/activate", &body)
        .await;
    assert_eq!(now["origin"], "built-in");
    let audit = server.read("/audit?operation=activate_model").await;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(audit["items"][1]["record"]["before"]["number"], 3);
}

#[tokio::test]
async fn what_the_fast_path_refuses_stays_out() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("older")).expect("a folder");
    let more = format!("[models]\ndir = \"{}\"\n", dir.path().display());
    let server = Server::start_with(&more).await;
    let models = server
        .read_until("/models", |models| models["in_use"].is_object())
        .await;
    assert_eq!(models["available"][0]["sound"], false);
    assert_eq!(models["available"][0]["checks"][0]["check"], "signature");
    let body = json!({ "folder": "older", "reason": "tested" });
    let (status, problem) = server
        .send(Role::Security, Method::POST, "/models/activate", &body)
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (422, &json!("invalid-body")),
        "{problem:#}"
    );
    assert!(server.stage().model.is_none());
    assert_eq!(
        server.read("/audit?operation=activate_model").await["items"],
        json!([])
    );
}
