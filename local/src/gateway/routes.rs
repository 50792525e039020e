//! Which route a request takes.
//!
//! API Gateway decodes the path first and then selects the most specific match: a full match of route
//! and method, then one with a greedy path variable, then `$default`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>

use std::cmp::Ordering;

use http::Method;

use crate::template::model::Route;

/// The routes of an API, the most specific first.
#[derive(Debug)]
pub(super) struct Routes(Vec<Target>);

/// A route and where it leads.
#[derive(Debug)]
pub(super) struct Target {
    /// `GET /v1/images/{image}`, or `$default`.
    pub(super) key: String,
    /// The function's logical id.
    pub(super) function: String,
    /// The authorizer's name.
    pub(super) authorizer: Option<String>,
    /// `None` for `ANY`.
    method: Option<Method>,
    /// `None` for `$default`.
    pattern: Option<Vec<Segment>>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Variable(String),
    Greedy(String),
}

/// A route that matches, and its path variables.
pub(super) struct Match<'a> {
    pub(super) target: &'a Target,
    pub(super) variables: Vec<(&'a str, &'a str)>,
}

impl Routes {
    pub(super) fn new(routes: Vec<(Route, String)>) -> Self {
        let mut targets: Vec<_> =
            routes.into_iter().map(|(route, function)| Target::new(route, function)).collect();
        targets.sort_by(Target::by_specificity);
        Self(targets)
    }

    /// Finds the route for a decoded path.
    pub(super) fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<Match<'a>> {
        self.0
            .iter()
            .filter(|target| target.method.as_ref().is_none_or(|wanted| wanted == method))
            .find_map(|target| Some(Match { target, variables: target.variables(path)? }))
    }
}

impl Target {
    fn new(route: Route, function: String) -> Self {
        let any = route.method.eq_ignore_ascii_case("ANY") || route.method == "*";
        let default = route.path == "$default" || route.path == "/$default";
        let method = (!any && !default)
            .then(|| Method::from_bytes(route.method.to_ascii_uppercase().as_bytes()).ok())
            .flatten();
        let key = match &method {
            _ if default => "$default".to_owned(),
            Some(method) => format!("{method} {}", route.path),
            None => format!("ANY {}", route.path),
        };
        let pattern = (!default).then(|| segments(&route.path).map(Segment::parse).collect());
        Self { key, function, authorizer: route.authorizer, method, pattern }
    }

    /// The variables of a path that matches.
    fn variables<'a>(&'a self, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut variables = Vec::new();
        let Some(pattern) = &self.pattern else {
            return Some(variables);
        };
        let mut rest = path.strip_prefix('/').unwrap_or(path);
        let mut left = true;
        for segment in pattern {
            if !left {
                return None;
            }
            if let Segment::Greedy(name) = segment {
                variables.push((name.as_str(), rest));
                return (!rest.is_empty()).then_some(variables);
            }
            let (part, after) =
                rest.split_once('/').map_or((rest, None), |(part, after)| (part, Some(after)));
            left = after.is_some();
            rest = after.unwrap_or_default();
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Variable(name) if !part.is_empty() => variables.push((name, part)),
                _ => return None,
            }
        }
        (!left).then_some(variables)
    }

    fn by_specificity(&self, other: &Self) -> Ordering {
        let rank = |target: &Self| match &target.pattern {
            None => (2, Vec::new(), true),
            Some(pattern) => {
                let ranks: Vec<u8> = pattern
                    .iter()
                    .map(|segment| match segment {
                        Segment::Literal(_) => 0,
                        Segment::Variable(_) => 1,
                        Segment::Greedy(_) => 2,
                    })
                    .collect();
                (u8::from(ranks.contains(&2)), ranks, target.method.is_none())
            }
        };
        rank(self).cmp(&rank(other))
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Greedy(name.to_owned()),
                None => Self::Variable(name.to_owned()),
            },
            None => Self::Literal(text.to_owned()),
        }
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        Routes::new(
            keys.iter()
                .map(|key| {
                    let (method, path) = key.split_once(' ').unwrap_or(("ANY", key));
                    let route = Route { method: method.into(), path: path.into(), authorizer: None };
                    (route, String::new())
                })
                .collect(),
        )
    }

    fn find(routes: &Routes, request: &str) -> Option<String> {
        let (method, path) = request.split_once(' ').unwrap();
        let found = routes.find(&method.parse().unwrap(), path)?;
        let variables: Vec<_> =
            found.variables.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        Some(format!("{}{}", found.target.key, variables.concat()))
    }

    /// The example of the developer guide.
    #[test]
    fn selects_the_most_specific_route() {
        let routes = routes(&[
            "$default",
            "ANY /{proxy+}",
            "GET /pets/{proxy+}",
            "GET /pets/dog/{id}",
            "GET /pets/dog/1",
        ]);
        for (request, expected) in [
            ("GET /pets/dog/1", "GET /pets/dog/1"),
            ("GET /pets/dog/2", "GET /pets/dog/{id} id=2"),
            ("GET /pets/cat/1", "GET /pets/{proxy+} proxy=cat/1"),
            ("POST /test/5", "ANY /{proxy+} proxy=test/5"),
            ("POST /pets/dog/1", "ANY /{proxy+} proxy=pets/dog/1"),
            ("GET /", "$default"),
        ] {
            assert_eq!(find(&routes, request).as_deref(), Some(expected), "{request}");
        }
    }

    #[test]
    fn prefers_a_method_to_any_and_a_full_match_to_a_greedy_one() {
        let routes = routes(&["ANY /a", "GET /a", "GET /a/{rest+}", "GET /{x}/b", "ANY /{x}/c"]);
        assert_eq!(find(&routes, "GET /a").unwrap(), "GET /a");
        assert_eq!(find(&routes, "PUT /a").unwrap(), "ANY /a");
        assert_eq!(find(&routes, "GET /a/b").unwrap(), "GET /{x}/b x=a");
        assert_eq!(find(&routes, "GET /a/d").unwrap(), "GET /a/{rest+} rest=d");
        assert_eq!(find(&routes, "DELETE /q/c").unwrap(), "ANY /{x}/c x=q");
    }

    #[test]
    fn head_has_no_route_of_its_own_accord() {
        let routes = routes(&["GET /a"]);
        assert_eq!(find(&routes, "HEAD /a"), None);
    }

    #[test]
    fn a_variable_is_one_segment_that_is_not_empty() {
        let routes = routes(&["GET /v1/images/{image}", "GET /files/{path+}", "GET /"]);
        for missing in
            ["GET /v1/images/", "GET /v1/images", "GET /v1/images/a/b", "GET /files/", "GET /files"]
        {
            assert_eq!(find(&routes, missing), None, "{missing}");
        }
        assert_eq!(find(&routes, "GET /").unwrap(), "GET /");
        assert_eq!(find(&routes, "GET /files/a/").unwrap(), "GET /files/{path+} path=a/");
    }
}
