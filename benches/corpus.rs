//! A made-up world of tools and the questions people ask of it, for the benchmark and the test of `search`.
//! Everything follows from the tables below and a fixed seed; each question has exactly one right answer.
//! Questions and synonym table come from the same hand and share some phrases, so recall here is a gauge for changes
//! and no promise for real tools; on the other side, some of the wording no lexical search can answer.
//! Long because two thirds of it are those tables.

use std::collections::{HashMap, HashSet};
use umcp::search::{Document, Field};

/// A tool as a server would describe it.
pub struct Tool {
    pub key: String,
    pub name: String,
    pub title: String,
    pub description: String,
    pub arguments: Vec<String>,
    pub server: String,
    meaning: Meaning,
}

/// What a tool does, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Meaning {
    service: usize,
    verb: usize,
    object: usize,
}

/// How a question departs from the name of the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Synonyms,
    Order,
    Typo,
    Partial,
    Sentence,
    NoServer,
}

pub struct Question {
    pub text: String,
    pub kind: Kind,
    /// Number of the tool that answers it.
    pub answer: usize,
}

/// Whether the right tool was first, among the first five, among the first ten.
#[derive(Default, Clone, Copy)]
pub struct Recall {
    pub asked: usize,
    pub first: usize,
    pub five: usize,
    pub ten: usize,
}

impl Recall {
    pub fn count(&mut self, place: Option<usize>) {
        self.asked += 1;
        self.first += usize::from(place.is_some_and(|place| place < 1));
        self.five += usize::from(place.is_some_and(|place| place < 5));
        self.ten += usize::from(place.is_some_and(|place| place < 10));
    }

    pub fn share(&self, count: usize) -> f64 {
        count as f64 / self.asked.max(1) as f64
    }
}

/// Texts of the tools in the shape that the index takes.
pub fn fields(tools: &[Tool]) -> Vec<Vec<(Field, &str)>> {
    tools.iter().map(fields_of).collect()
}

fn fields_of(tool: &Tool) -> Vec<(Field, &str)> {
    let mut fields = vec![
        (Field::Name, tool.name.as_str()),
        (Field::Title, tool.title.as_str()),
        (Field::Description, tool.description.as_str()),
        (Field::Server, tool.server.as_str()),
    ];
    fields.extend(tool.arguments.iter().map(|argument| (Field::Argument, argument.as_str())));
    fields
}

pub fn documents<'a>(
    tools: &'a [Tool],
    fields: &'a [Vec<(Field, &'a str)>],
) -> impl Iterator<Item = Document<'a>> {
    tools.iter().zip(fields).map(|(tool, fields)| Document { key: &tool.key, fields })
}

/// `count` tools over as many services as that takes, about 84 each.
pub fn tools(count: usize) -> Vec<Tool> {
    let world = World::new();
    let services = count.div_ceil(84).min(world.services.len());
    let mut tools = Vec::with_capacity(count);
    for service in 0..services {
        let quota = count * (service + 1) / services - count * service / services;
        tools.extend(world.tools_of(service, quota));
    }
    tools
}

/// `count` questions about these tools, kinds in turn.
pub fn questions(tools: &[Tool], count: usize) -> Vec<Question> {
    const KINDS: [Kind; 6] =
        [Kind::Synonyms, Kind::Order, Kind::Typo, Kind::Partial, Kind::Sentence, Kind::NoServer];
    let world = World::new();
    let mut dice = Dice(0x5eed_0002);
    let mut servers: HashMap<(usize, usize), usize> = HashMap::new();
    for tool in tools {
        *servers.entry((tool.meaning.verb, tool.meaning.object)).or_default() += 1;
    }
    let (mut questions, mut asked) = (Vec::with_capacity(count), HashSet::new());
    while questions.len() < count {
        let kind = KINDS[questions.len() % KINDS.len()];
        let answer = dice.below(tools.len());
        let meaning = tools[answer].meaning;
        if kind == Kind::NoServer && servers[&(meaning.verb, meaning.object)] > 1 {
            continue;
        }
        let text = world.ask(kind, meaning, &mut dice);
        if asked.insert(text.clone()) {
            questions.push(Question { text, kind, answer });
        }
    }
    questions
}

struct Verb {
    /// As it stands in names of tools.
    names: Vec<&'static str>,
    /// As it stands in descriptions.
    told: Vec<&'static str>,
    /// As people ask for it; `*` is the object.
    asked: Vec<&'static str>,
    arguments: Vec<&'static str>,
}

struct Object {
    name: &'static str,
    asked: Vec<&'static str>,
}

struct World {
    verbs: Vec<Verb>,
    objects: Vec<Object>,
    /// Objects of each domain.
    domains: Vec<Vec<usize>>,
    /// (name, domain)
    services: Vec<(&'static str, usize)>,
}

impl World {
    fn new() -> Self {
        let list = |text: &'static str, by: char| text.split(by).map(str::trim).collect::<Vec<_>>();
        let verbs = VERBS
            .iter()
            .map(|(names, told, asked, arguments)| Verb {
                names: list(names, '|'),
                told: list(told, '|'),
                asked: list(asked, '|'),
                arguments: arguments.split_whitespace().collect(),
            })
            .collect();
        let (mut objects, mut domains) = (Vec::new(), Vec::new());
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for (_, text) in DOMAINS {
            let mut domain = Vec::new();
            for entry in list(text, ';') {
                let (name, asked) = entry.split_once('=').expect("every object has words for it");
                let next = objects.len();
                let number = *numbers.entry(name).or_insert(next);
                if number == next {
                    objects.push(Object { name, asked: list(asked, '|') });
                }
                domain.push(number);
            }
            domains.push(domain);
        }
        // The first service of every domain, then the second of every domain, and so on.
        let names: Vec<Vec<&str>> = DOMAINS.iter().map(|(names, _)| list(names, ',')).collect();
        let services = (0..6)
            .flat_map(|turn| names.iter().enumerate().map(move |(domain, names)| (names[turn], domain)));
        Self { verbs, objects, domains, services: services.collect() }
    }

    fn tools_of(&self, service: usize, quota: usize) -> Vec<Tool> {
        let mut dice = Dice(0x5eed_0001 + 7919 * service as u64);
        let (server, domain) = self.services[service];
        let style = dice.below(5);
        let mut meanings: Vec<Meaning> = self.domains[domain]
            .iter()
            .flat_map(|object| (0..self.verbs.len()).map(|verb| Meaning { service, verb, object: *object }))
            .collect();
        dice.shuffle(&mut meanings);
        // A service sticks to one word for each verb.
        let words: Vec<usize> = self.verbs.iter().map(|verb| dice.below(verb.names.len())).collect();
        meanings.truncate(quota);
        meanings
            .into_iter()
            .map(|meaning| self.tool(server, style, words[meaning.verb], meaning, &mut dice))
            .collect()
    }

    fn tool(&self, server: &str, style: usize, word: usize, meaning: Meaning, dice: &mut Dice) -> Tool {
        let (verb, object) = (&self.verbs[meaning.verb], &self.objects[meaning.object]);
        let slug = server.replace(' ', "_");
        let parts = format!("{}_{}", verb.names[word], object.name);
        let name = match style {
            0 => parts.clone(),
            1 => camel(&parts),
            2 => parts.replace('_', "-"),
            3 => format!("{slug}_{parts}"),
            _ => format!("{}.{}", object.name, verb.names[word]),
        };
        let title = if dice.below(2) == 0 { String::new() } else { parts.replace('_', " ") };
        let mut arguments = vec![format!("{}_id", object.name)];
        arguments.extend(verb.arguments.iter().map(|argument| (*argument).to_owned()));
        let key = format!("{slug}__{name}");
        Tool {
            key,
            name,
            title,
            description: describe(server, verb, object, dice),
            arguments,
            server: slug,
            meaning,
        }
    }

    fn ask(&self, kind: Kind, meaning: Meaning, dice: &mut Dice) -> String {
        let (verb, object) = (&self.verbs[meaning.verb], &self.objects[meaning.object]);
        let (service, _) = self.services[meaning.service];
        let plain_object = object.name.replace('_', " ");
        let asked = |object: &str, dice: &mut Dice| dice.pick(&verb.asked).replace('*', object);
        match kind {
            Kind::Synonyms => format!("{} {service}", asked(dice.pick(&object.asked), dice)),
            Kind::Order => format!("{service} {plain_object} {}", dice.pick(&verb.names)),
            Kind::Typo => {
                let text = format!("{} in {service}", asked(&plain_object, dice));
                misspell(&text, dice)
            }
            Kind::Partial => {
                let (verb, service) = (dice.pick(&verb.names), service.split(' ').next().unwrap_or(service));
                let text: Vec<String> =
                    format!("{verb} {plain_object}").split(' ').map(|word| cut(word, dice)).collect();
                format!("{service} {}", text.join(" "))
            }
            Kind::Sentence => {
                let object =
                    if dice.below(2) == 0 { plain_object.as_str() } else { dice.pick(&object.asked) };
                let task = asked(object, dice);
                dice.pick(SENTENCES).replace("{task}", &task).replace("{service}", service)
            }
            Kind::NoServer => {
                let object =
                    if dice.below(2) == 0 { plain_object.as_str() } else { dice.pick(&object.asked) };
                asked(object, dice)
            }
        }
    }
}

fn describe(server: &str, verb: &Verb, object: &Object, dice: &mut Dice) -> String {
    let thing =
        if dice.below(3) == 0 { dice.pick(&object.asked).to_owned() } else { object.name.replace('_', " ") };
    let told = dice.pick(&verb.told).replace('*', &thing);
    let told = told[..1].to_uppercase() + &told[1..];
    match dice.below(8) {
        0 => String::new(),
        1 => told,
        2 => format!("{told} in {server}."),
        3 => format!("{told}. Returns the result as JSON; use the cursor for further pages."),
        4 => format!(
            "{told}. Needs the id, which the list operation tells. Fails when the caller has no permission."
        ),
        5 => format!(
            "{told}. Use this tool when the user asks about a {} of the {server} account.",
            dice.pick(&object.asked)
        ),
        6 => format!(
            "{told} through the {server} API. Optional fields keep their present value. Rate limits apply."
        ),
        _ => format!("{told}. Do not use it to search, create or delete; there are other tools for these."),
    }
}

fn camel(parts: &str) -> String {
    let mut words = parts.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// One slip in one word of five letters or more, not in its first letter.
fn misspell(text: &str, dice: &mut Dice) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let long: Vec<usize> =
        (0..words.len()).filter(|at| words[*at].len() >= 5 && words[*at].is_ascii()).collect();
    if let Some(at) = (!long.is_empty()).then(|| long[dice.below(long.len())]) {
        let mut letters: Vec<char> = words[at].chars().collect();
        let place = 1 + dice.below(letters.len() - 2);
        match dice.below(4) {
            0 => letters.swap(place, place + 1),
            1 => drop(letters.remove(place)),
            2 => letters.insert(place, letters[place]),
            _ => letters[place] = char::from(b'a' + dice.below(26) as u8),
        }
        words[at] = letters.into_iter().collect();
    }
    words.join(" ")
}

/// The beginning of a long word.
fn cut(word: &str, dice: &mut Dice) -> String {
    let keep = if word.len() >= 6 { 4 + dice.below(word.len() - 5) } else { word.len() };
    word[..keep].to_owned()
}

/// SplitMix64: the same throws on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            things.swap(at, self.below(at + 1));
        }
    }
}

const SENTENCES: &[&str] = &[
    "I would like to {task} with {service}, how do I do that?",
    "can you {task} on our {service} account before the meeting",
    "what is the right tool to {task} over at {service}",
    "my boss told me to {task} and we use {service} for this",
    "{service}: {task} please, it is urgent",
    "is there anything that lets an agent {task} in {service}",
];

/// Names of tools, words in descriptions, words in questions, arguments.
const VERBS: &[(&str, &str, &str, &str)] = &[
    (
        "create|add|new",
        "create a new *|adds a *|makes one * and returns it",
        "create a *|add a new *|make another *|set up a *|put together a *",
        "title body labels",
    ),
    (
        "list|list_all|get_all",
        "list every *|returns all * entries|enumerates the * collection",
        "list all *|which * do we have|show me every *|give me an overview of each *",
        "limit cursor sort",
    ),
    (
        "get|read|fetch",
        "get one * by id|reads the details of a *|fetches a single *",
        "get a *|show the details of one *|pull up a single *|read a *",
        "include",
    ),
    (
        "update|edit|modify",
        "update a *|changes fields of a *|edit an existing *",
        "update a *|change something on a *|edit the *|adjust an existing *",
        "title body",
    ),
    (
        "delete|remove|destroy",
        "delete a * for good|removes a *|destroys the * and all that belongs to it",
        "delete a *|remove the *|get rid of a *|throw away an old *|wipe the *",
        "confirm",
    ),
    (
        "search|find|query",
        "search * by text|finds * entries that match a filter|query the * index",
        "search for a *|find * by keyword|look up a * by name|hunt down a *",
        "query filter",
    ),
    (
        "archive|retire",
        "archive a *|puts a * away without deleting it",
        "archive a *|put the * away|retire an old *",
        "reason",
    ),
    (
        "restore|recover",
        "restore an archived *|brings a removed * back",
        "restore a *|bring back the *|recover a lost *|undo the removal of a *",
        "version",
    ),
    (
        "export|download",
        "export * as CSV or JSON|download * data as a file",
        "export * to csv|download the *|dump every *|save a copy of the *",
        "format columns",
    ),
    (
        "import|upload",
        "import * from a file|uploads * in bulk",
        "import * from a spreadsheet|upload a batch of *|load * in bulk",
        "source mapping",
    ),
    (
        "duplicate|clone|copy",
        "duplicate a * with its settings|makes a copy of a *",
        "duplicate a *|clone the *|make a second one of this *",
        "new_name",
    ),
    (
        "share|grant_access_to",
        "share a * with people|gives others access to a *",
        "share a * with a colleague|give someone access to the *|let others see a *",
        "email role",
    ),
    (
        "assign|set_owner_of",
        "assign a * to a person|sets who is responsible for a *",
        "assign the * to someone|hand a * over to a colleague|make somebody responsible for a *",
        "assignee",
    ),
    (
        "watch|subscribe_to|follow",
        "subscribe to changes of a *|watch a * and be told when it changes",
        "follow a *|get notified when a * changes|keep an eye on the *",
        "callback_url",
    ),
    (
        "count|get_stats_of",
        "count * entries|returns statistics about *",
        "how many * are there|count each *|numbers and statistics about *",
        "group_by",
    ),
];

/// Services of a domain, and its objects with the other words that people have for them.
const DOMAINS: &[(&str, &str)] = &[
    (
        "github,gitlab,bitbucket,gitea,forgejo,codeberg",
        "repository=repo|code base;issue=ticket|bug report;pull_request=pr|merge request|code review;branch=git branch|line of work;commit=revision|change set;release=published version|changelog entry;workflow_run=ci run|build pipeline;gist=snippet|code fragment;deploy_key=ssh key|machine access key;milestone=target date|iteration goal",
    ),
    (
        "jira,linear,asana,trello,clickup,youtrack",
        "task=todo|work item;epic=big initiative|theme;sprint=iteration|two week cycle;board=kanban|swimlanes;backlog=queue of upcoming work|unplanned work;time_entry=worklog|logged hours;checklist=subtasks|steps to tick off;custom_field=extra attribute|own property;automation_rule=trigger|bot rule;roadmap=long term plan|gantt",
    ),
    (
        "gmail,outlook,fastmail,protonmail,zoho mail,mailbox",
        "email=mail|message in my inbox;draft=unsent mail|unfinished message;mail_label=category|coloured tag;mail_filter=inbox rule|sorting rule;attachment=enclosed file|document in a mail;signature=footer|closing lines;mail_thread=conversation|reply chain;mailing_list=distribution list|newsletter recipients;vacation_reply=out of office notice|auto responder;blocked_sender=spam address|blacklist entry",
    ),
    (
        "google calendar,calendly,cronofy,caldav,teamup,nextcloud calendar",
        "event=meeting|appointment;attendee=participant|guest;calendar=agenda|diary;reminder=alarm|nudge;availability=free slots|open times;recurring_event=weekly series|repeating appointment;room_booking=meeting room|reserved room;time_zone=local clock|region offset;invitation=rsvp|invite;working_hours=office hours|shift",
    ),
    (
        "slack,discord,teams,mattermost,rocketchat,telegram",
        "channel=chat room|conversation space;chat_message=post|line of chat;direct_message=dm|private note;reaction=emoji|thumbs up;user_group=handle|mention group;pinned_item=pin|sticky post;thread_reply=answer below a message|threaded response;presence=online status|away state;incoming_webhook=inbound hook|posting url;huddle=voice call|audio room",
    ),
    (
        "postgres,mysql,mongodb,supabase,snowflake,bigquery",
        "database=db|schema store;table=relation|collection of rows;row=record|entry;column=field|attribute;index=lookup structure|query accelerator;view=saved query|virtual table;stored_procedure=server side function|sql routine;db_user=role|login of the database;connection_pool=pooled sessions|open connections;query_plan=explain output|slow query analysis",
    ),
    (
        "aws,azure,google cloud,digitalocean,hetzner,linode",
        "instance=virtual machine|server;bucket=object storage|blob container;security_group=firewall|network rules;load_balancer=traffic distributor|reverse proxy;dns_record=domain entry|cname;snapshot=disk image|point in time copy;volume=disk|block storage;lambda_function=serverless function|cloud function;iam_role=permission set|service account;vpc=private network|subnet",
    ),
    (
        "datadog,grafana,sentry,new relic,honeycomb,prometheus",
        "dashboard=chart page|graphs;monitor=health check|threshold;alert_rule=alarm|paging condition;error_group=exception|crash;log_entry=log line|server output;trace=span tree|request timing;metric=time series|gauge;incident=outage|on call event;service_level=slo|uptime target;status_page=public uptime notice|maintenance notice",
    ),
    (
        "stripe,paypal,adyen,mollie,braintree,square",
        "payment=charge|money transfer;refund=money back|reimbursement;customer=client|buyer;subscription=recurring plan|membership;payout=bank transfer|settlement;dispute=chargeback|contested charge;coupon=discount code|promotion;payment_method=saved card|bank account;tax_rate=vat|sales tax;checkout_session=cart page|hosted payment page",
    ),
    (
        "salesforce,hubspot,pipedrive,zoho crm,attio,copper",
        "lead=prospect|potential buyer;deal=opportunity|sale in progress;contact=person|address book entry;company=account|organization;pipeline_stage=funnel step|sales phase;quote=offer|price proposal;campaign=marketing drive|outreach;call_log=phone note|logged call;territory=sales region|area;forecast=expected revenue|projection",
    ),
    (
        "shopify,woocommerce,magento,bigcommerce,etsy,amazon seller",
        "product=article for sale|merchandise;order=purchase|sale;inventory_level=stock|units on hand;shipment=parcel|delivery;product_variant=size or colour|sku;collection=product group|catalog section;gift_card=voucher|store credit;return_request=sent back goods|rma;storefront_theme=shop design|template;abandoned_cart=unfinished checkout|left basket",
    ),
    (
        "notion,confluence,obsidian,evernote,coda,outline",
        "page=wiki article|document;note=memo|jotting;space=knowledge base|team area;page_comment=remark|annotation;template=blueprint|boilerplate;page_version=earlier revision|history entry;tag=keyword|topic;backlink=reference|mention from elsewhere;table_block=embedded grid|inline sheet;task_list=to do list|checkboxes",
    ),
    (
        "google drive,dropbox,onedrive,box,nextcloud,sharepoint",
        "file=document|upload;folder=directory|dir;shared_link=public url|download address;file_permission=access right|who can open it;file_version=older copy|revision;trash_item=deleted file|bin content;shared_drive=team storage|common space;file_comment=review note|remark;upload_session=chunked transfer|resumable upload;storage_quota=space left|disk allowance",
    ),
    (
        "kubernetes,docker,nomad,openshift,portainer,rancher",
        "pod=running unit|workload instance;deployment=rollout|release of a workload;container=docker process|box;image=layered build|registry artifact;namespace=cluster partition|tenant;config_map=settings object|environment values;cluster_secret=credential|sensitive value;ingress=http entry|public route;cron_job=scheduled task|nightly job;node=worker machine|cluster host",
    ),
    (
        "spotify,youtube,soundcloud,vimeo,plex,podbean",
        "playlist=list of songs|mix;track=song|tune;album=record|lp;artist=musician|band;video=clip|recording;caption=subtitle|transcript;podcast_episode=show|talk;listening_history=recently played|what I heard;live_stream=broadcast|live show;media_library=collection of titles|my saved media",
    ),
    (
        "openweather,mapbox,google maps,here maps,tomtom,accuweather",
        "weather_forecast=outlook for the next days|temperature and rain;place=point of interest|location;route=driving directions|way to go;geocode=coordinates|latitude of an address;air_quality=pollution|smog level;traffic_report=congestion|jam;map_tile=map picture|raster;storm_warning=severe weather notice|hurricane alert;elevation=height above sea|altitude;isochrone=reachable area|travel time zone",
    ),
    (
        "workday,bamboohr,personio,gusto,rippling,deel",
        "employee=staff member|worker;leave_request=vacation|time off;payslip=salary statement|wage slip;job_opening=vacancy|position;applicant=candidate|job seeker;performance_review=appraisal|yearly feedback;benefit_plan=health insurance|perk;onboarding=first day program|new hire steps;timesheet=hours worked|attendance;org_chart=reporting lines|hierarchy",
    ),
    (
        "zendesk,intercom,freshdesk,helpscout,front,gorgias",
        "support_ticket=customer request|help case;macro=canned answer|prepared reply;help_article=faq|self service page;satisfaction_rating=csat|happy or unhappy score;agent_group=support team|crew;sla_policy=response deadline|service promise;chat_transcript=conversation log|what was said;customer_segment=audience|kind of users;ticket_form=request form|intake questions;escalation=second level|handover to experts",
    ),
    (
        "twitter,linkedin,mastodon,bluesky,instagram,reddit",
        "social_post=tweet|status;follower=fan|audience member;hashtag=trend|topic;poll=vote|survey;profile=bio|about me;mention=someone naming us|shout;ad_campaign=sponsored content|paid promotion;community=subreddit|interest group;story=daily clip|short lived picture;engagement=likes|impressions",
    ),
    (
        "figma,canva,miro,sketch,zeplin,framer",
        "design_file=mockup|layout;component=reusable element|symbol;frame=artboard|screen;design_comment=feedback|critique;style_guide=design tokens|colour palette;prototype=click dummy|interactive demo;whiteboard=canvas|sticky notes;icon=glyph|pictogram;font=typeface|lettering;slide_deck=presentation|slides",
    ),
];
