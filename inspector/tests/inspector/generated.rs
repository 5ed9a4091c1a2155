//! What `test_code` writes. `CALLGATE_BLESS=1 cargo test -p callgate-inspector` writes this file.

mod exchange_1 {
    use super::super::app;
    use callgate_toolkit::test_client::TestClient;

    #[tokio::test]
    async fn exchange_1() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let response = client
            .get("/?a=b")
            .header("x-quote", r#"a "b" \c"#)
            .send()
            .await?;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        client.shutdown().await?;
        Ok(())
    }
}

mod exchange_2 {
    use super::super::app;
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn exchange_2() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let response = client
            .post("/%C3%A9")
            .body("two\nlines\ttab\"#")
            .send()
            .await?;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(response.text(), "two\nlines\ttab\"#");
        client.shutdown().await?;
        Ok(())
    }
}

mod exchange_3 {
    use super::super::app;
    use callgate_toolkit::test_client::TestClient;

    #[tokio::test]
    async fn exchange_3() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let response = client.get("/octets").send().await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.body().as_ref(), &b"\xff\x00\""[..]);
        client.shutdown().await?;
        Ok(())
    }
}

mod exchange_4 {
    use super::super::app;
    use callgate_toolkit::test_client::TestClient;

    #[tokio::test]
    async fn exchange_4() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let response = client.head("/").send().await?;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        client.shutdown().await?;
        Ok(())
    }
}

mod exchange_5 {
    use super::super::app;
    use callgate::Message;
    use callgate_toolkit::test_client::TestClient;

    #[tokio::test]
    async fn exchange_5() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let mut socket = client
            .websocket("/socket")
            .subprotocols(["chat"])
            .connect()
            .await?;
        socket.send(Message::binary(&b"\x00\xff"[..])).await?;
        assert_eq!(socket.receive().await?, Message::binary(&b"\x00\xff"[..]));
        socket.send(Message::text("bye")).await?;
        assert_eq!(socket.receive().await?, Message::text("bye"));
        assert_eq!(socket.closed().await?.code, 4000);
        drop(socket);
        client.shutdown().await?;
        Ok(())
    }
}

mod exchange_6 {
    use super::super::app;
    use callgate_toolkit::test_client::TestClient;

    #[tokio::test]
    async fn exchange_6() -> Result<(), Box<dyn std::error::Error>> {
        let client = TestClient::start(app).await?;
        let refused = client.websocket("/refused").connect().await;
        assert!(refused.is_err());
        client.shutdown().await?;
        Ok(())
    }
}
