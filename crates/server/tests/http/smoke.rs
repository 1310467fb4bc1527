use crate::harness::*;

#[tokio::test]
async fn smoke() {
    let server = TestServer::start().await;
    let tokens = server.tokens(&server.world.web).await;
    println!("{tokens}");
    let tokens = server.tokens(&server.world.native).await;
    println!("{tokens}");
}
