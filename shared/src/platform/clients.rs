//! SDK clients, with nothing in them that a Lambda function does not need.

use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// TLS with ring, made at the first request.
///
/// The SDK reads the root certificates when a client is made (`validate_base_client_config`), which is
/// most of what a function would do before it is ready. AWS-LC would add its entropy to that.
#[derive(Debug, Default)]
struct LazyClient(OnceLock<SharedHttpClient>);

impl HttpClient for LazyClient {
    fn http_connector(
        &self, settings: &HttpConnectorSettings, components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0
            .get_or_init(|| Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
            .http_connector(settings, components)
    }
}

/// How long one attempt may take, and all of them together: less than the ten seconds that the gateway's functions
/// live, so that whoever waits gets an answer. What moves a picture has longer, see `media`.
const ATTEMPT: Duration = Duration::from_secs(3);
const OPERATION: Duration = Duration::from_secs(8);

/// Who signs: the role whose credentials Lambda puts into the environment.
pub fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())
}

/// What every client has in common. The chain that looks for credentials and regions elsewhere (profiles,
/// SSO, IMDS) stays out: a function finds both in its environment, and the chain is megabytes.
pub fn config(region: String) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(credentials())
        .http_client(LazyClient::default())
        .sleep_impl(TokioSleep::new())
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
        .build()
}

/// DynamoDB, at `endpoint` if it is not where AWS has it.
pub fn dynamodb(config: &SdkConfig, endpoint: Option<&str>) -> aws_sdk_dynamodb::Client {
    let mut config = aws_sdk_dynamodb::config::Builder::from(config);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// S3, at `endpoint` if it is not where AWS has it.
pub fn s3(config: &SdkConfig, endpoint: Option<&str>) -> aws_sdk_s3::Client {
    let mut config = aws_sdk_s3::config::Builder::from(config)
        // The SDK would otherwise put the checksum of an empty body into presigned uploads.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    aws_sdk_s3::Client::from_conf(config.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_does_not_answer_is_tried_again_and_given_up_while_the_function_lives() {
        let template = include_str!("../../../template.yaml");
        let shortest =
            template.lines().filter_map(|line| line.trim().strip_prefix("Timeout: ")?.parse().ok()).min();
        let config = config("eu-west-1".into());
        let timeouts = config.timeout_config().unwrap();
        let (attempt, operation) = (timeouts.operation_attempt_timeout(), timeouts.operation_timeout());
        assert!(attempt.unwrap() * 2 < operation.unwrap());
        assert!(operation.unwrap() < Duration::from_secs(shortest.unwrap()));
    }
}
