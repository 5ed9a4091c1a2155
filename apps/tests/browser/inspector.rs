use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use callgate::{App, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use callgate_inspector::{Inspector, InspectorPage, Token};
use callgate_toolkit::{read, respond};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Browser, TestServer};

const TOKEN: &str = "a-token-of-a-test";

/// Counts at `/count`, echoes markup at `/echo`, and breaks a rule at `/broken`.
fn app() -> impl App {
    let count = Arc::new(AtomicU32::new(0));
    move |scope: Scope, mut receiver: Receiver, sender: Sender| {
        let count = count.clone();
        async move {
            let scope = scope.into_http()?;
            match &*scope.path() {
                "/count" => {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    respond::text(format!("number {number}"))
                        .send(&sender)
                        .await
                }
                "/broken" => {
                    sender.send(HttpResponseStart::ok()).await?;
                    sender.send(HttpResponseBody::last("done")).await?;
                    let _ = sender.send(HttpResponseBody::end()).await;
                    Ok(())
                }
                _ => {
                    let content = read::text(&mut receiver, 1024).await?;
                    respond::text(content).send(&sender).await
                }
            }
        }
    }
}

/// An application, the page that inspects it, and a browser with that page.
struct Inspection {
    app: TestServer,
    page: TestServer,
    browser: Browser,
}

impl Inspection {
    async fn start() -> Self {
        let inspector = Inspector::new();
        let app = TestServer::app(inspector.inspect(app()));
        let token = Token::new(TOKEN).unwrap();
        let page = TestServer::app(InspectorPage::new(inspector, token));
        let browser = Browser::start().await;
        browser.open(&page.url(&format!("/#token={TOKEN}"))).await;
        browser.until_shown("#state", &["Live"]).await;
        Self { app, page, browser }
    }

    /// Makes a request, and waits until the list shows these paths.
    async fn request(&self, path: &str, content: &'static str, shown: &[&str]) {
        let address = self.app.url("");
        let address = address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = content.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n\
             {content}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        self.browser
            .until_shown("[data-kind=http] .path", shown)
            .await;
    }

    async fn stop(self) {
        self.stop_after(&[]).await;
    }

    /// Stops, after messages of the application that have broken these rules.
    async fn stop_after(self, broken: &[&str]) {
        drop(self.browser);
        self.page.stop().await;
        self.app.stop_after(broken).await;
    }
}

#[tokio::test]
async fn exchanges_appear_with_their_messages() {
    let inspection = Inspection::start().await;
    let browser = &inspection.browser;
    let path = browser.execute("return location.href").await;
    assert!(!path.as_str().unwrap().contains(TOKEN), "{path}");

    let markup = "<img src=x onerror=alert(1)>";
    inspection
        .request("/echo?a=%3Cb%3E", markup, &["/echo?a=%3Cb%3E"])
        .await;
    browser
        .until_shown("[data-kind=http] .status", &["200"])
        .await;
    browser.click("[data-kind=http] button").await;
    let events = [
        "http",
        "http.request",
        "http.response.start",
        "http.response.body",
        "returned",
    ];
    browser.until_shown("#entries code", &events).await;
    browser
        .until_shown("#entries .content", &[markup, markup])
        .await;
    inspection.stop().await;
}

#[tokio::test]
async fn a_broken_rule_is_shown_with_its_document() {
    let inspection = Inspection::start().await;
    let browser = &inspection.browser;
    inspection.request("/broken", "", &["/broken"]).await;
    inspection.request("/echo", "", &["/echo", "/broken"]).await;
    browser
        .until_shown("#rows .broken", &["1 rule broken"])
        .await;
    browser.click("#filters [name=broken]").await;
    browser.click("#rows li:not([hidden]) button").await;
    browser
        .until_shown("#entries .rule code", &["HTTP-16"])
        .await;
    let address = browser
        .execute("return document.querySelector('.rule a').href")
        .await;
    assert!(address.as_str().unwrap().ends_with("#HTTP-16"), "{address}");
    inspection.stop_after(&["HTTP-16"]).await;
}

#[tokio::test]
async fn the_list_is_filtered_paused_and_cleared() {
    let inspection = Inspection::start().await;
    let browser = &inspection.browser;
    inspection.request("/count", "", &["/count"]).await;
    inspection.request("/echo", "", &["/echo", "/count"]).await;
    browser.type_into("#filters [name=text]", "ECHO").await;
    let visible = "#rows [data-kind=http]:not([hidden]) .path";
    browser.until_shown(visible, &["/echo"]).await;
    browser.type_into("#filters [name=text]", "x").await;
    browser
        .until_shown("#empty", &["No exchange passes the filters."])
        .await;
    browser
        .type_into(
            "#filters [name=text]",
            "\u{e003}\u{e003}\u{e003}\u{e003}\u{e003}",
        )
        .await;
    browser.until_shown(visible, &["/echo", "/count"]).await;

    browser.click("#pause").await;
    inspection.request("/later", "", &["/echo", "/count"]).await;
    browser.until_shown("#pause", &["Continue (1)"]).await;
    browser.click("#pause").await;
    browser
        .until_shown(visible, &["/later", "/echo", "/count"])
        .await;
    browser.click("#clear").await;
    browser.until_shown(visible, &[]).await;
    inspection.stop().await;
}

#[tokio::test]
async fn a_replay_shows_what_has_changed() {
    let inspection = Inspection::start().await;
    let browser = &inspection.browser;
    inspection.request("/count", "", &["/count"]).await;
    browser.click("[data-kind=http] button").await;
    browser
        .until_shown("#entries .content", &["number 0"])
        .await;
    browser.click(".tools button:last-of-type").await;
    browser.click("#outcome button").await;
    let values = ["\"number 0\" (8 bytes)", "\"number 1\" (8 bytes)"];
    browser.until_shown("#outcome.differs dd", &values).await;
    let notes = "[data-kind=http] .notes:not(:empty)";
    browser.until_shown(notes, &["replay of 2"]).await;
    inspection.stop().await;
}

#[tokio::test]
async fn without_the_token_nothing_is_shown() {
    let inspection = Inspection::start().await;
    let browser = &inspection.browser;
    inspection.request("/count", "", &["/count"]).await;
    // A change of the fragment alone loads no page.
    browser.open("about:blank").await;
    let other = inspection.page.url("/#token=another-token-than-this");
    browser.open(&other).await;
    browser.until_shown("#state", &["Not connected"]).await;
    browser.until_shown("[data-kind=http] .path", &[]).await;
    browser.type_into("#secret", TOKEN).await;
    browser.click("#token button").await;
    browser.until_shown("#state", &["Live"]).await;
    inspection.stop().await;
}
