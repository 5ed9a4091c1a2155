use jiff::Zoned;
use serde_json::Value;

use crate::support::{app, get};

#[tokio::test]
async fn tells_month_day_and_local_time_as_json() {
    // Once more if it was midnight just then.
    let (before, start, content, after) = loop {
        let before = Zoned::now();
        let (start, content) = get(&app("time"), "/").await;
        let after = Zoned::now();
        if before.date() == after.date() {
            break (before, start, content, after);
        }
    };
    assert_eq!(start.headers["content-type"], "application/json");
    let now: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(now["month"], before.month());
    assert_eq!(now["day"], before.day());
    let time = now["time"].as_str().unwrap();
    let [earliest, latest] = [before, after].map(|now| format!("{:.6}", now.time()));
    assert!(time >= earliest.as_str() && time <= latest.as_str());
}
