use crate::{Browser, Served};

#[tokio::test]
async fn each_tab_shows_how_many_are_open() {
    for (name, path) in [("counter", "/"), ("gallery", "/counter/")] {
        let served = Served::start(name);
        let browser = Browser::start().await;
        browser.open(&served.url(path)).await;
        browser.until_shown("#count", &["1"]).await;
        let first = browser.tab().await;

        let second = browser.open_tab(&served.url(path)).await;
        browser.until_shown("#count", &["2"]).await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["2"]).await;

        browser.switch_to(&second).await;
        browser.close_tab().await;
        browser.switch_to(&first).await;
        browser.until_shown("#count", &["1"]).await;
        drop(browser);
        served.stop().await;
    }
}

#[tokio::test]
async fn a_page_that_was_left_does_not_count_until_one_comes_back() {
    let served = Served::start("gallery");
    let browser = Browser::start().await;
    browser.open(&served.url("/counter/")).await;
    let first = browser.tab().await;
    for (other, shown) in [("/counter/", "#count"), ("/", "#counter output")] {
        let second = browser.open_tab(&served.url(other)).await;
        browser.until_shown(shown, &["2"]).await;
        browser.open(&served.url("/hello/")).await;
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
    served.stop().await;
}

#[tokio::test]
async fn a_page_that_has_lost_its_server_says_so() {
    let served = Served::start("counter");
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    browser.until_shown("#count", &["1"]).await;
    served.stop().await;
    browser.until_shown("#count", &["–"]).await;
}
