//! `GET /v1/images`: a project's images, or a user's own, the newest first.
//!
//! One filter is one query of the table, however many images there are; two would be a search, and are refused. A
//! cursor holds the whole query, so it comes alone.

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::details::Tag;
use shared::domain::error::ListError;
use shared::domain::page::{Filter, ListQuery, ListedState, Order, decode_cursor};
use shared::domain::{Clock, Project, Scope, Time, UserId};
use shared::http::{Caller, ImageRow, Problem, invalid_parameter, limit, paged, query};
use shared::platform::{Environment, serve};
use shared::store::{FindProject, KnownProjects, ListImages};
use utoipa::openapi::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Only images with this tag. One filter at a time: `tag`, `owner` or `state`.
    #[param(value_type = Option<Tag>)]
    tag: Option<String>,
    /// Only this user's images. A user's token lists the user's own without it.
    #[param(value_type = Option<UserId>)]
    owner: Option<String>,
    #[param(schema_with = listed_states, required = false)]
    state: Option<String>,
    /// Only images that were reserved at this time or later.
    #[param(value_type = Option<Time>)]
    created_after: Option<String>,
    /// Only images that were reserved before this time.
    #[param(value_type = Option<Time>)]
    created_before: Option<String>,
    #[param(schema_with = orders, required = false)]
    order: Option<String>,
    /// How many images a page has.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<String>,
    /// `next_cursor` of the page before. It holds the whole query, so it comes alone.
    #[param(example = "AXsibGltaXQiOjUwfQ")]
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(example))]
struct ImagePage {
    images: Vec<ImageRow>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn listed_states() -> Object {
    let said = "Only images in this state. What is `ready` is in the list without a filter, and what is `trashed` is \
                only here.";
    let names = ListedState::ALL.map(ListedState::name);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(said))
        .enum_values(Some(names))
        .examples(["failed"])
        .build()
}

fn orders() -> Object {
    let said = "By the time of reservation, and in the trash by the time of trashing; `newest` by default.";
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(said))
        .enum_values(Some(["newest", "oldest"]))
        .examples(["newest"])
        .build()
}

fn example() -> serde_json::Value {
    serde_json::json!({
        "images": [{
            "id": "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF",
            "state": "ready",
            "visibility": "private",
            "title": "Harbour at dawn",
            "created_at": "2026-11-21T05:00:00.000Z",
            "width": 4032,
            "height": 3024,
            "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
            "dominant_color": "#43607c",
            "thumbnail": "/i/prj_01M5GZNY40J4Q2W8N5R7X3Z9BD/img_01M7Y7HNH0M6P1S3V5X7Z9B2DF/\
                upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG/w320.webp?exp=1795244400&sig=yJx3Q0bHk2mZ8dT5uWcP1A",
        }],
        "next_cursor": null,
    })
}

impl Parameters {
    fn parse(self, caller: &Caller, project: &Project) -> Result<ListQuery, Problem> {
        let Some(cursor) = &self.cursor else { return self.begin(caller) };
        for (pointer, given) in [
            ("/tag", &self.tag),
            ("/owner", &self.owner),
            ("/state", &self.state),
            ("/created_after", &self.created_after),
            ("/created_before", &self.created_before),
            ("/order", &self.order),
            ("/limit", &self.limit),
        ] {
            if given.is_some() {
                return Err(invalid_parameter(pointer, "is part of the cursor; leave it out"));
            }
        }
        let query: ListQuery = decode_cursor(cursor, project).map_err(|_| ListError::InvalidCursor)?;
        // Whoever got hold of another one's cursor sees nothing by it that is not theirs.
        let own = caller.user.clone().is_none_or(|user| query.filter == Filter::Owner(user));
        if own { Ok(query) } else { Err(ListError::InvalidCursor.into()) }
    }

    fn begin(self, caller: &Caller) -> Result<ListQuery, Problem> {
        let filter = self.filter(caller)?;
        let created_after = time("/created_after", self.created_after)?;
        let created_before = time("/created_before", self.created_before)?;
        if filter == Filter::State(ListedState::Trashed) && (created_after.or(created_before)).is_some() {
            let pointer = if created_after.is_some() { "/created_after" } else { "/created_before" };
            return Err(invalid_parameter(
                pointer,
                "does not go with the trash, which is listed as it filled",
            ));
        }
        if created_after.zip(created_before).is_some_and(|(after, before)| before <= after) {
            return Err(invalid_parameter("/created_before", "must be later than `created_after`"));
        }
        let order = match self.order.as_deref() {
            None | Some("newest") => Order::Newest,
            Some("oldest") => Order::Oldest,
            Some(_) => return Err(invalid_parameter("/order", "must be `newest` or `oldest`")),
        };
        let limit = limit(self.limit.as_deref())?;
        Ok(ListQuery { filter, created_after, created_before, order, limit, after: None })
    }

    fn filter(&self, caller: &Caller) -> Result<Filter, Problem> {
        if let Some(user) = &caller.user {
            let own = "is not for a user's token, which lists the user's own images";
            return match (&self.tag, &self.owner, &self.state) {
                (None, None, None) => Ok(Filter::Owner(user.clone())),
                (Some(_), _, _) => Err(invalid_parameter("/tag", own)),
                (None, Some(_), _) => Err(invalid_parameter("/owner", own)),
                (None, None, Some(_)) => Err(invalid_parameter("/state", own)),
            };
        }
        match (&self.tag, &self.owner, &self.state) {
            (None, None, None) => Ok(Filter::Live),
            (Some(tag), None, None) => {
                tag.parse().map(Filter::Tag).map_err(|unfit| invalid_parameter("/tag", unfit.to_string()))
            }
            (None, Some(owner), None) => owner
                .parse()
                .map(Filter::Owner)
                .map_err(|unfit| invalid_parameter("/owner", unfit.to_string())),
            (None, None, Some(state)) => {
                let listed = ListedState::ALL.into_iter().find(|listed| listed.name() == state);
                let detail = "must be `pending`, `processing`, `failed` or `trashed`; what is `ready` is in the \
                              list without a filter";
                listed.map(Filter::State).ok_or_else(|| invalid_parameter("/state", detail))
            }
            (Some(_), Some(_), _) => {
                Err(invalid_parameter("/owner", "does not go with `tag`: take one filter"))
            }
            (Some(_), None, Some(_)) => {
                Err(invalid_parameter("/state", "does not go with `tag`: take one filter"))
            }
            (None, Some(_), Some(_)) => {
                Err(invalid_parameter("/state", "does not go with `owner`: take one filter"))
            }
        }
    }
}

fn time(pointer: &str, text: Option<String>) -> Result<Option<Time>, Problem> {
    let detail = "must be a time as in `2026-11-21T05:00:00Z` (RFC 3339)";
    text.map(|text| Time::try_from(text).map_err(|_| invalid_parameter(pointer, detail))).transpose()
}

/// List images
///
/// The newest first, of all images that are not in the trash, or by one filter. The header `Link` leads to the next page.
#[utoipa::path(
    get,
    path = "/v1/images",
    tag = "Images",
    security(("ApiKey" = ["images:read"]), ("IdToken" = ["images:read"])),
    params(Parameters),
    responses(
        (status = 200, description = "A page of images.", body = ImagePage,
            headers(("Link"), ("Cache-Control"))),
        (status = 400),
    )
)]
async fn list_images(
    images: &impl ListImages, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::ReadImages)?;
    let parameters: Parameters = query(&request)?;
    let now = clock.now();
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let query = parameters.parse(&caller, &project)?;
    let page = images.list_images(caller.project, &query).await?;
    let rows = page.rows.into_iter().map(|row| ImageRow::new(row, &project, now)).collect();
    let first = ListQuery { after: None, ..query.clone() };
    let next = page.after.map(|after| ListQuery { after: Some(after), ..query });
    paged("/v1/images", &project, &first, next.as_ref(), |next_cursor| ImagePage {
        images: rows,
        next_cursor,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, clock) = (&images, &projects, &clock);
    serve(move |request| list_images(images, projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::header;
    use serde_json::{Value, json};
    use shared::domain::page::{self, Page, Position, TagQuery, encode_cursor};
    use shared::domain::summary::{ImageSummary, PictureSummary};
    use shared::domain::{ImageId, ProjectId, Secret, Unavailable, UploadId, Visibility};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        rows: Vec<ImageSummary>,
        more: bool,
        asked: Mutex<Vec<ListQuery>>,
    }

    impl ListImages for Table {
        async fn list_images(
            &self, _: ProjectId, query: &ListQuery,
        ) -> Result<Page<ImageSummary, Position>, Unavailable> {
            self.asked.lock().unwrap().push(query.clone());
            let after = self.rows.last().filter(|_| self.more).map(|row| position(row.id));
            Ok(Page { rows: self.rows.clone(), after })
        }
    }

    fn position(image: ImageId) -> Position {
        Position { image, trashed_at: None }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(project(id, 1)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn project(id: ProjectId, seed: u8) -> Project {
        let signing_keys = vec![Secret::new([seed; 32])];
        Project::new(id, "Harbour".into(), signing_keys, Time::from_secs(0))
    }

    fn row(id: u128, visibility: Visibility) -> ImageSummary {
        ImageSummary {
            id: ImageId::new(id.into()),
            upload: UploadId::new(9.into()),
            state: "ready".into(),
            visibility,
            title: None,
            alt: None,
            created_at: Time::from_secs(0),
            trashed_at: None,
            picture: Some(PictureSummary {
                width: 4,
                height: 3,
                thumbhash: "cd".into(),
                dominant_color: "#00ff00".into(),
            }),
        }
    }

    /// The event with another query string.
    fn event(query: &str) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/list-images.json")).unwrap();
        event["rawQueryString"] = json!(query);
        event
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        list_images(table, table, &At(Time::from_secs(1_795_237_200)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_cursor_goes_on_where_the_page_ended_with_the_same_limit() {
        let rows = vec![row(8, Visibility::Private), row(7, Visibility::Public)];
        let table = Table { rows, more: true, ..Table::default() };
        let response = answer(&table, &event("limit=2")).await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
        let page = document(&response);
        let cursor = page["next_cursor"].as_str().unwrap();
        let links = response.headers()[header::LINK].to_str().unwrap();
        let (to_first, to_next) = links.split_once(", ").unwrap();
        assert_eq!(to_next, format!("</v1/images?cursor={cursor}>; rel=\"next\""));
        assert!(page["images"][0]["thumbnail"].as_str().unwrap().contains("/w320.webp?exp="));
        assert!(page["images"][1]["thumbnail"].as_str().unwrap().ends_with("/w320.webp"));

        answer(&table, &event(&format!("cursor={cursor}"))).await.unwrap();
        let first = to_first.strip_prefix("</v1/images?").unwrap().strip_suffix(">; rel=\"first\"").unwrap();
        answer(&table, &event(first)).await.unwrap();
        let first = ListQuery { limit: 2, ..begin(Filter::Live) };
        let second = ListQuery { after: Some(position(ImageId::new(7.into()))), ..first.clone() };
        assert_eq!(*table.asked.lock().unwrap(), [first.clone(), second, first]);
    }

    fn begin(filter: Filter) -> ListQuery {
        let (created_after, created_before) = (None, None);
        let limit = page::DEFAULT_LIMIT;
        ListQuery { filter, created_after, created_before, order: Order::Newest, limit, after: None }
    }

    #[tokio::test]
    async fn the_last_page_leads_nowhere_but_back() {
        let table = Table { rows: vec![row(8, Visibility::Public)], ..Table::default() };
        let response = answer(&table, &event("")).await.unwrap();
        assert_eq!(document(&response)["next_cursor"], Value::Null);
        assert!(response.headers()[header::LINK].to_str().unwrap().ends_with("; rel=\"first\""));
        assert_eq!(table.asked.lock().unwrap()[0].limit, page::DEFAULT_LIMIT);
    }

    /// The event of a user's token.
    fn event_of(user: &str, query: &str) -> Value {
        let mut event = event(query);
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!(user);
        event
    }

    #[tokio::test]
    async fn a_filter_is_one_partition_and_a_range_goes_with_it() {
        let time = |text: &str| Time::try_from(text.to_owned()).ok();
        let tag = || Filter::Tag("sea & sky".parse().unwrap());
        for (query, expected) in [
            ("", begin(Filter::Live)),
            ("tag=sea%20%26%20sky", begin(tag())),
            ("owner=anna", begin(Filter::Owner("anna".parse().unwrap()))),
            ("state=failed&order=newest", begin(Filter::State(ListedState::Failed))),
            (
                "state=trashed&order=oldest",
                ListQuery { order: Order::Oldest, ..begin(Filter::State(ListedState::Trashed)) },
            ),
            (
                "created_after=2026-11-21T05:00:00Z&limit=3&tag=sea+%26+sky",
                ListQuery { created_after: time("2026-11-21T05:00:00.000Z"), limit: 3, ..begin(tag()) },
            ),
            (
                "created_after=2026-11-21T05:00:00%2B01:00&created_before=2026-11-21T05:00:00.001Z",
                ListQuery {
                    created_after: time("2026-11-21T04:00:00.000Z"),
                    created_before: time("2026-11-21T05:00:00.001Z"),
                    ..begin(Filter::Live)
                },
            ),
        ] {
            let table = Table::default();
            answer(&table, &event(query)).await.unwrap();
            assert_eq!(table.asked.into_inner().unwrap(), [expected], "{query}");
        }
    }

    #[tokio::test]
    async fn a_user_lists_their_own_images_and_nothing_else() {
        let table = Table { rows: vec![row(8, Visibility::Public)], more: true, ..Table::default() };
        let own = begin(Filter::Owner("anna".parse().unwrap()));
        let page = document(&answer(&table, &event_of("anna", "")).await.unwrap());
        assert_eq!(*table.asked.lock().unwrap(), [own]);
        let cursor = format!("cursor={}", page["next_cursor"].as_str().unwrap());
        assert!(answer(&table, &event_of("anna", &cursor)).await.is_ok());
        assert!(answer(&table, &event(&cursor)).await.is_ok(), "the project sees everybody's");

        let everybodys = document(&answer(&table, &event("")).await.unwrap());
        let everybodys = format!("cursor={}", everybodys["next_cursor"].as_str().unwrap());
        let asked = table.asked.lock().unwrap().len();
        for (user, query, pointer) in [
            ("anna", everybodys.as_str(), "/cursor"),
            ("bert", &cursor, "/cursor"),
            ("anna", "tag=sea", "/tag"),
            ("anna", "owner=anna", "/owner"),
            ("anna", "owner=bert", "/owner"),
            ("anna", "state=trashed", "/state"),
        ] {
            let problem = answer(&table, &event_of(user, query)).await.unwrap_err();
            let document = document(&problem.into_response("request-1"));
            assert_eq!(document["errors"][0]["pointer"], pointer, "{user} {query}");
        }
        assert_eq!(table.asked.lock().unwrap().len(), asked);
    }

    #[tokio::test]
    async fn a_query_is_read_strictly() {
        let ours = begin(Filter::Live);
        let foreign = encode_cursor(&ours, &project(ProjectId::new(1.into()), 2)).unwrap();
        let tags = TagQuery { prefix: String::new(), limit: 5, after: None };
        let tags = encode_cursor(&tags, &project(ProjectId::new(1.into()), 1)).unwrap();
        for (query, pointer) in [
            ("limit=0".to_owned(), Some("/limit")),
            ("limit=101".to_owned(), Some("/limit")),
            ("limit=many".to_owned(), Some("/limit")),
            ("limit=-1".to_owned(), Some("/limit")),
            ("limit=1&cursor=x".to_owned(), Some("/limit")),
            ("order=newest&cursor=x".to_owned(), Some("/order")),
            ("tag=sea&cursor=x".to_owned(), Some("/tag")),
            ("created_after=2026-11-21T05:00:00Z&cursor=x".to_owned(), Some("/created_after")),
            ("cursor=x".to_owned(), Some("/cursor")),
            (format!("cursor={foreign}"), Some("/cursor")),
            (format!("cursor={tags}"), Some("/cursor")),
            ("order=random".to_owned(), Some("/order")),
            ("state=ready".to_owned(), Some("/state")),
            ("state=Pending".to_owned(), Some("/state")),
            ("state=".to_owned(), Some("/state")),
            ("tag=".to_owned(), Some("/tag")),
            (format!("tag={}", "x".repeat(51)), Some("/tag")),
            ("owner=%00".to_owned(), Some("/owner")),
            ("tag=sea&owner=anna".to_owned(), Some("/owner")),
            ("tag=sea&state=failed".to_owned(), Some("/state")),
            ("owner=anna&state=failed".to_owned(), Some("/state")),
            ("tag=sea&owner=anna&state=failed".to_owned(), Some("/owner")),
            ("created_after=yesterday".to_owned(), Some("/created_after")),
            ("created_before=2026-11-21".to_owned(), Some("/created_before")),
            (
                "created_after=2026-11-21T05:00:00Z&created_before=2026-11-21T05:00:00Z".to_owned(),
                Some("/created_before"),
            ),
            ("state=trashed&created_after=2026-11-21T05:00:00Z".to_owned(), Some("/created_after")),
            ("state=trashed&created_before=2026-11-21T05:00:00Z".to_owned(), Some("/created_before")),
            ("offset=1".to_owned(), Some("/offset")),
            ("limit=1&limit=2".to_owned(), None),
        ] {
            let table = Table::default();
            let problem = answer(&table, &event(&query)).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{query}");
            let document = document(&problem.into_response("request-1"));
            assert_eq!(document["errors"][0]["pointer"].as_str(), pointer, "{query}");
            assert!(table.asked.into_inner().unwrap().is_empty(), "{query}");
        }
    }

    #[tokio::test]
    async fn a_key_needs_the_scope() {
        let mut event = event("");
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:write");
        assert_eq!(answer(&Table::default(), &event).await.unwrap_err().code(), "forbidden");
    }
}
