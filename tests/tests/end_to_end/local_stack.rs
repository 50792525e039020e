//! The stack as a developer meets it: started, stopped, killed, started again, asked and misused.

use std::net::TcpListener;
use std::path::Path;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Ready, Root, Stack, answer, command, command_in, pictures, template, wait_until};
use http::Method;
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

fn small() -> Vec<u8> {
    pictures::jpeg(&pictures::halves(200, 100))
}

// --- Data

#[tokio::test]
async fn a_restart_keeps_everything() {
    let data = TempDir::new().unwrap();
    let first = Stack::with_data(data.path()).await;
    let image = first.api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let path = image["variants"][0]["path"].as_str().unwrap();
    let picture = first.api.picture(path).await;
    let pending = first.api.reserve_put(b"not yet sent", "image/png").await.image;
    let (key, project, rows) =
        (first.api.key().to_owned(), first.api.project.clone(), first.root.rows().await);
    assert!(first.end(Signal::TERM).success());

    let second = Stack::with_data(data.path()).await;
    second.expect_pending(&pending);
    assert_eq!((second.api.key(), &second.api.project), (&*key, &project));
    assert_eq!(second.root.rows().await.len(), rows.len());
    let again = second.api.image(id).await;
    assert_eq!(again, image);
    let same = second.api.picture(path).await;
    assert_eq!((same.status, same.header("etag")), (200, picture.header("etag")));
    assert_eq!(same.body, picture.body);
    let another = second.api.ready(&small(), "image/jpeg").await;
    assert_ne!(another["id"], image["id"]);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let data = TempDir::new().unwrap();
    let first = Stack::with_data(data.path()).await;
    let bytes = small();
    let reservation = first.api.reserve_put(&bytes, "image/jpeg").await;
    let sent = first.api.send(&reservation, &bytes).await;
    let status = first.end(Signal::KILL);
    assert_eq!((sent.status, status.code()), (200, None));

    let second = Stack::with_data(data.path()).await;
    let image = &reservation.image;
    // If a worker had it, whoever takes its message now is sent away until the lease is over.
    let taken = wait_until("the message to be taken", async || {
        let settled = second.api.image(image).await["state"] == "ready";
        let sent_away = second.log().contains("another worker has the image");
        (settled || sent_away).then_some(sent_away)
    })
    .await;
    if taken {
        second.root.expire_lease(image).await;
        second.root.release("UploadsQueue").await;
    }
    assert_eq!(second.api.settled(image).await["state"], "ready");
}

#[tokio::test]
async fn data_are_one_stacks_at_a_time() {
    let data = TempDir::new().unwrap();
    let _stack = Stack::with_data(data.path()).await;
    let (file, directory) = (template(), data.path().display().to_string());
    let other =
        command(&["--no-build", "--port", "0", "--data", &directory, "--template", file.to_str().unwrap()]);
    assert!(!other.status.success());
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("another stack is using") && said.contains(&directory), "{said}");
}

// --- Processes

#[tokio::test]
async fn nothing_runs_on_after_the_end() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let stack = Stack::start(&[]).await;
        stack.api.get("/v1/images").await;
        let mut processes = vec![];
        for function in ["Authorize", "ListImages", "ProcessUpload", "CreateProject"] {
            let instances = stack.root.function(function).await["instances"].take();
            let instances = serde_json::from_value::<Vec<i32>>(instances).unwrap();
            assert!(!instances.is_empty(), "{function} does not run");
            processes.extend(instances.into_iter().filter_map(Pid::from_raw));
        }
        let status = stack.end(signal);
        if signal == Signal::KILL {
            // Nobody was left to stop them: they notice that nobody is there.
            wait_until("the functions to end", async || {
                processes.iter().all(|process| !runs(*process)).then_some(())
            })
            .await;
        } else {
            assert!(status.success(), "{signal:?}: {status}");
            assert!(!processes.iter().any(|process| runs(*process)), "{signal:?}");
        }
    }
}

/// Whether a process runs. One that has ended and that nobody has asked about is still listed.
fn runs(process: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let zombie = status.is_ok_and(|status| status.contains(") Z "));
    test_kill_process(process).is_ok() && !zombie
}

#[tokio::test]
async fn a_burst_is_answered_by_several_instances() {
    let stack = Stack::start(&[]).await;
    let requests = (0..40).map(|_| {
        let api = stack.api.clone();
        tokio::spawn(async move { api.get("/v1/images").await.status })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), 200);
    }
    let instances = stack.root.function("ListImages").await["instances"].as_array().unwrap().len();
    assert!((2..=10).contains(&instances), "{instances}");
}

#[test]
fn a_port_that_is_taken_is_a_clear_message() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = template();
    let output = command(&["--no-build", "--port", &port, "--template", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("port {port}")) && said.contains("--port"), "{said}");
}

#[test]
fn without_a_template_there_is_no_stack_and_a_wrong_setting_names_the_right_one() {
    let output = command(&["--no-build", "--port", "0"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("template.yaml") && said.contains("--template"), "{said}");

    let file = template();
    let set = "UploadQueue.VisibilityTimeout=1";
    let output = command(&["--no-build", "--port", "0", "--set", set, "--template", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did you mean `UploadsQueue`"), "{said}");
}

// --- Commands

#[test]
fn invoke_prints_what_the_function_answers() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("event.json"), r#"{"name":"By hand"}"#).unwrap();
    let file = template();
    let invoke = |function: &str| {
        let file = file.to_str().unwrap();
        command_in(directory.path(), &["invoke", "--no-build", "--template", file, function, "event.json"])
    };
    for name in ["create-project", "CreateProject"] {
        let output = invoke(name);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(made["project"].as_str().unwrap().starts_with("prj_"), "{made}");
        assert!(made["key"].as_str().unwrap().starts_with("tt_"), "{made}");
    }
    // A function that fails says so, and the command with it.
    let output = invoke("get-image");
    assert!(!output.status.success());
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(error["errorType"].is_string() && error["errorMessage"].is_string(), "{error}");
    let output = invoke("get-picture");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("get-image"), "{said}");
}

#[tokio::test]
async fn the_command_line_uploads_and_says_where_everything_is() {
    let stack = Stack::shared().await;
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("photo.jpg"), small()).unwrap();
    std::fs::write(directory.path().join("letter.jpg"), "Dear Sir or Madam,").unwrap();
    let upload = async |more: &[&str]| {
        let (api, key) = (stack.ready().api.clone(), stack.api.key().to_owned());
        let directory = directory.path().to_owned();
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["upload", "--api", &api, "--key", &key];
            arguments.extend(more.iter().map(String::as_str));
            command_in(&directory, &arguments)
        })
        .await
        .unwrap()
    };
    let output = upload(&["--public", "photo.jpg"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let url = said.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    let picture = answer(stack.api.elsewhere(Method::GET, url)).await;
    assert_eq!(image::load_from_memory(&picture.body).unwrap().width(), 160);

    let output = upload(&["--json", "photo.jpg"]).await;
    let image: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&image["state"], &image["title"]), (&json!("ready"), &json!("photo.jpg")));

    // What is no image is not even sent, unless one insists; then it says why it failed.
    let output = upload(&["letter.jpg", "nowhere.jpg", "photo.jpg"]).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("letter.jpg: This file is not an image") && said.contains("nowhere.jpg"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("200x100"), "the good one is uploaded");
    let output = upload(&["--type", "image/jpeg", "letter.jpg"]).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("failed: This file is not an image"), "{said}");
}

// --- Permissions

#[tokio::test]
async fn a_missing_permission_fails_here_and_the_log_has_the_statement() {
    let stack = Stack::start(&["--set", "GetImage.Policies=[]"]).await;
    let image = stack.api.upload(&small(), "image/jpeg").await;
    stack.api.get(&format!("/v1/images/{image}")).await.problem(503, "unavailable");
    let log = stack.log();
    for part in ["access denied", "Action: dynamodb:GetItem", "Resource: !GetAtt Table.Arn", "GetImage"] {
        assert!(log.contains(part), "{part} is not in the log");
    }
}

#[tokio::test]
async fn a_missing_permission_on_a_bucket_leaves_the_upload_waiting() {
    let data = TempDir::new().unwrap();
    let directory = data.path().display().to_string();
    let allowed = "ProcessUpload.Policies.0.Statement.6.Action=s3:GetObject";
    let first = Stack::start(&["--data", &directory, "--set", allowed]).await;
    let image = first.api.upload(&small(), "image/jpeg").await;
    wait_until("the statement in the log", async || {
        let log = first.log();
        (log.contains("Action: s3:PutObject") && log.contains("Resource: !Sub ${VariantsBucket.Arn}/*"))
            .then_some(())
    })
    .await;
    assert_eq!(first.api.image(&image).await["state"], "processing");
    assert!(first.end(Signal::TERM).success());
    // With the statement back, the same upload becomes a picture.
    let second = Stack::with_data(data.path()).await;
    wait_until("the message to be taken", async || {
        second.log().contains("another worker has the image").then_some(())
    })
    .await;
    second.root.expire_lease(&image).await;
    second.root.release("UploadsQueue").await;
    assert_eq!(second.api.settled(&image).await["state"], "ready");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_function_may_do_no_more_than_its_policies_say() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let image = stack.root.image(image["id"].as_str().unwrap()).await.unwrap();
    let as_get_image = Root::new(&credentials_of(&stack, "GetImage").await);
    let item = async |key: &Value, sort: &str| {
        let get = as_get_image.dynamodb.get_item().table_name(as_get_image.name("Table"));
        let text = |value: &str| AttributeValue::S(value.to_owned());
        get.key("PK", text(key.as_str().unwrap())).key("SK", text(sort)).send().await
    };
    assert!(item(&image["PK"], "IMAGE").await.unwrap().item.is_some());
    let denied = [
        item(&json!("K#key_01JZZZZZZZZZZZZZZZZZZZZZZZ"), "KEY").await.unwrap_err().code().map(str::to_owned),
        as_get_image
            .dynamodb
            .scan()
            .table_name(as_get_image.name("Table"))
            .send()
            .await
            .unwrap_err()
            .code()
            .map(str::to_owned),
    ];
    for code in denied {
        assert_eq!(code.as_deref(), Some("AccessDeniedException"));
    }
    for bucket in ["UploadsBucket", "OriginalsBucket", "VariantsBucket"] {
        let name = as_get_image.name(bucket);
        let list = as_get_image.s3.list_objects_v2().bucket(name).send().await.unwrap_err();
        assert_eq!(list.code(), Some("AccessDenied"), "{bucket}");
        let key = stack.root.objects(bucket).await.pop().unwrap_or_else(|| "any".to_owned());
        let get = as_get_image.s3.get_object().bucket(name).key(key).send().await.unwrap_err();
        assert_eq!(get.code(), Some("AccessDenied"), "{bucket}");
    }
}

/// What the stack said of itself, with the credentials that a running function has.
#[cfg(target_os = "linux")]
async fn credentials_of(stack: &Stack, function: &str) -> Ready {
    let process = stack.root.function(function).await["instances"][0].take();
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let variable = |name: &str| {
        let value = environment.split('\0').find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().to_owned()
    };
    let (access_key, secret_key) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    Ready { access_key, secret_key, ..stack.ready().clone() }
}

// --- The gateway and the control routes

#[tokio::test]
async fn a_browser_may_ask_from_elsewhere() {
    let stack = Stack::start(&["--parameter", "AllowedOrigins=https://app.example"]).await;
    let preflight = async |url: &str, origin: &str, method: &str| {
        let request = stack.api.elsewhere(Method::OPTIONS, url).header("origin", origin);
        let request = request.header("access-control-request-method", method);
        answer(request.header("access-control-request-headers", "authorization,content-type")).await
    };
    let api = format!("{}/v1/uploads", stack.ready().api);
    let allowed = preflight(&api, "https://app.example", "POST").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example");
    assert!(allowed.header("access-control-allow-methods").contains("DELETE"));
    assert!(allowed.header("access-control-allow-headers").contains("authorization"));
    let stranger = preflight(&api, "https://elsewhere.example", "POST").await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");

    let bucket = format!("{}/{}", stack.ready().s3, stack.root.name("UploadsBucket"));
    for method in ["PUT", "POST"] {
        let allowed = preflight(&bucket, "https://app.example", method).await;
        assert_eq!(allowed.status, 200, "{}", allowed.text());
        assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example");
    }
    assert_eq!(preflight(&bucket, "https://elsewhere.example", "PUT").await.status, 403);
    assert_eq!(preflight(&bucket, "https://app.example", "DELETE").await.status, 403);

    // Refusals can be read, too: the page must learn what was wrong.
    let request = stack.api.with_key(None).request(Method::GET, "/v1/images");
    let refused = answer(request.header("origin", "https://app.example")).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "https://app.example"));
    let request = stack.api.request(Method::GET, "/v1/images").header("origin", "https://app.example");
    let listed = answer(request).await;
    assert!(listed.header("access-control-expose-headers").contains("link"));
}

#[tokio::test]
async fn the_gateways_own_answers_are_those_of_an_http_api() {
    let stack = Stack::shared().await;
    let nobody = stack.api.with_key(None);
    for (answer, status, message) in [
        (nobody.get("/v1/images").await, 401, "Unauthorized"),
        (stack.api.with_key(Some("tt_x")).get("/v1/images").await, 403, "Forbidden"),
        (nobody.get("/v2/images").await, 404, "Not Found"),
        (stack.api.get("/v1/images/").await, 404, "Not Found"),
    ] {
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.json::<Value>(), json!({ "message": message }));
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.header("apigw-requestid").is_empty());
    }
}

#[tokio::test]
async fn a_page_elsewhere_cannot_control_the_stack() {
    let stack = Stack::shared().await;
    let url = |path: &str| format!("{}/_tintype/{path}", stack.ready().api);
    for path in ["faults", "expire", "timers/Sweep/fire", "functions/Sweep/kill", "queues/UploadsQueue"] {
        let request = stack.api.elsewhere(Method::POST, &url(path)).body("dynamodb=error:100%");
        assert_eq!(answer(request).await.status, 403, "{path}");
        // What a browser asks before it sends a header of its own.
        let request =
            stack.api.elsewhere(Method::OPTIONS, &url(path)).header("origin", "https://evil.example");
        let request = request.header("access-control-request-method", "POST");
        let preflight = answer(request.header("access-control-request-headers", "x-tintype-control")).await;
        assert_eq!(preflight.header("access-control-allow-origin"), "", "{path}");
    }
    assert_eq!(stack.root.depth("UploadsQueue").await, 0);
    assert_eq!(answer(stack.api.elsewhere(Method::GET, &url(""))).await.status, 200);
}

#[tokio::test]
async fn the_stacks_secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let data = TempDir::new().unwrap();
    let _stack = Stack::with_data(data.path()).await;
    for file in ["seed", "first-project.json"] {
        let mode = std::fs::metadata(Path::new(data.path()).join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is {mode:o}");
    }
}
