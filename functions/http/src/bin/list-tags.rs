//! `GET /v1/tags`: the tags of a project's images, in alphabetical order, with how many images have each.
//!
//! They are counted in the transaction of each change, so that nobody has to count them here.

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::details::Tag;
use shared::domain::error::ListError;
use shared::domain::page::{TagCount, TagQuery, decode_cursor};
use shared::domain::{Clock, Project, Scope};
use shared::http::{Caller, Problem, invalid_parameter, limit, paged, query};
use shared::platform::{Environment, serve};
use shared::store::{FindProject, KnownProjects, ListTags};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Only tags that begin so.
    #[param(max_length = 50, example = "har")]
    prefix: Option<String>,
    /// How many tags a page has.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<String>,
    /// `next_cursor` of the page before. It holds the whole query, so it comes alone.
    #[param(example = "AXsibGltaXQiOjUwfQ")]
    cursor: Option<String>,
}

/// A page of tags, in alphabetical order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "tags": [{ "tag": "harbour", "images": 12 }], "next_cursor": null })))]
struct TagPage {
    tags: Vec<TagCount>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl Parameters {
    fn parse(self, project: &Project) -> Result<TagQuery, Problem> {
        let Self { prefix, limit: rows, cursor } = self;
        match cursor {
            Some(_) if prefix.is_some() => {
                Err(invalid_parameter("/prefix", "is part of the cursor; leave it out"))
            }
            Some(_) if rows.is_some() => {
                Err(invalid_parameter("/limit", "is part of the cursor; leave it out"))
            }
            Some(cursor) => Ok(decode_cursor(&cursor, project).map_err(|_| ListError::InvalidCursor)?),
            None => {
                let prefix = prefix.unwrap_or_default();
                if prefix.chars().count() > Tag::LONGEST {
                    let detail = format!("must have at most {} characters", Tag::LONGEST);
                    return Err(invalid_parameter("/prefix", detail));
                }
                Ok(TagQuery { prefix, limit: limit(rows.as_deref())?, after: None })
            }
        }
    }
}

/// List tags
///
/// The tags of live images in alphabetical order, and how many images have each. For the application's key alone.
#[utoipa::path(
    get,
    path = "/v1/tags",
    tag = "Images",
    security(("ApiKey" = ["images:read"])),
    params(Parameters),
    responses(
        (status = 200, description = "A page of tags.", body = TagPage, headers(("Link"), ("Cache-Control"))),
        (status = 400),
    )
)]
async fn list_tags(
    tags: &impl ListTags, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::ReadImages)?;
    if caller.user.is_some() {
        return Err(Problem::forbidden(
            "The tags are those of all users, and for the application's key alone.",
        ));
    }
    let parameters: Parameters = query(&request)?;
    let project = projects.find_project(caller.project, clock.now()).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let query = parameters.parse(&project)?;
    let page = tags.list_tags(caller.project, &query).await?;
    let first = TagQuery { after: None, ..query.clone() };
    let next = page.after.map(|after| TagQuery { after: Some(after), ..query });
    paged("/v1/tags", &project, &first, next.as_ref(), |next_cursor| TagPage { tags: page.rows, next_cursor })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (tags, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(tags.clone());
    let (tags, projects, clock) = (&tags, &projects, &clock);
    serve(move |request| list_tags(tags, projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::header;
    use serde_json::{Value, json};
    use shared::domain::page::{self, Page};
    use shared::domain::{ProjectId, Secret, Time, Unavailable};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        rows: Vec<(&'static str, i64)>,
        more: bool,
        asked: Mutex<Vec<TagQuery>>,
    }

    impl ListTags for Table {
        async fn list_tags(
            &self, _: ProjectId, query: &TagQuery,
        ) -> Result<Page<TagCount, Tag>, Unavailable> {
            self.asked.lock().unwrap().push(query.clone());
            let row = |&(tag, images): &(&str, i64)| TagCount { tag: tag.parse().unwrap(), images };
            let rows: Vec<TagCount> = self.rows.iter().map(row).collect();
            let after = rows.last().filter(|_| self.more).map(|row| row.tag.clone());
            Ok(Page { rows, after })
        }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(Project::new(id, "Harbour".into(), vec![Secret::new([1; 32])], now)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event(query: &str) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/list-tags.json")).unwrap();
        event["rawQueryString"] = json!(query);
        event
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        list_tags(table, table, &At(Time::from_secs(1_795_237_200)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn tags_come_with_their_counts_and_a_cursor_goes_on_after_the_last() {
        let table = Table { rows: vec![("boats", 2), ("böen", 1)], more: true, ..Table::default() };
        let response = answer(&table, &event("prefix=b&limit=2")).await.unwrap();
        let page = document(&response);
        assert_eq!(page["tags"], json!([{ "tag": "boats", "images": 2 }, { "tag": "böen", "images": 1 }]));
        let cursor = page["next_cursor"].as_str().unwrap();
        let next = format!("</v1/tags?cursor={cursor}>; rel=\"next\"");
        assert!(response.headers()[header::LINK].to_str().unwrap().ends_with(&next));
        answer(&table, &event(&format!("cursor={cursor}"))).await.unwrap();
        let first = TagQuery { prefix: "b".into(), limit: 2, after: None };
        let second = TagQuery { after: Some("böen".parse().unwrap()), ..first.clone() };
        assert_eq!(*table.asked.lock().unwrap(), [first, second]);
    }

    #[tokio::test]
    async fn without_parameters_it_is_all_of_them() {
        let table = Table::default();
        let page = document(&answer(&table, &event("")).await.unwrap());
        assert_eq!(page, json!({ "tags": [], "next_cursor": null }));
        let asked = table.asked.into_inner().unwrap();
        assert_eq!(asked, [TagQuery { prefix: String::new(), limit: page::DEFAULT_LIMIT, after: None }]);
    }

    #[tokio::test]
    async fn a_query_is_read_strictly() {
        for (query, pointer) in [
            ("limit=0".to_owned(), "/limit"),
            ("cursor=x".to_owned(), "/cursor"),
            ("cursor=x&limit=1".to_owned(), "/limit"),
            ("cursor=x&prefix=a".to_owned(), "/prefix"),
            (format!("prefix={}", "x".repeat(51)), "/prefix"),
            ("tag=a".to_owned(), "/tag"),
        ] {
            let table = Table::default();
            let problem = answer(&table, &event(&query)).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{query}");
            let document = document(&problem.into_response("request-1"));
            assert_eq!(document["errors"][0]["pointer"], pointer, "{query}");
            assert!(table.asked.into_inner().unwrap().is_empty(), "{query}");
        }
    }

    #[tokio::test]
    async fn a_key_needs_the_scope_and_a_user_sees_no_other_users_tags() {
        let mut user = event("");
        user["requestContext"]["authorizer"]["lambda"]["user"] = json!("anna");
        let mut scope = event("");
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:write");
        for event in [user, scope] {
            assert_eq!(answer(&Table::default(), &event).await.unwrap_err().code(), "forbidden");
        }
    }
}
