use crate::support::{Exchange, app};

#[tokio::test]
async fn every_socket_is_told_the_number_whenever_it_changes() {
    let app = app("counter");
    let mut first = Exchange::open(&app, "/").await;
    assert_eq!(first.text().await, "1");
    let mut second = Exchange::open(&app, "/").await;
    assert_eq!(second.text().await, "2");
    assert_eq!(first.text().await, "2");

    second.disconnect();
    assert_eq!(first.text().await, "1");
    second.ended().await.unwrap();
}

#[tokio::test]
async fn a_slow_socket_holds_up_nobody_and_counts_until_it_is_gone() {
    let app = app("counter");
    let mut slow = Exchange::open(&app, "/").await;
    assert_eq!(slow.text().await, "1");
    slow.stall();

    let mut quick = Exchange::open(&app, "/").await;
    assert_eq!(quick.text().await, "2");
    let third = Exchange::open(&app, "/").await;
    assert_eq!(quick.text().await, "3");

    slow.disconnect();
    assert_eq!(quick.text().await, "2");
    slow.ended().await.unwrap();
    third.disconnect();
    assert_eq!(quick.text().await, "1");
}

#[tokio::test]
async fn counters_do_not_know_each_other() {
    let (one, other) = (app("counter"), app("counter"));
    let mut here = Exchange::open(&one, "/").await;
    let mut there = Exchange::open(&other, "/").await;
    assert_eq!(here.text().await, "1");
    assert_eq!(there.text().await, "1");
}
