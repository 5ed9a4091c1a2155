use jiff::Zoned;
use serde_json::Value;

use callgate_toolkit::test_client::ResponseExt;

use crate::client;

#[tokio::test]
async fn tells_month_day_and_local_time_as_json() {
    // Again if midnight passed meanwhile.
    let (before, response, after) = loop {
        let before = Zoned::now();
        let response = client("time").get("/").send().await.unwrap();
        let after = Zoned::now();
        if before.date() == after.date() {
            break (before, response, after);
        }
    };
    assert_eq!(response.headers()["content-type"], "application/json");
    let now: Value = response.json().unwrap();
    assert_eq!(now["month"], before.month());
    assert_eq!(now["day"], before.day());
    let time = now["time"].as_str().unwrap();
    let [earliest, latest] = [before, after].map(|now| format!("{:.6}", now.time()));
    assert!(time >= earliest.as_str() && time <= latest.as_str());
}
