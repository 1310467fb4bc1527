//! Which deliveries may be attempted at the same time, so that no endpoint delays the others.
//!
//! An attempt at an endpoint that never answers holds its place until it times out. So every kind of endpoint that somebody
//! could create in numbers has a share: those of one host, those with limits, those with the same limits, and those that
//! fail. The rest stays free for endpoints that answer.
//!
//! Easy to get wrong: somebody who can choose the port can name one host in many ways. So ports don't count.

use std::collections::BTreeSet;

use crate::{id::WebhookId, rights::Limits, webhook::WebhookMetadata};

/// Attempts at the same time.
pub const IN_ALL: usize = 64;
/// Attempts at one endpoint at the same time, if its last attempt did not fail.
pub const PER_ENDPOINT: usize = 4;
/// Attempts at one endpoint at the same time, if its last attempt failed.
pub const PER_FAILING_ENDPOINT: usize = 1;
/// Attempts at one host at the same time.
pub const PER_HOST: usize = 8;

/// The place of an attempt: what counts for how many others there may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    webhook: WebhookId,
    host: Box<str>,
    limits: Limits,
    is_failing: bool,
}

impl Place {
    /// The place of an attempt at an endpoint. `is_failing`: whether the last attempt at it failed.
    pub fn new(webhook: &WebhookId, metadata: &WebhookMetadata, is_failing: bool) -> Self {
        Self { webhook: webhook.clone(), host: metadata.url.host().into(), limits: metadata.limits(), is_failing }
    }

    /// How many more attempts like this one may begin beside those that hold the places `taken`.
    pub fn free(&self, taken: &[Self]) -> usize {
        let has_limits = |place: &Self| place.limits != Limits::default();
        let rest = |most: usize, counts: &dyn Fn(&Self) -> bool| {
            most.saturating_sub(taken.iter().filter(|place| counts(place)).count())
        };
        let per_endpoint = if self.is_failing { PER_FAILING_ENDPOINT } else { PER_ENDPOINT };
        let mut free = rest(IN_ALL, &|_| true)
            .min(rest(PER_HOST, &|place| place.host == self.host))
            .min(rest(per_endpoint, &|place| place.webhook == self.webhook));
        if self.is_failing {
            free = free
                .min(rest(IN_ALL / 4, &|place| place.is_failing))
                .min(rest(PER_HOST / 2, &|place| place.is_failing && place.host == self.host));
        }
        if has_limits(self) {
            free = free
                .min(rest(IN_ALL / 2, &has_limits))
                .min(rest(IN_ALL / 4, &|place| place.limits == self.limits))
                .min(rest(PER_HOST / 2, &|place| has_limits(place) && place.host == self.host));
        }
        free
    }
}

/// The endpoints that wait for a turn, the one that has waited for longest first.
#[derive(Debug, Default)]
pub struct Turns(Vec<WebhookId>);

impl Turns {
    /// The order in which endpoints have their turn. Those for which nothing is `due` any more leave, and new ones join
    /// behind all others.
    pub fn order(&mut self, due: &[WebhookId]) -> Vec<WebhookId> {
        let mut new: BTreeSet<_> = due.iter().cloned().collect();
        self.0.retain(|id| new.remove(id));
        self.0.extend(new);
        self.0.clone()
    }

    /// Puts an endpoint that had its turn behind all others.
    pub fn had(&mut self, id: &WebhookId) {
        if let Some(place) = self.0.iter().position(|waiting| waiting == id) {
            let id = self.0.remove(place);
            self.0.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, holder::Owner, random::SeededRng, webhook::WebhookUrl};

    /// Places at endpoints of their own.
    struct Endpoints(SeededRng);

    impl Endpoints {
        fn new() -> Self {
            Self(SeededRng::new(7))
        }

        fn id(&self) -> WebhookId {
            WebhookId::new(Timestamp::from_secs(7), &self.0)
        }

        fn at(&self, url: &str, owners: &[&str], is_failing: bool) -> Place {
            let owners = owners.iter().map(|owner| owner.parse::<Owner>().unwrap()).collect();
            let metadata = WebhookMetadata { owners, ..WebhookMetadata::new(WebhookUrl::parse(url).unwrap()) };
            Place::new(&self.id(), &metadata, is_failing)
        }
    }

    /// Takes as many places as there are for attempts at these endpoints.
    fn taken(wanted: impl IntoIterator<Item = Place>) -> Vec<Place> {
        let mut taken = Vec::new();
        for place in wanted {
            let free = place.free(&taken);
            taken.extend(vec![place; free]);
        }
        taken
    }

    #[test]
    fn endpoint_has_four_places_and_one_while_it_fails() {
        let endpoints = Endpoints::new();
        assert_eq!(taken([endpoints.at("https://a.example/", &[], false)]).len(), 4);
        assert_eq!(taken([endpoints.at("https://a.example/", &[], true)]).len(), 1);
    }

    #[test]
    fn ports_of_one_host_share_its_places() {
        let endpoints = Endpoints::new();
        let ports = (1..20).map(|port| endpoints.at(&format!("https://a.example:{port}/"), &[], false));
        assert_eq!(taken(ports).len(), PER_HOST);
    }

    #[test]
    fn failing_endpoints_leave_most_places_free() {
        let endpoints = Endpoints::new();
        let hosts = (0..100).map(|host| endpoints.at(&format!("https://h{host}.example/"), &[], true));
        let mut taken = taken(hosts);
        assert_eq!(taken.len(), 16);
        assert_eq!(endpoints.at("https://other.example/", &[], false).free(&taken), 4);
        taken.clear();
        let paths = (0..100).map(|path| endpoints.at(&format!("https://a.example/{path}"), &[], true));
        taken.extend(self::taken(paths));
        assert_eq!((taken.len(), endpoints.at("https://a.example/", &[], false).free(&taken)), (4, 4));
    }

    #[test]
    fn endpoints_with_limits_leave_half_of_the_places_free() {
        let endpoints = Endpoints::new();
        let of = |owner: &str, host| endpoints.at(&format!("https://{owner}{host}.example/"), &[owner], false);
        let of_one = taken((0..100).map(|host| of("acme", host)));
        assert_eq!(of_one.len(), 16, "endpoints with the same limits have a quarter");
        let owners = ["acme", "bravo", "carol", "delta"];
        let of_all = taken((0..400).map(|host| of(owners[host % 4], host)));
        assert_eq!(of_all.len(), 32);
        assert_eq!(endpoints.at("https://other.example/", &[], false).free(&of_all), 4);
        let one_host = (0..100).map(|path| endpoints.at(&format!("https://a.example/{path}"), &["acme"], false));
        let one_host = taken(one_host);
        assert_eq!((one_host.len(), endpoints.at("https://a.example/", &[], false).free(&one_host)), (4, 4));
    }

    #[test]
    fn places_are_bounded_in_all() {
        let endpoints = Endpoints::new();
        let hosts = (0..100).map(|host| endpoints.at(&format!("https://h{host}.example/"), &[], false));
        assert_eq!(taken(hosts).len(), IN_ALL);
    }

    #[test]
    fn endpoint_that_had_its_turn_is_behind_all_others() {
        let endpoints = Endpoints::new();
        let [a, b, c] = [endpoints.id(), endpoints.id(), endpoints.id()];
        let mut turns = Turns::default();
        assert_eq!(turns.order(&[b.clone(), c.clone()]), [b.clone(), c.clone()]);
        turns.had(&b);
        assert_eq!(turns.order(&[a.clone(), b.clone(), c.clone()]), [c.clone(), b.clone(), a.clone()]);
        assert_eq!(turns.order(&[a.clone(), b.clone()]), [b.clone(), a.clone()], "nothing is due for one of them");
        assert_eq!(turns.order(&[a.clone(), b.clone(), c.clone()]), [b, a, c], "it joins behind all others");
    }
}
