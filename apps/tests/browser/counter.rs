use crate::{Browser, TestServer};

#[tokio::test]
async fn each_tab_shows_how_many_are_open() {
    for (name, path) in [("counter", "/"), ("gallery", "/counter/")] {
        let server = TestServer::start(name);
        let browser = Browser::start().await;
        browser.open(&server.url(path)).await;
        browser.until_shown("#count", &["1"]).await;
        let first = browser.tab().await;

        let second = browser.open_tab(&server.url(path)).await;
        browser.until_shown("#count", &["2"]).await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["2"]).await;

        browser.switch_to(&second).await;
        browser.close_tab().await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["1"]).await;
        drop(browser);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_page_that_was_left_does_not_count_until_the_browser_goes_back() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    browser.open(&server.url("/counter/")).await;
    let first = browser.tab().await;
    for (other, shown) in [("/counter/", "#count"), ("/", "#counter output")] {
        let second = browser.open_tab(&server.url(other)).await;
        browser.until_shown(shown, &["2"]).await;
        browser.open(&server.url("/hello/")).await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["1"]).await;

        browser.switch_to(&second).await;
        browser.back().await;
        browser.until_shown(shown, &["2"]).await;
        browser.close_tab().await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["1"]).await;
    }
    drop(browser);
    server.stop().await;
}

#[tokio::test]
async fn a_page_shows_that_its_server_is_gone() {
    let server = TestServer::start("counter");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;
    browser.until_shown("#count", &["1"]).await;
    server.stop().await;
    browser.until_shown("#count", &["–"]).await;
}
