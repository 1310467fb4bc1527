//! A browser: keeps cookies, fills forms, and goes through the pages as a person does.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use reqwest::Method;

use super::{
    answer::{Answer, between},
    caller::Caller,
    request::AuthorizationRequest,
    world::{ALICE, PASSWORD},
};

/// A browser with cookies of its own.
pub(crate) struct Browser {
    pub(crate) caller: Caller,
    cookies: Mutex<BTreeMap<String, String>>,
    /// What neighbours on the host had the browser send before.
    neighbours: Vec<u8>,
}

impl Browser {
    pub(crate) fn new(caller: &Caller) -> Self {
        Self { caller: caller.clone(), cookies: Mutex::default(), neighbours: Vec::new() }
    }

    /// The value of a cookie. The plain name of one of the server's cookies also finds the one with the server's port.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.lock().get(&self.full_name(name)).cloned()
    }

    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.lock().insert(self.full_name(name), value.to_owned());
    }

    pub(crate) fn forget_cookie(&self, name: &str) {
        self.lock().remove(&self.full_name(name));
    }

    fn full_name(&self, name: &str) -> String {
        let port = self.caller.base.rsplit(':').next().unwrap();
        if name.starts_with("doorward-") { format!("{name}-{port}") } else { name.to_owned() }
    }

    /// A second browser with the same cookies.
    pub(crate) fn copy(&self) -> Self {
        self.at(&self.caller)
    }

    /// The same browser at another server. Ports share cookies.
    pub(crate) fn at(&self, caller: &Caller) -> Self {
        let cookies = Mutex::new(self.lock().clone());
        Self { caller: caller.clone(), cookies, neighbours: self.neighbours.clone() }
    }

    /// The same browser with a cookie of a neighbour on the host.
    pub(crate) fn beside(self, neighbour: &[u8]) -> Self {
        Self { neighbours: [neighbour, b"; "].concat(), ..self }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, None).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send(Method::HEAD, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, &[], Some(form)).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, headers, Some(form)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Answer {
        let mut request = self.caller.request(method, path);
        let cookies: Vec<_> = self.lock().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = [&self.neighbours, cookies.join("; ").as_bytes()].concat();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.caller.send(if let Some(form) = form { request.form(form) } else { request }).await;
        self.keep(&answer);
        answer
    }

    fn keep(&self, answer: &Answer) {
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            match cookie.contains("Max-Age=0") {
                true => self.lock().remove(name),
                false => self.lock().insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// Follows redirects as long as they stay at the server.
    pub(crate) async fn follow(&self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            match answer.header("location").map(str::to_owned) {
                Some(path) if path.starts_with('/') => answer = self.get(&path).await,
                _ => return answer,
            }
        }
        panic!("redirects without end")
    }

    /// Sends a form of a page, with some of its fields filled in.
    pub(crate) async fn submit(&self, form: &Form, fields: &[(&str, &str)]) -> Answer {
        let csrf = [("csrf", form.csrf.as_str())];
        self.post(&form.action, &csrf.iter().chain(fields).copied().collect::<Vec<_>>()).await
    }

    /// Signs in for the account page.
    pub(crate) async fn sign_in(&self, username: &str, password: &str) -> Answer {
        let page = self.get("/sign-in").await.expect(200);
        self.submit(&Form::of(&page), &[("username", username), ("password", password)]).await
    }

    /// Goes through the pages of an authorization request as Alice, who allows everything on them. Returns the answer
    /// that leads to the client, or the last page.
    pub(crate) async fn authorize(&self, request: &AuthorizationRequest) -> Answer {
        self.authorize_as(request, ALICE).await
    }

    pub(crate) async fn authorize_as(&self, request: &AuthorizationRequest, username: &str) -> Answer {
        let mut answer = self.follow(self.get(&request.path()).await).await;
        for _ in 0..3 {
            let Some(form) = Form::find(&answer) else { return answer };
            let next = if form.action.starts_with("/sign-in/") {
                self.submit(&form, &[("username", username), ("password", PASSWORD)]).await
            } else {
                self.allow(&form, &form.scopes.iter().map(String::as_str).collect::<Vec<_>>()).await
            };
            answer = self.follow(next).await;
        }
        answer
    }

    /// Allows what is ticked.
    pub(crate) async fn allow(&self, form: &Form, ticked: &[&str]) -> Answer {
        let scopes = ticked.iter().map(|scope| ("scope", *scope));
        self.submit(form, &[("decision", "allow")].into_iter().chain(scopes).collect::<Vec<_>>()).await
    }

    /// The consent page of a request, signed in as Alice.
    pub(crate) async fn consent(&self, request: &AuthorizationRequest) -> Form {
        let page = self.follow(self.get(&request.path()).await).await;
        let form = Form::of(&page);
        if form.action.starts_with("/consent/") {
            return form;
        }
        let answer = self.submit(&form, &[("username", ALICE), ("password", PASSWORD)]).await;
        Form::of(&self.follow(answer).await.expect(200))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A form of a page.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) csrf: String,
    /// The boxes that can be ticked.
    pub(crate) scopes: Vec<String>,
}

impl Form {
    /// The form of a page that has one.
    #[track_caller]
    pub(crate) fn of(page: &Answer) -> Self {
        Self::find(page).unwrap_or_else(|| panic!("no form: {} {:?} {}", page.status, page.headers, page.body))
    }

    /// The first form of a page, if it has one.
    pub(crate) fn find(page: &Answer) -> Option<Self> {
        Self::read(&page.body)
    }

    /// The form of a page that leads to `action` and holds `text`.
    #[track_caller]
    pub(crate) fn to(page: &Answer, action: &str, text: &str) -> Self {
        let forms = page.body.split("<form ").skip(1).filter_map(|form| form.split("</form>").next());
        let mut fitting = forms.filter(|form| form.contains(&format!(r#"action="{action}""#)) && form.contains(text));
        let form = fitting.next().unwrap_or_else(|| panic!("no form to {action} with {text}: {}", page.body));
        Self::read(&format!("<form {form}")).unwrap()
    }

    fn read(html: &str) -> Option<Self> {
        let form = &html[html.find("<form ")?..];
        let boxes = form.split(r#"<input type="checkbox""#).skip(1);
        let open = boxes.filter(|rest| !rest.split('>').next().unwrap_or_default().contains("disabled"));
        Some(Self {
            action: between(form, r#"action=""#, "\"")?.to_owned(),
            csrf: between(form, r#"name="csrf" value=""#, "\"")?.to_owned(),
            scopes: open.filter_map(|rest| between(rest, r#"value=""#, "\"")).map(str::to_owned).collect(),
        })
    }
}
