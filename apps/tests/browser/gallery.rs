use callgate_apps::Settings;
use serde_json::json;

use crate::{Browser, TestServer, test_server};

#[tokio::test]
async fn its_live_parts_count_and_echo() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    let count = "#counter output";
    browser.until_shown(count, &["1"]).await;
    browser.click("#counter [data-do=open]").await;
    browser.until_shown(count, &["2"]).await;
    browser.click("#counter [data-do=close]").await;
    browser.until_shown(count, &["1"]).await;

    browser.type_into("#echo input", "Hello, <i>echo</i>").await;
    browser.click("#echo form button").await;
    browser
        .until_shown("#echo output", &["Hello, <i>echo</i>"])
        .await;
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn its_links_lead_to_the_applications() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    let links = browser
        .execute("return [...document.querySelectorAll('article a')].map((link) => link.href)")
        .await;
    let links: Vec<String> = serde_json::from_value(links).unwrap();
    assert!(links.contains(&server.url("/chat/room/")), "{links:?}");
    for link in links {
        let status = browser
            .execute(&format!(
                "return fetch({}).then((response) => response.status)",
                json!(link)
            ))
            .await;
        assert_eq!(status, 200, "{link}");
    }
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn its_page_shows_which_applications_are_unavailable() {
    let mut settings = Settings::default();
    settings.database_url = Some("sqlite:/no/such/file".parse().unwrap());
    let server = TestServer::app(test_server::app("gallery", &settings));
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    let names = "article.unavailable h3";
    let shown = [
        "brands\nUnavailable\nSource",
        "brands-blocking\nUnavailable\nSource",
    ];
    browser.until_shown(names, &shown).await;
    let reason = "It could not start. The log of the server has the reason.";
    browser
        .until_shown("article.unavailable p:last-child", &[reason, reason])
        .await;
    // The live parts of available applications work.
    browser.until_shown("#counter output", &["1"]).await;
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn a_card_shows_the_messages_of_its_application_as_they_pass() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    // The feed is open when the first messages, of the card's own WebSocket, are there.
    browser
        .until_shown("#counter .said h4", &["Messages, as they pass"])
        .await;
    browser
        .execute("return fetch('hello/').then((response) => response.status)")
        .await;
    browser
        .until_shown(
            "#hello .said li :last-child",
            &[
                "http GET /hello/",
                "http.response.start 200",
                "http.response.body 14 B",
                "returned",
            ],
        )
        .await;
    browser
        .until_shown("#hello .said b", &["scope", "send", "send", "end"])
        .await;
    drop(browser);
    server.stop().await;
}
