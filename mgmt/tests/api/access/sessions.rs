//! Sessions of people.

use reqwest::{Method, StatusCode};
use serde_json::json;
use wardline_mgmt::auth::{Role, user};
use wardline_mgmt::time::Time;

use super::{Browser, PASSWORD, cookie, log_in, make_user};
use crate::support::{Server, problem};

#[tokio::test]
async fn a_session_begins_with_a_cookie_and_ends_with_logging_out() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Biomed).await;
    let answer = log_in(&server, "anna", PASSWORD).await;
    let set = answer.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .to_owned();
    for attribute in [
        "__Host-wardline=",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
    ] {
        assert!(set.contains(attribute), "{set} lacks {attribute}");
    }
    let browser = Browser::with_cookie(&server, cookie(&answer)).await;
    let me = browser.read("/me").await;
    assert_eq!(
        (&me["who"], &me["role"]),
        (&json!("user:anna"), &json!("biomed"))
    );
    let logged_out = browser.request(Method::DELETE, "/session").send().await;
    let logged_out = logged_out.expect("an answer");
    assert_eq!(logged_out.status(), StatusCode::NO_CONTENT);
    let taken = logged_out.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(taken.contains("Max-Age=0"), "{taken}");
    assert_eq!(
        browser.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_change_must_come_from_a_page_of_ours() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Administrator).await;
    let browser = Browser::log_in(&server, "anna").await;
    let other = Browser::log_in(&server, "anna").await;
    let remove = |headers: &[(&str, &str)]| {
        let url = format!("{}/api/v1/sessions/4711", browser.base);
        let mut request = browser.client.delete(url).header("Cookie", &browser.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send()
    };
    let same = ("Sec-Fetch-Site", "same-origin");
    let csrf = ("X-Wardline-CSRF", browser.csrf.as_str());
    let foreign = ("X-Wardline-CSRF", other.csrf.as_str());
    for headers in [
        vec![],
        vec![same],
        vec![csrf],
        vec![same, foreign],
        vec![("Sec-Fetch-Site", "cross-site"), csrf],
        vec![("Sec-Fetch-Site", "same-site"), csrf],
        vec![("Origin", "https://elsewhere.example"), csrf],
    ] {
        let answer = remove(&headers).await.expect("an answer");
        assert_eq!(problem(answer).await.0, 403, "{headers:?}");
    }
    let origin = ("Origin", server.base.as_str());
    for headers in [[same, csrf], [origin, csrf]] {
        let answer = remove(&headers).await.expect("an answer");
        assert_eq!(problem(answer).await.0, 404, "{headers:?}");
    }
}

#[tokio::test]
async fn logging_in_again_takes_the_place_of_the_session_before() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    let before = Browser::log_in(&server, "anna").await;
    let body = json!({ "name": "anna", "password": PASSWORD });
    let again = before.request(Method::POST, "/session").json(&body);
    let again = again.send().await.expect("an answer");
    let again = Browser::with_cookie(&server, cookie(&again)).await;
    assert_ne!(again.cookie, before.cookie);
    assert_eq!(
        before.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(again.status(Method::GET, "/me").await, StatusCode::OK);
}

#[tokio::test]
async fn everybody_sees_and_ends_their_own_sessions_administrators_all() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    make_user(&server, "bert", Role::Viewer).await;
    let (anna, bert) = (
        Browser::log_in(&server, "anna").await,
        Browser::log_in(&server, "bert").await,
    );
    let own = anna.read("/sessions").await;
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&own["items"][0]["user"], &own["items"][0]["current"]),
        (&json!("anna"), &json!(true))
    );
    assert_eq!(anna.read("/sessions?user=bert").await["items"], json!([]));
    let all = server.read("/sessions").await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2));
    let berts = server.read("/sessions?user=bert").await["items"][0]["id"].to_string();
    let path = format!("/sessions/{berts}");
    assert_eq!(
        anna.status(Method::DELETE, &path).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(bert.status(Method::GET, "/me").await, StatusCode::OK);
    let ended = server
        .request(Role::Administrator, Method::DELETE, &path)
        .send()
        .await;
    assert_eq!(ended.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(
        bert.status(Method::GET, "/me").await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_or_has_grown_old() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    let store = server.store().await;
    for column in ["used_us", "created_us"] {
        let browser = Browser::log_in(&server, "anna").await;
        let (minutes, still) = if column == "used_us" {
            (30, 29)
        } else {
            (12 * 60, 12 * 60 - 1)
        };
        for (minutes, expected) in [(still, StatusCode::OK), (minutes, StatusCode::UNAUTHORIZED)] {
            let mut change = store.main.begin().await.expect("a change");
            let set = format!("UPDATE session SET {column} = ?1");
            sqlx::query(sqlx::AssertSqlSafe(set))
                .bind(Time::now().plus_s(-60 * minutes).us())
                .execute(&mut *change)
                .await
                .expect("aged");
            change.commit().await.expect("kept");
            let status = browser.status(Method::GET, "/me").await;
            assert_eq!(status, expected, "{column}, {minutes} minutes ago");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_no_such_user_are_told_the_same() {
    let server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    let mut bodies = Vec::new();
    for name in ["anna", "nobody", "no\u{0} name", ""] {
        let answer = log_in(&server, name, "a wrong password").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        bodies.push(answer.text().await.expect("a body"));
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn wrong_passwords_make_the_next_attempt_wait_also_after_a_crash() {
    let mut server = Server::start().await;
    make_user(&server, "anna", Role::Viewer).await;
    for name in ["anna", "nobody"] {
        let mut statuses = Vec::new();
        for _ in 0..8 {
            let answer = log_in(&server, name, "a wrong password").await;
            let waits = answer.headers().contains_key("retry-after");
            assert_eq!(waits, answer.status() == StatusCode::TOO_MANY_REQUESTS);
            statuses.push(answer.status().as_u16());
        }
        assert!(
            statuses[..5].iter().all(|status| *status == 401),
            "{name}: {statuses:?}"
        );
        assert!(statuses.contains(&429), "{name}: {statuses:?}");
    }
    let store = server.store().await;
    let kept = loop {
        let kept = user::failures(&store.main).await.expect("read");
        if let Some(kept) = kept.first() {
            break kept.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(kept.0 == "anna" && kept.1 >= 5, "{kept:?}");
    // More of them, so that the wait is longer than a restart takes.
    let failures = user::write_failures(&store.main, "anna", 20, Time::now()).await;
    failures.expect("kept");
    store.close().await;
    server.crash().await;
    let answer = log_in(&server, "anna", PASSWORD).await;
    assert_eq!(problem(answer).await, (429, "too-many-requests".to_owned()));
}

#[tokio::test]
async fn nobody_asks_more_than_their_share() {
    let server = Server::start_with("[limits]\nrequests_per_second = 1\n").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let request = server.request(Role::Viewer, Method::GET, "/me");
        statuses.push(request.send().await.expect("an answer").status().as_u16());
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
    let other = server.request(Role::Auditor, Method::GET, "/me");
    assert_eq!(
        other.send().await.expect("an answer").status(),
        StatusCode::OK
    );
}
