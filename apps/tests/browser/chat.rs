use serde_json::json;

use crate::{Browser, TestServer};

async fn say(browser: &Browser, text: &str) {
    browser.type_into("#message", text).await;
    browser.until_shown("#send:enabled", &["Send"]).await;
    browser.click("#send").await;
}

#[tokio::test]
async fn a_message_and_its_answer_are_added_to_the_list() {
    // `chat` alone, and in the gallery.
    for (name, path) in [("chat", "/"), ("gallery", "/chat/")] {
        let server = TestServer::start(name);
        let browser = Browser::start().await;
        browser.open(&server.url(path)).await;
        say(&browser, "Hello").await;
        let first = ["Hello", "Message received: Hello"];
        browser.until_shown("#messages li", &first).await;
        say(&browser, "again").await;
        let both = [&first[..], &["again", "Message received: again"]].concat();
        browser.until_shown("#messages li", &both).await;
        drop(browser);
        server.stop().await;
    }
}

#[tokio::test]
async fn all_guests_of_a_room_see_each_message() {
    for (name, path) in [("chat", "/room/"), ("gallery", "/chat/room/")] {
        let server = TestServer::start(name);
        let browser = Browser::start().await;
        browser.open(&server.url(path)).await;
        let welcome = "You are guest 1.";
        browser.until_shown("#messages li", &[welcome]).await;
        browser
            .until_shown("#status", &["Nobody else is here."])
            .await;
        let first = browser.tab().await;

        let second = browser.open_tab(&server.url(path)).await;
        say(&browser, "Hello from two").await;
        let seen = ["You are guest 2.", "Hello from two"];
        browser.until_shown("#messages li", &seen).await;

        browser.switch_to(&first).await;
        let mut seen = vec![welcome, "Guest 2 joined.", "Guest 2\nHello from two"];
        browser.until_shown("#messages li", &seen).await;
        browser.until_shown("#status", &["2 are here."]).await;
        say(&browser, "Hello from one").await;

        browser.switch_to(&second).await;
        let answered = [
            "You are guest 2.",
            "Hello from two",
            "Guest 1\nHello from one",
        ];
        browser.until_shown("#messages li", &answered).await;
        browser.close_tab().await;

        browser.switch_to(&first).await;
        seen.extend(["Hello from one", "Guest 2 left."]);
        browser.until_shown("#messages li", &seen).await;
        browser
            .until_shown("#status", &["Nobody else is here."])
            .await;
        drop(browser);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_message_is_shown_as_text_and_never_as_html() {
    let text = "<i>x</i> <img src=x onerror=\"document.title='run'\"> &lt;";
    let server = TestServer::start("chat");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    say(&browser, text).await;
    let answer = format!("Message received: {text}");
    browser.until_shown("#messages li", &[text, &answer]).await;

    browser.open(&server.url("/room/")).await;
    browser
        .until_shown("#messages li", &["You are guest 1."])
        .await;
    let listener = browser.tab().await;
    browser.open_tab(&server.url("/room/")).await;
    say(&browser, text).await;
    browser.switch_to(&listener).await;
    let seen = format!("Guest 2\n{text}");
    let seen = ["You are guest 1.", "Guest 2 joined.", &seen];
    browser.until_shown("#messages li", &seen).await;
    let elements = browser
        .execute("return document.querySelectorAll('#messages li :not(b)').length")
        .await;
    assert_eq!(elements, json!(0));
    assert_eq!(
        browser.execute("return document.title").await,
        json!("Callgate: chat")
    );
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn a_page_whose_message_is_too_long_tells_why_it_was_closed_and_connects_again() {
    let server = TestServer::start("chat");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    browser.until_shown("#send:enabled", &["Send"]).await;
    // The page does not let a user type this much.
    let script = "document.getElementById('message').value = 'é'.repeat(2049)";
    browser.execute(script).await;
    browser.click("#send").await;
    let notice = "The server closed: a message has at most 4096 bytes.";
    browser.until_shown("#messages .notice", &[notice]).await;
    say(&browser, "Hello").await;
    let answer = "#messages li:last-child:not(.own)";
    browser
        .until_shown(answer, &["Message received: Hello"])
        .await;
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn the_modes_link_to_each_other() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    // The path without the slash at its end.
    browser.open(&server.url("/chat")).await;
    for (name, path) in [
        ("Room", "/chat/room/"),
        ("Answers", "/chat/"),
        ("Room", "/chat/room/"),
    ] {
        let selector = "nav a:not([aria-current])";
        browser.until_shown(selector, &[name]).await;
        browser.click(selector).await;
        let other = if name == "Room" { "Answers" } else { "Room" };
        browser.until_shown(selector, &[other]).await;
        let here = browser.execute("return location.pathname").await;
        assert_eq!(here, json!(path));
    }
    drop(browser);
    server.stop().await;
}
