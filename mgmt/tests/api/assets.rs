//! Assets, and lists of them that are taken in.

use reqwest::Method;
use serde_json::{Value as Json, json};
use wardline_mgmt::auth::Role;

use crate::devices::with_devices;
use crate::played::device;
use crate::support::{Server, problem};

const FIRST: &str = "00-09-fb-00-00-01.10";
const SECOND: &str = "00-09-fb-00-00-02.10";

/// What a biomed gets for a change of what has this revision.
async fn change(
    server: &Server,
    method: Method,
    path: &str,
    revision: u32,
    body: Json,
) -> (u16, Json) {
    let request = server.request(Role::Biomed, method.clone(), path);
    let request = request.header("If-Match", format!("\"{revision}\""));
    let request = match method {
        Method::DELETE => request,
        _ => request.json(&body),
    };
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Json::Null))
}

async fn create(server: &Server, body: &Json) -> (u16, Json) {
    server
        .send(Role::Biomed, Method::POST, "/assets", body)
        .await
}

#[tokio::test]
async fn an_asset_is_written_down_changed_and_struck_off() {
    let server = Server::start().await;
    let new = json!({ "tag": " A-1 ", "maker": "Example", "macs": ["0009.FB00.0001"],
        "location": { "ward": "ICU 3", "bed": "4" }, "reason": "bought" });
    let (status, made) = create(&server, &new).await;
    assert_eq!((status, &made["tag"]), (201, &json!("A-1")), "{made:#}");
    assert_eq!(made["macs"], json!(["00:09:fb:00:00:01"]));
    let path = format!("/assets/{}", made["id"]);
    assert_eq!(create(&server, &new).await.0, 409, "one tag twice");

    let other = json!({ "tag": "A-2", "department": "Biomed" });
    assert_eq!(
        change(&server, Method::PUT, &path, 9, other.clone())
            .await
            .0,
        412
    );
    let (status, now) = change(&server, Method::PUT, &path, 1, other).await;
    assert_eq!(
        (status, &now["tag"], &now["maker"]),
        (200, &json!("A-2"), &Json::Null)
    );
    let audit = server.read("/audit?operation=replace_asset").await;
    assert_eq!(audit["items"][0]["record"]["before"]["tag"], "A-1");

    assert_eq!(
        change(&server, Method::DELETE, &path, 2, Json::Null)
            .await
            .0,
        204
    );
    let gone = server.request(Role::Viewer, Method::GET, &path).send();
    assert_eq!(problem(gone.await.expect("an answer")).await.0, 404);
}

#[tokio::test]
async fn assets_are_listed_page_by_page_and_found() {
    let server = Server::start().await;
    for (tag, maker, ward) in [
        ("A-1", "Zeta", "ICU"),
        ("A-2", "Alpha", "ICU"),
        ("A-3", "Mid", "ER"),
    ] {
        let new = json!({ "tag": tag, "maker": maker, "location": { "ward": ward } });
        assert_eq!(create(&server, &new).await.0, 201);
    }
    let mut tags = Vec::new();
    let mut path = "/assets?sort=maker&limit=2".to_owned();
    loop {
        let page = server.read(&path).await;
        let items = page["items"].as_array().expect("a list").clone();
        tags.extend(items.iter().map(|item| item["tag"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/assets?sort=maker&limit=2&cursor={cursor}");
    }
    assert_eq!(tags, ["A-2", "A-3", "A-1"]);
    for (query, count) in [
        ("ward=ICU", 2),
        ("q=alpha+icu", 1),
        ("tag=A-3", 1),
        ("linked=true", 0),
    ] {
        let found = server.read(&format!("/assets?{query}")).await;
        assert_eq!(
            found["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_dock_has_several_devices_and_a_bed_changes_its_monitor() {
    let server = with_devices(2).await;
    let (_, made) = create(&server, &json!({ "tag": "BED-4" })).await;
    let path = format!("/assets/{}", made["id"]);
    let at = |key: &str| format!("{path}/devices/{key}");
    let put = |key: &str, revision| {
        let at = at(key);
        let server = &server;
        async move { change(server, Method::PUT, &at, revision, json!({})).await }
    };
    assert_eq!(put(FIRST, 1).await.0, 200);
    let (status, both) = put(SECOND, 2).await;
    assert_eq!((status, &both["devices"]), (200, &json!([FIRST, SECOND])));
    assert_eq!(put("nonsense", 3).await.0, 404);
    let (status, one) = change(&server, Method::DELETE, &at(FIRST), 3, Json::Null).await;
    assert_eq!((status, &one["devices"]), (200, &json!([SECOND])));
    let links = one["links"].as_array().expect("links");
    assert_eq!(links.len(), 2, "what was is kept");
    assert!(
        links[1]["until"].is_string() && links[0]["until"].is_null(),
        "{links:#?}"
    );
    let device = server.read(&format!("/devices/{SECOND}")).await;
    assert_eq!(device["assets"][0]["tag"], "BED-4");
    assert_eq!(
        server.read(&format!("/assets?device={FIRST}")).await["items"],
        json!([])
    );
}

#[tokio::test]
async fn what_an_asset_cannot_be_is_named() {
    let server = Server::start().await;
    let (status, answer) = create(
        &server,
        &json!({ "tag": "", "macs": ["01:00:5e:00:00:01"], "serial": "1.2E+11",
            "location": { "ward": "x\u{1}" } }),
    )
    .await;
    let fields: Vec<_> = answer["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|e| &e["field"])
        .collect();
    assert_eq!(status, 422);
    assert_eq!(fields, ["tag", "serial", "location.ward", "macs[0]"]);
    assert_eq!(
        create(&server, &json!({ "tag": "A", "colour": "red" }))
            .await
            .0,
        422
    );
}

async fn upload(server: &Server, text: &str) -> Json {
    let body = json!({ "text": text });
    let (status, import) = server
        .send(Role::Biomed, Method::POST, "/assets/imports", &body)
        .await;
    assert_eq!(status, 201, "{import:#}");
    import
}

async fn apply(server: &Server, import: &Json, how: Json) -> (u16, Json) {
    let path = format!("/assets/imports/{}/apply", import["id"]);
    server.send(Role::Biomed, Method::POST, &path, &how).await
}

#[tokio::test]
async fn a_list_is_shown_before_it_is_taken_in() {
    let server = with_devices(2).await;
    create(
        &server,
        &json!({ "tag": "A-1", "maker": "Old", "notes": "kept" }),
    )
    .await;
    let text = "Asset Tag;Manufacturer;MAC;Colour\nA-1;New;;red\nA-2;Example;0009fb000002;blue\n";
    let import = upload(&server, text).await;
    assert_eq!(
        (&import["new"], &import["changed"], &import["conflict"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(import["ignored_columns"], json!(["Colour"]));
    let rows = server
        .read(&format!("/assets/imports/{}/rows", import["id"]))
        .await;
    assert_eq!(
        rows["items"][0]["changes"],
        json!([{ "fact": "maker", "before": "Old", "after": "New" }])
    );
    assert_eq!(
        rows["items"][1]["links"],
        json!([{ "device": SECOND, "by": "mac" }])
    );
    assert_eq!(
        server.read("/assets").await["items"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "only shown"
    );

    let (status, done) = apply(&server, &import, json!({ "reason": "yearly" })).await;
    assert_eq!(
        (status, done["applied"].is_string()),
        (200, true),
        "{done:#}"
    );
    let assets = server.read("/assets").await;
    assert_eq!(
        (&assets["items"][0]["maker"], &assets["items"][0]["notes"]),
        (&json!("New"), &json!("kept"))
    );
    assert_eq!(assets["items"][1]["devices"], json!([SECOND]));
    let audit = server.read("/audit?operation=apply_import").await;
    assert_eq!(
        audit["items"].as_array().map(Vec::len),
        Some(3),
        "each asset, and the list"
    );
    assert_eq!(apply(&server, &import, json!({})).await.0, 409, "once only");
    let again = upload(&server, text).await;
    assert_eq!(again["same"], 2);
}

#[tokio::test]
async fn what_changed_since_the_preview_is_not_overwritten() {
    let server = with_devices(1).await;
    create(&server, &json!({ "tag": "A-1", "maker": "Old" })).await;
    let import = upload(&server, "tag,maker\nA-1,New\nA-2,Other\n").await;
    // What the list does not touch may change.
    create(&server, &json!({ "tag": "B-1" })).await;
    let untouched = upload(&server, "tag\nC-1\n").await;
    let newer = json!({ "tag": "A-1", "maker": "Newer" });
    assert_eq!(
        change(&server, Method::PUT, "/assets/1", 1, newer).await.0,
        200
    );
    let (status, answer) = apply(&server, &import, json!({})).await;
    assert_eq!(
        (status, &answer["errors"][0]["line"]),
        (409, &json!(2)),
        "{answer:#}"
    );
    assert_eq!(
        server.read("/assets?tag=A-2").await["items"],
        json!([]),
        "all or nothing"
    );
    assert_eq!(apply(&server, &untouched, json!({})).await.0, 200);
}

#[tokio::test]
async fn rows_that_do_not_fit_are_left_out_only_when_asked_for() {
    let server = with_devices(1).await;
    let path = format!("/devices/{FIRST}");
    assert_eq!(
        change(&server, Method::PATCH, &path, 1, json!({ "ward": "ICU 1" }))
            .await
            .0,
        200
    );
    let text = "tag,mac,ward\nA-1,00:09:fb:00:00:01,ICU 2\nA-2,zz,\nA-3,,\n";
    let import = upload(&server, text).await;
    assert_eq!(import["conflict"], 2);
    let rows = server
        .read(&format!(
            "/assets/imports/{}/rows?status=conflict",
            import["id"]
        ))
        .await;
    assert_eq!(rows["items"][0]["conflicts"][0]["kind"], "location-differs");
    assert_eq!(rows["items"][1]["conflicts"][0]["column"], 2);
    assert_eq!(apply(&server, &import, json!({})).await.0, 409);
    let how = json!({ "skip_conflicts": true, "believe_locations": true });
    assert_eq!(apply(&server, &import, how).await.0, 200);
    let assets = server.read("/assets").await;
    let tags: Vec<_> = assets["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| &a["tag"])
        .collect();
    assert_eq!(tags, ["A-1", "A-3"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused_with_line_and_column() {
    let server = Server::start().await;
    let body = json!({ "text": "tag,serial\nA-1,7\nA-2\n" });
    let (status, answer) = server
        .send(Role::Biomed, Method::POST, "/assets/imports", &body)
        .await;
    assert_eq!((status, &answer["errors"][0]["line"]), (422, &json!(3)));
    assert_eq!(answer["errors"][0]["column"], 1);
    let (status, _) = server
        .send(Role::Viewer, Method::POST, "/assets/imports", &body)
        .await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn the_longest_list_is_taken_in_and_survives_a_crash() {
    let mut server = Server::start().await;
    server.stage().devices = vec![device(1)];
    let mut text = "tag,maker,serial\n".to_owned();
    for number in 0..20_000 {
        text.push_str(&format!("A-{number:05},Example,SN{number}\n"));
    }
    let import = upload(&server, &text).await;
    assert_eq!(
        (&import["rows"], &import["new"]),
        (&json!(20_000), &json!(20_000))
    );
    assert_eq!(apply(&server, &import, json!({})).await.0, 200);
    server.crash().await;
    let last = server
        .read("/assets?sort=tag&order=descending&limit=1")
        .await;
    assert_eq!(last["items"][0]["tag"], "A-19999");
}

#[tokio::test]
async fn the_list_and_what_is_seen_are_compared_both_ways() {
    let server = Server::start().await;
    {
        let mut devices: Vec<_> = (1..=4).map(device).collect();
        let day_us = 86_400_000_000;
        devices[1].last_seen_us -= 40 * day_us;
        devices[1].first_seen_us -= 50 * day_us;
        for device in &mut devices[2..] {
            let identity = device.identity.as_mut().expect("looked at");
            identity.asset_tags = vec!["Tag-7".to_owned()];
        }
        server.stage().devices = devices;
    }
    let all = |list: &Json| list["items"].as_array().map(Vec::len) == Some(4);
    server.read_until("/devices", all).await;
    let first = format!("/devices/{FIRST}");
    assert_eq!(
        change(&server, Method::PATCH, &first, 1, json!({ "bed": "1" }))
            .await
            .0,
        200
    );
    for (id, key) in [(1, FIRST), (2, SECOND)] {
        let new = json!({ "tag": format!("A-{id}"), "location": { "bed": "2" } });
        create(&server, &new).await;
        let path = format!("/assets/{id}/devices/{key}");
        assert_eq!(
            change(&server, Method::PUT, &path, 1, json!({})).await.0,
            200
        );
    }
    let mut found = Vec::new();
    let mut path = "/reconciliation?limit=2".to_owned();
    loop {
        let page = server.read(&path).await;
        found.extend(page["items"].as_array().expect("a list").clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/reconciliation?limit=2&cursor={cursor}");
    }
    let kinds: Vec<_> = found
        .iter()
        .map(|finding| finding["kind"].as_str().expect("a kind"))
        .collect();
    let listed = [
        "seen-not-listed",
        "seen-not-listed",
        "listed-not-seen",
        "tag-twice",
        "location-differs",
    ];
    assert_eq!(kinds, listed, "{found:#?}");
    assert_eq!(found[2]["asset"]["tag"], "A-2");
    assert_eq!(
        (
            &found[3]["tag"],
            found[3]["devices"].as_array().map(Vec::len)
        ),
        (&json!("Tag-7"), Some(2))
    );
    assert_eq!(
        found[4]["differs"],
        json!([{ "field": "bed", "device": "1", "asset": "2" }])
    );
    let longer = server
        .read("/reconciliation?kind=listed-not-seen&days=60")
        .await;
    assert_eq!(longer["items"], json!([]));
}
