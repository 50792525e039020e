//! `AWS::Serverless::HttpApi`.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-httpapi.html>

use std::time::Duration;

use super::error::{TemplateError, nearest};
use super::model::{Authorizer, Cors, HttpApi};
use super::names::{self, Kind};
use super::property::Property;

/// The API, with what only its routes need to know.
#[derive(Debug, Default)]
pub struct Api {
    /// What is run.
    pub api: HttpApi,
    /// The authorizer of routes that name none.
    pub default_authorizer: Option<String>,
}

/// Reads the API; `functions` are the logical ids that an authorizer may be.
pub fn read(properties: &Property<'_>, functions: &[String]) -> Result<Api, TemplateError> {
    let mut api = Api::default();
    if let Some(cors) = properties.get("CorsConfiguration")? {
        api.api.cors = read_cors(&cors)?;
    }
    let Some(auth) = properties.get("Auth")? else {
        return Ok(api);
    };
    if let Some(authorizers) = auth.get("Authorizers")? {
        for (name, authorizer) in authorizers.entries()? {
            api.api.authorizers.insert(name.to_owned(), read_authorizer(&authorizer, functions)?);
        }
    }
    if let Some(default) = auth.get("DefaultAuthorizer")? {
        let name = default.string()?;
        if !api.api.authorizers.contains_key(&name) {
            return Err(TemplateError::Unknown {
                path: default.path().to_owned(),
                kind: "authorizer",
                suggestion: nearest(&name, api.api.authorizers.keys().map(String::as_str)),
                name,
            });
        }
        api.default_authorizer = Some(name);
    }
    Ok(api)
}

fn read_authorizer(authorizer: &Property<'_>, functions: &[String]) -> Result<Authorizer, TemplateError> {
    authorizer.only(&[
        "FunctionArn",
        "FunctionInvokeRole",
        "FunctionPayloadFormatVersion",
        "EnableFunctionDefaultPermissions",
        "AuthorizerPayloadFormatVersion",
        "EnableSimpleResponses",
        "Identity",
    ])?;
    let version = authorizer.require("AuthorizerPayloadFormatVersion")?;
    // YAML reads an unquoted 2.0 as a number.
    if !["2.0", "2"].contains(&version.string()?.as_str()) {
        return Err(version.unsupported("only payload format 2.0 is run locally"));
    }
    let simple = authorizer.require("EnableSimpleResponses")?;
    if !simple.boolean()? {
        return Err(simple.unsupported("only simple responses are run locally"));
    }
    let function = authorizer.require("FunctionArn")?;
    let arn = function.string()?;
    let Some(id) = functions.iter().find(|id| names::arn(Kind::Function, id) == arn) else {
        return Err(function.invalid(format!("`{arn}` is not the ARN of a function of this template")));
    };
    let mut read = Authorizer {
        function: id.clone(),
        identity_headers: Vec::new(),
        // Without `ReauthorizeEvery` a result is never reused.
        cache: Duration::ZERO,
    };
    if let Some(identity) = authorizer.get("Identity")? {
        for unsupported in ["QueryStrings", "StageVariables", "Context"] {
            if let Some(property) = identity.get(unsupported)? {
                return Err(property.unsupported("identities are read from `Headers` locally"));
            }
        }
        identity.only(&["Headers", "ReauthorizeEvery"])?;
        read.identity_headers = identity.get("Headers")?.map_or(Ok(Vec::new()), |it| it.strings())?;
        read.cache =
            identity.get("ReauthorizeEvery")?.map_or(Ok(Duration::ZERO), |it| it.seconds_within(0..=3600))?;
    }
    Ok(read)
}

fn read_cors(cors: &Property<'_>) -> Result<Option<Cors>, TemplateError> {
    // SAM takes `true` for "any origin".
    if cors.value().is_boolean() {
        let all = Cors { origins: vec!["*".to_owned()], ..Cors::default() };
        return Ok(cors.boolean()?.then_some(all));
    }
    cors.only(&[
        "AllowOrigins",
        "AllowMethods",
        "AllowHeaders",
        "ExposeHeaders",
        "MaxAge",
        "AllowCredentials",
    ])?;
    let list = |key| cors.get(key)?.map_or(Ok(Vec::new()), |list| list.strings());
    let cors = Cors {
        origins: list("AllowOrigins")?,
        methods: list("AllowMethods")?,
        headers: list("AllowHeaders")?,
        expose: list("ExposeHeaders")?,
        max_age: cors.get("MaxAge")?.map(|age| age.integer()).transpose()?,
        credentials: cors.get("AllowCredentials")?.map_or(Ok(false), |it| it.boolean())?,
    };
    Ok(Some(cors))
}
