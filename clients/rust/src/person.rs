//! A person at a browser, who signs in and decides on the real pages.
//!
//! Easy to get wrong: the browser has to land somewhere on its way back to an application. For the confidential client
//! that is the demo's sample app, which redeems no code whose `state` it does not know.

use std::error::Error;

use openidconnect::url::form_urlencoded;
use serde_json::Value;

use crate::browser::{Browser, Tab};
use crate::demo::Demo;

pub struct Person<'d> {
    demo: &'d Demo,
    browser: Browser,
    context: String,
}

/// What a person does at the consent page.
#[derive(Clone, Copy, Default)]
pub struct Acts {
    /// The scopes to leave out.
    pub untick: &'static [&'static str],
    /// Press the button that refuses.
    pub deny: bool,
}

/// How the browser came back to the application.
pub struct Callback {
    /// The parameters of the authorization response.
    pub parameters: Vec<(String, String)>,
    /// The pages that were met on the way: `sign-in`, `consent`.
    pub shown: Vec<&'static str>,
}

impl<'d> Person<'d> {
    /// Starts a browser with a fresh profile.
    pub fn start(demo: &'d Demo) -> Result<Self, Box<dyn Error>> {
        let mut browser = Browser::start()?;
        let context = browser.create_context()?;
        Ok(Self { demo, browser, context })
    }

    /// Goes on with a browser that has no cookies, so that nobody is signed in.
    pub fn forget(&mut self) -> Result<(), Box<dyn Error>> {
        self.browser.dispose_context(&self.context)?;
        self.context = self.browser.create_context()?;
        Ok(())
    }

    /// Follows an authorization request until the browser is back at `redirect_uri`; signs in where asked to.
    pub fn authorize(&mut self, request: &str, redirect_uri: &str, acts: Acts) -> Result<Callback, Box<dyn Error>> {
        let mut tab = self.browser.open(&self.context)?;
        let callback = follow(&mut tab, self.demo, request, redirect_uri, acts);
        tab.close()?;
        callback
    }
}

fn follow(
    tab: &mut Tab<'_>,
    demo: &Demo,
    request: &str,
    redirect_uri: &str,
    acts: Acts,
) -> Result<Callback, Box<dyn Error>> {
    let is_at = |location: &str, path: &str| location.strip_prefix(&demo.issuer).is_some_and(|at| at.starts_with(path));
    let mut shown = Vec::new();
    let mut location = tab.navigate(request)?;
    if is_at(&location, "/sign-in/") {
        shown.push("sign-in");
        location = sign_in(tab, demo)?;
    }
    if is_at(&location, "/consent/") {
        shown.push("consent");
        location = decide(tab, acts)?;
    }
    let query = location.strip_prefix(redirect_uri).and_then(|rest| rest.strip_prefix('?'));
    let query = query.ok_or_else(|| format!("after {shown:?} the browser ended at {location}"))?;
    Ok(Callback { parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), shown })
}

fn sign_in(tab: &mut Tab<'_>, demo: &Demo) -> Result<String, Box<dyn Error>> {
    for (id, value) in [("username", &demo.username), ("password", &demo.password)] {
        tab.evaluate(&format!("{}.value = {}", element(id), Value::from(value.as_str())))?;
    }
    tab.leave_by(&press("sign-in"))
}

fn decide(tab: &mut Tab<'_>, acts: Acts) -> Result<String, Box<dyn Error>> {
    for scope in acts.untick {
        let tick_box = element(&format!("scope-{scope}"));
        tab.evaluate(&format!("{tick_box}.click()"))?;
        if tab.evaluate(&format!("{tick_box}.checked"))? != false {
            return Err(format!("{scope} can't be unticked").into());
        }
    }
    tab.leave_by(&press(if acts.deny { "deny" } else { "allow" }))
}

fn press(id: &str) -> String {
    format!("{}.click()", element(id))
}

/// The expression of an element; JSON is JavaScript.
fn element(id: &str) -> String {
    format!("document.getElementById({})", Value::from(id))
}
