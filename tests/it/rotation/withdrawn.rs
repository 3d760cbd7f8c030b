//! What a connection is still told that nobody vouches for any more.

use std::pin::pin;

use bytes::Bytes;
use concordat::tls;
use h2::client::SendRequest;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;

/// Asks for the node's health, which takes no officer.
fn ask(sender: &mut SendRequest<Bytes>, path: &str) -> h2::client::ResponseFuture {
    let request = http::Request::post(format!("http://localhost/{path}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    response
}

const PATHS: [&str; 2] = ["grpc.health.v1.Health/Check", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"];

on_both_databases! {
    async fn health_and_reflection_say_nothing_to_it(world: World) {
        world = world.with_lists().await;
        let issued = world.authority_of("ncsc").issue_client("stolen", real_now()).unwrap();
        let roots = tls::certificates_from_file(&world.workspace.folder().join("roots.pem")).unwrap();
        let credentials = Credentials::from_pem(&issued.chain_pem, &issued.key_pem).unwrap();
        let connector = TlsConnector::from(tls::client_config(roots, Some(credentials)).unwrap());
        let socket = TcpStream::connect(world.node.address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let mut connection = pin!(connection);
        for path in PATHS {
            let answer = ask(&mut sender, path);
            let answered = tokio::select! {
                answer = answer => answer.unwrap(),
                _ = connection.as_mut() => panic!("the connection ended"),
            };
            assert!(!answered.headers().contains_key("grpc-status"), "{path}: {answered:?}");
        }
        world.publish_list(&[&issued], 2);
        assert_eq!(world.looked().ended, 1);
        // It has not read that it is to leave: what it asks is on its way before that.
        let answers = PATHS.map(|path| ask(&mut sender, path));
        for (path, answer) in PATHS.into_iter().zip(answers) {
            let answered = tokio::select! {
                biased;
                answer = answer => answer.ok(),
                _ = connection.as_mut() => None,
            };
            let status = answered.as_ref().map(|answered| answered.headers()["grpc-status"].to_str().unwrap().to_owned());
            assert!(status.as_ref().is_none_or(|status| status == "16"), "{path}: {answered:?}");
        }
    }
}
