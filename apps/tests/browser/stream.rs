use std::fs;

use serde_json::json;

use crate::{Browser, TestServer};

/// Returns the newest line of the events, as soon as there is one.
const NEWEST_EVENT: &str = "
    const shown = document.getElementById('events');
    return new Promise((resolve) => {
      const look = () => {
        const newest = shown.value.split('\\n').at(-1);
        if (newest.startsWith('This is event ')) resolve(newest);
      };
      new MutationObserver(look).observe(shown, { childList: true, characterData: true, subtree: true });
      look();
    });
";

/// Returns the number of bytes of the smallest download of the form.
const DOWNLOADED: &str = "
    const form = document.querySelector('form[action=download]');
    form.bytes.selectedIndex = 0;
    const query = new URLSearchParams(new FormData(form));
    return fetch(`${form.action}?${query}`)
      .then((response) => response.arrayBuffer())
      .then((content) => content.byteLength);
";

#[tokio::test]
async fn its_page_uploads_downloads_and_shows_events() {
    let server = TestServer::start("stream");
    let browser = Browser::start().await;
    browser.open(&server.url("/")).await;

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("five");
    fs::write(&file, "12345").unwrap();
    browser
        .type_into("#upload input", file.to_str().unwrap())
        .await;
    browser.click("#upload button").await;
    browser
        .until_shown("#counted", &["The server has counted 5 bytes."])
        .await;

    assert_eq!(browser.execute(DOWNLOADED).await, json!(1_000_000));

    let newest = browser.execute(NEWEST_EVENT).await;
    assert!(newest.is_string(), "{newest}");
    drop(browser);
    server.stop().await;
}
