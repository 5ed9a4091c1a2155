use crate::{Browser, TestServer};

#[tokio::test]
async fn its_page_draws_the_chosen_marketplaces_of_the_stand_in() {
    let server = TestServer::start("gallery");
    let browser = Browser::start().await;
    browser.open(&server.url("/chart/")).await;
    let counts = "#bars b";
    browser
        .until_shown(counts, &["84", "131", "57", "22", "103"])
        .await;
    let width = "return document.querySelectorAll('#bars i')[0].style.width";
    // The longest bar has the whole width.
    assert_eq!(browser.execute(width).await, "64.1221%");
    browser.click("fieldset label:nth-child(2)").await;
    browser
        .until_shown("#bars span", &["Austria", "Canada", "Denmark", "Egypt"])
        .await;
    // The choice is kept by the stand-in.
    browser.open(&server.url("/chart/")).await;
    browser
        .until_shown(counts, &["84", "57", "22", "103"])
        .await;
    drop(browser);
    server.stop().await;
}
