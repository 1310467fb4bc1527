//! The places of open connections: so many in all, and so many of one address. Where all are taken, the connection that
//! has been idle the longest makes room.

pub(crate) mod activity;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use doorward_core::network::Network;
use tokio::{task::AbortHandle, time::Instant};

use self::activity::Activity;
use crate::{limits::Limits, seldom::Seldom};

/// How many connections are looked at to find an idle one. Each that is busy is looked at later the next time.
const MOST_LOOKED_AT: usize = 256;

/// The places that are taken.
pub(crate) struct Places {
    begun: Instant,
    most: usize,
    most_by_address: usize,
    most_waiting: usize,
    /// Bytes that clients leave waiting.
    waiting: AtomicUsize,
    /// Whether a connection was closed for what it leaves waiting, which is not given back yet.
    gives_back: AtomicBool,
    warning: Seldom,
    open: Mutex<Open>,
}

/// Microseconds since the listener began, and which connection.
type IdleKey = (u64, u64);

#[derive(Default)]
struct Open {
    last_id: u64,
    connections: HashMap<u64, Connection>,
    by_idleness: BTreeSet<IdleKey>,
    by_address: HashMap<Network, BTreeSet<IdleKey>>,
}

struct Connection {
    /// Not later than it is idle since.
    idle_since: u64,
    /// `None` for a trusted proxy.
    address: Option<Network>,
    activity: Arc<Activity>,
    task: Option<AbortHandle>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            begun: Instant::now(),
            most: limits.connections,
            most_by_address: limits.connections_per_address,
            most_waiting: limits.waiting_bytes,
            waiting: AtomicUsize::new(0),
            gives_back: AtomicBool::new(false),
            warning: Seldom::default(),
            open: Mutex::default(),
        }
    }

    /// A place for a connection, which counts for an address unless it is a trusted proxy's. `None` if all are taken by
    /// connections that are busy.
    pub(crate) fn take(self: &Arc<Self>, address: Option<Network>) -> Option<Place> {
        let now = self.now();
        let activity = Arc::new(Activity::new(self.clone()));
        let mut open = self.open();
        if let Some(address) = address {
            open.make_room(Some(address), self.most_by_address, now).then_some(())?;
        }
        open.make_room(None, self.most, now).then_some(())?;
        open.last_id += 1;
        let id = open.last_id;
        open.connections
            .insert(id, Connection { idle_since: now, address: None, activity: activity.clone(), task: None });
        open.by_idleness.insert((now, id));
        open.assign(id, address);
        Some(Place { id, activity, places: self.clone() })
    }

    /// Notes the task of a connection, which is ended if its place is needed.
    pub(crate) fn runs_as(&self, id: u64, task: AbortHandle) {
        if let Some(connection) = self.open().connections.get_mut(&id) {
            connection.task = Some(task);
        }
    }

    /// Notes that bytes wait for a client. If that is too much, the connection that leaves the most waiting is closed:
    /// of the address whose connections do so together.
    pub(crate) fn keep(&self, bytes: usize) {
        let waiting = self.waiting.fetch_add(bytes, Relaxed) + bytes;
        if waiting <= self.most_waiting || self.gives_back.swap(true, Relaxed) {
            return;
        }
        let mut open = self.open();
        match open.largest() {
            Some(id) => {
                if self.warning.is_due() {
                    tracing::warn!(waiting, "closed the connection whose client leaves the most bytes waiting");
                }
                open.close(id);
            }
            None => self.gives_back.store(false, Relaxed),
        }
    }

    /// Notes that bytes no longer wait.
    pub(crate) fn forget(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Relaxed);
    }

    /// Closes all that is open.
    pub(crate) fn close_all(&self) {
        let mut open = self.open();
        let ids: Vec<_> = open.connections.keys().copied().collect();
        for id in ids {
            open.close(id);
        }
    }

    /// Microseconds since the listener began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn instant(&self, micros: u64) -> Instant {
        self.begun + Duration::from_micros(micros)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Makes sure that fewer than `most` places are taken, of an address or in all.
    fn make_room(&mut self, address: Option<Network>, most: usize, now: u64) -> bool {
        if self.by(address).is_none_or(|taken| taken.len() < most) {
            return most > 0;
        }
        for _ in 0..MOST_LOOKED_AT {
            let Some(&(since, id)) = self.by(address).and_then(BTreeSet::first) else { return false };
            let Some(connection) = self.connections.get(&id) else { return false };
            // What runs as no task yet can't be closed.
            let idle_since = connection.activity.idle_since().filter(|_| connection.task.is_some());
            match idle_since {
                Some(idle_since) if idle_since <= since => {
                    self.close(id);
                    return true;
                }
                later => self.move_to(id, later.unwrap_or(now)),
            }
        }
        false
    }

    fn by(&self, address: Option<Network>) -> Option<&BTreeSet<IdleKey>> {
        match address {
            None => Some(&self.by_idleness),
            Some(address) => self.by_address.get(&address),
        }
    }

    fn move_to(&mut self, id: u64, idle_since: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let before = (connection.idle_since, id);
        connection.idle_since = idle_since;
        let by_address = connection.address.and_then(|address| self.by_address.get_mut(&address));
        for set in [Some(&mut self.by_idleness), by_address].into_iter().flatten() {
            set.remove(&before);
            set.insert((idle_since, id));
        }
    }

    /// Counts a connection for an address.
    fn assign(&mut self, id: u64, address: Option<Network>) {
        if let (Some(address), Some(connection)) = (address, self.connections.get_mut(&id)) {
            connection.address = Some(address);
            self.by_address.entry(address).or_default().insert((connection.idle_since, id));
        }
    }

    fn close(&mut self, id: u64) {
        if let Some(task) = self.remove(id).and_then(|connection| connection.task) {
            task.abort();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        let key = (connection.idle_since, id);
        self.by_idleness.remove(&key);
        if let Some(address) = connection.address
            && let Some(set) = self.by_address.get_mut(&address)
        {
            set.remove(&key);
            if set.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(connection)
    }

    /// The connection that leaves the most waiting, of the address whose connections do. What comes through trusted
    /// proxies counts as one address.
    fn largest(&self) -> Option<u64> {
        let mut by_address: HashMap<Option<Network>, (usize, (usize, u64))> = HashMap::new();
        for (id, connection) in &self.connections {
            let waiting = connection.activity.waiting();
            if waiting > 0 && connection.task.is_some() {
                let (all, largest) = by_address.entry(connection.address).or_default();
                *all += waiting;
                *largest = (*largest).max((waiting, *id));
            }
        }
        by_address.into_values().max().map(|(_, (_, id))| id)
    }
}

/// The place of one connection, given back when it is dropped.
pub(crate) struct Place {
    id: u64,
    pub(crate) activity: Arc<Activity>,
    places: Arc<Places>,
}

impl Place {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Counts the connection for the address that a proxy reports. Whether that one has a place left.
    pub(crate) fn assign(&self, address: Network) -> bool {
        let mut open = self.places.open();
        let has_room = open.make_room(Some(address), self.places.most_by_address, self.places.now());
        if has_room {
            open.assign(self.id, Some(address));
        }
        has_room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.open().remove(self.id).is_none() {
            // It was closed to make room, or for what it left waiting, and that is given back now.
            self.places.gives_back.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn places(limits: Limits) -> Arc<Places> {
        Arc::new(Places::new(&limits))
    }

    fn network(last: u8) -> Option<Network> {
        Some(Network::of([192, 0, 2, last].into()))
    }

    /// A connection that holds its place until it is ended.
    struct Held {
        activity: Arc<Activity>,
        task: AbortHandle,
    }

    impl Held {
        fn take(places: &Arc<Places>, address: Option<Network>) -> Option<Self> {
            let place = places.take(address)?;
            let (id, activity) = (place.id(), place.activity.clone());
            let task = tokio::spawn(async move {
                let _place = place;
                pending::<()>().await;
            });
            let task = task.abort_handle();
            places.runs_as(id, task.clone());
            Some(Self { activity, task })
        }

        async fn is_closed(&self) -> bool {
            tokio::time::sleep(SECOND).await;
            self.task.is_finished()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn longest_idle_connection_makes_room_for_a_newcomer() {
        let places = places(Limits { connections: 3, ..Limits::default() });
        let mut held = Vec::new();
        for last in 1..=3 {
            held.push(Held::take(&places, network(last)).unwrap());
            tokio::time::sleep(SECOND).await;
        }
        // The first is busy, and the second had a request after the third.
        let _busy = held[0].activity.begin(false);
        drop(held[1].activity.begin(false));
        held.push(Held::take(&places, network(4)).unwrap());
        for (held, closed) in held.iter().zip([false, false, true, false]) {
            assert_eq!(held.is_closed().await, closed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn newcomer_is_refused_while_all_are_busy() {
        let places = places(Limits { connections: 2, ..Limits::default() });
        let held = [1, 2].map(|last| Held::take(&places, network(last)).unwrap());
        let busy = [held[0].activity.begin(false), held[1].activity.begin(true)];
        assert!(Held::take(&places, network(3)).is_none());
        drop(busy);
        assert!(Held::take(&places, network(3)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn address_at_its_limit_closes_its_own_connection() {
        let places = places(Limits { connections_per_address: 2, ..Limits::default() });
        let other = Held::take(&places, network(1)).unwrap();
        tokio::time::sleep(SECOND).await;
        let held = [(); 3].map(|()| Held::take(&places, network(2)).unwrap());
        assert!(held[0].is_closed().await);
        for open in [&other, &held[1], &held[2]] {
            assert!(!open.is_closed().await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trusted_proxy_does_not_count_as_one_caller() {
        let places = places(Limits { connections_per_address: 1, ..Limits::default() });
        let proxied = [(); 5].map(|()| places.take(None).unwrap());
        assert_eq!(places.open().connections.len(), 5);
        // Its clients count for themselves, where it reports them ahead of the connection.
        assert!(proxied[0].assign(network(1).unwrap()));
        assert!(!proxied[1].assign(network(1).unwrap()), "the first is not idle as a task");
        assert!(proxied[2].assign(network(2).unwrap()));
        drop(proxied);
        assert!(places.open().by_idleness.is_empty() && places.open().by_address.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_leaves_the_most_waiting_is_closed() {
        let places = places(Limits { waiting_bytes: 1_000, ..Limits::default() });
        let honest = Held::take(&places, network(1)).unwrap();
        let many = [(); 4].map(|()| Held::take(&places, network(2)).unwrap());
        let _honest = honest.activity.keep(300);
        let kept: Vec<_> = many.iter().map(|held| held.activity.keep(170)).collect();
        let _last_straw = many[3].activity.keep(100);
        for (held, closed) in many.iter().zip([false, false, false, true]) {
            assert_eq!(held.is_closed().await, closed);
        }
        assert!(!honest.is_closed().await);
        drop(kept);
        assert_eq!(places.waiting.load(Relaxed), 400);
    }
}
