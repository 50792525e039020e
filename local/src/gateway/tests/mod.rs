//! Over real sockets, with real functions.

mod authorizers;
mod cross_origin;
mod limits;
mod requests;
mod responses;

use axum::routing::get;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;
use crate::lambda::Options;
use crate::lambda::test_function::{launch, options};

struct Api {
    url: String,
    client: Client,
    functions: Functions,
    stop: tokio::sync::oneshot::Sender<()>,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

/// `GET /a` for a public route, `GET /a key` for one behind the authorizer `key`.
async fn start(api: HttpApi, routes: &[&str]) -> Api {
    start_with(api, routes, options(), TIMEOUT).await
}

async fn start_with(api: HttpApi, routes: &[&str], options: Options, timeout: Duration) -> Api {
    // Needed to build any client; a second installation is refused, and so it should be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let functions = Functions::new(vec![launch("GetImage"), launch("Authorize")], options);
    let routes = routes
        .iter()
        .map(|route| {
            let mut parts = route.split(' ');
            let route = Route {
                method: parts.next().unwrap().into(),
                path: parts.next().unwrap().into(),
                authorizer: parts.next().map(str::to_owned),
            };
            (route, "GetImage".to_owned())
        })
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = Gateway {
        routes: Routes::new(routes),
        authorizers: Authorizers::new(api.authorizers),
        cors: api.cors.map(CrossOrigin::new),
        functions: functions.clone(),
        port,
        timeout,
    };
    let extra = Router::new().route("/_tintype/health", get(async || "fine"));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(serve_gateway(listener, Arc::new(gateway), extra, async {
        let _ = stopped.await;
    }));
    let client = Client::builder().pool_idle_timeout(None).build().unwrap();
    Api { url: format!("http://127.0.0.1:{port}"), client, functions, stop, server }
}

impl Api {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// The status and the body.
    async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("apigw-requestid"));
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn invocations(&self, function: &str) -> u64 {
        self.functions.counters()[function].invocations
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.client);
        self.server.await.unwrap().unwrap();
        self.functions.shutdown().await;
    }
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}
