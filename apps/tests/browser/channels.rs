use crate::redis::RedisServer;
use crate::{Browser, TestServer, test_server};

#[tokio::test]
async fn the_pages_of_two_servers_are_one_room_and_stay_so_when_redis_has_lost_its_data() {
    let mut redis = RedisServer::start();
    let servers = [(); 2].map(|()| TestServer::app(test_server::app("gallery", &redis.settings())));
    let browser = Browser::start().await;
    browser.open(&servers[0].url("/chat/room/")).await;
    browser
        .until_shown("#status", &["Nobody else is here."])
        .await;
    let first = browser.tab().await;
    let second = browser.open_tab(&servers[1].url("/chat/room/")).await;
    browser.until_shown("#guests li", &["Guest 1", "You"]).await;
    browser.switch_to(&first).await;
    browser.until_shown("#guests li", &["You", "Guest 2"]).await;

    redis.kill();
    redis.restart();
    let missed = "You may have missed some lines.";
    let seen = ["You are guest 1.", "Guest 2 joined.", missed];
    browser.until_shown("#messages li", &seen).await;
    browser.switch_to(&second).await;
    let seen = ["You are guest 2.", missed];
    browser.until_shown("#messages li", &seen).await;
    browser.type_into("#message", "Hello").await;
    browser.click("#send").await;
    // Nobody has left or joined for the pages.
    let seen = ["You are guest 2.", missed, "Hello"];
    browser.until_shown("#messages li", &seen).await;
    browser.switch_to(&first).await;
    let seen = [
        "You are guest 1.",
        "Guest 2 joined.",
        missed,
        "Guest 2\nHello",
    ];
    browser.until_shown("#messages li", &seen).await;
    browser.until_shown("#guests li", &["You", "Guest 2"]).await;
    browser.until_shown("#status", &["2 are here."]).await;
    drop(browser);
    for server in servers {
        server.stop().await;
    }
}
