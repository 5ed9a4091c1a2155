use serde_json::json;

use crate::{Browser, Served};

#[tokio::test]
async fn its_live_parts_count_and_echo() {
    let served = Served::start("gallery");
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
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
    served.stop().await;
}

#[tokio::test]
async fn its_links_lead_to_the_applications() {
    let served = Served::start("gallery");
    let browser = Browser::start().await;
    browser.open(&served.url("/")).await;
    let links = browser
        .execute("return [...document.querySelectorAll('article a')].map((link) => link.href)")
        .await;
    let links: Vec<String> = serde_json::from_value(links).unwrap();
    assert!(links.contains(&served.url("/chat/room/")), "{links:?}");
    for link in links {
        let status = browser
            .execute(&format!(
                "return fetch({}).then((response) => response.status)",
                json!(link)
            ))
            .await;
        // Some need a setting, and say so.
        assert!(status == 200 || status == 503, "{link}: {status}");
    }
    drop(browser);
    served.stop().await;
}
