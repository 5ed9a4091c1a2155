//! A service of tonic on the reference server, and a client of tonic: HTTP/2, with trailer fields.

use std::pin::Pin;

use callgate_tower::ServiceApp;
use futures_util::Stream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{Server, within};

/// Knows the service `known` only, and watches it three times.
struct Checker;

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Checker {
    type WatchStream = Statuses;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match &*request.into_inner().service {
            "known" => Ok(Response::new(HealthCheckResponse { status: 1 })),
            other => Err(Status::not_found(format!("there is no `{other}`"))),
        }
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Statuses>, Status> {
        let statuses = [
            Ok(HealthCheckResponse { status: 1 }),
            Ok(HealthCheckResponse { status: 2 }),
            Err(Status::resource_exhausted("seen enough")),
        ];
        Ok(Response::new(Box::pin(futures_util::stream::iter(
            statuses,
        ))))
    }
}

async fn serve() -> (Server, HealthClient<Channel>) {
    let server = Server::start(ServiceApp::new(HealthServer::new(Checker)));
    let endpoint = Endpoint::try_from(format!("http://{}", server.address)).unwrap();
    let channel = within(endpoint.connect()).await.unwrap();
    (server, HealthClient::new(channel))
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

#[tokio::test]
async fn a_call_is_answered_and_its_status_comes_in_the_trailer_fields() {
    let (server, mut client) = serve().await;
    let response = within(client.check(service("known"))).await.unwrap();
    assert_eq!(response.into_inner().status, 1);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_call_that_fails_has_its_status() {
    let (server, mut client) = serve().await;
    let status = within(client.check(service("other"))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "there is no `other`");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_stream_that_fails_has_its_messages_first_and_its_status_in_the_trailer_fields() {
    let (server, mut client) = serve().await;
    let response = within(client.watch(service("known"))).await.unwrap();
    let mut statuses = response.into_inner();
    for expected in [1, 2] {
        let message = within(statuses.message()).await.unwrap().unwrap();
        assert_eq!(message.status, expected);
    }
    let status = within(statuses.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "seen enough");
    drop((client, statuses));
    server.finish().await;
}
