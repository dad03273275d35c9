//! epoll by the rules of epoll(7) and epoll_ctl(2), and against a list that is searched each time.

use super::*;
use crate::ipc::testing::Bell;
use crate::ipc::{EventCounter, Pipe, pipe};
use crate::sync::Waiter;
use linux_raw_sys::general::{
    EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP,
};
use proptest::prelude::*;

fn watched<W: Watched + 'static>(file: &Arc<W>) -> Arc<dyn Watched> {
    file.clone()
}

fn event(events: u32, data: u64) -> EpollEvent {
    EpollEvent { events, data }
}

/// What is reported, as pairs of data and events; nothing is an empty list.
fn wait(epoll: &Epoll, most: usize) -> Vec<(u64, u32)> {
    let mut events = vec![EpollEvent::default(); most];
    let count = epoll.wait(&mut events).unwrap_or_else(|error| {
        assert_eq!(error, Errno::EAGAIN);
        0
    });
    events.iter().take(count).map(|event| (event.data, event.events)).collect()
}

fn pipe_watched(epoll: &Epoll, events: u32) -> (Arc<pipe::End>, Arc<pipe::End>) {
    let (reader, writer) = Pipe::pair();
    epoll.add(3, &watched(&reader), event(events, 7)).unwrap();
    (reader, writer)
}

#[test]
fn a_level_triggered_file_is_reported_as_long_as_it_is_ready() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN);
    assert_eq!(wait(&epoll, 4), []);
    writer.write(0, b"ab").unwrap();
    assert_eq!([wait(&epoll, 4), wait(&epoll, 4)], [[(7, EPOLLIN)], [(7, EPOLLIN)]]);
    reader.read(0, &mut [0; 2]).unwrap();
    assert_eq!(wait(&epoll, 4), []);
    assert!(epoll.state.lock().ready.is_empty());
}

#[test]
fn an_edge_triggered_file_is_reported_once_for_each_time_something_comes() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN | EPOLLET);
    writer.write(0, b"ab").unwrap();
    assert_eq!([wait(&epoll, 4), wait(&epoll, 4)], [vec![(7, EPOLLIN)], vec![]]);
    reader.read(0, &mut [0; 1]).unwrap();
    assert_eq!(wait(&epoll, 4), [], "there is still something, but nothing new");
    writer.write(0, b"c").unwrap();
    assert_eq!(wait(&epoll, 4), [(7, EPOLLIN)]);
    epoll.modify(3, &watched(&reader), event(EPOLLIN | EPOLLET, 8)).unwrap();
    assert_eq!(wait(&epoll, 4), [(8, EPOLLIN)], "a change of settings looks again");
}

#[test]
fn a_one_shot_is_reported_once_until_it_is_set_again() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN | EPOLLONESHOT);
    writer.write(0, b"a").unwrap();
    assert_eq!([wait(&epoll, 4), wait(&epoll, 4)], [vec![(7, EPOLLIN)], vec![]]);
    drop(writer);
    assert_eq!(wait(&epoll, 4), [], "not even that the other side is gone");
    epoll.modify(3, &watched(&reader), event(EPOLLONESHOT, 7)).unwrap();
    assert_eq!([wait(&epoll, 4), wait(&epoll, 4)], [vec![(7, EPOLLHUP)], vec![]]);
}

#[test]
fn failures_are_reported_unasked_and_nothing_else() {
    let epoll = Epoll::new();
    let (reader, writer) = Pipe::pair();
    epoll.add(1, &watched(&reader), event(0, 1)).unwrap();
    epoll.add(2, &watched(&writer), event(EPOLLRDHUP, 2)).unwrap();
    writer.write(0, b"x").unwrap();
    assert_eq!(wait(&epoll, 4), []);
    let other = watched(&reader);
    epoll.remove(1, &other).unwrap();
    drop((reader, other));
    assert_eq!(wait(&epoll, 4), [(2, EPOLLERR)]);
}

#[test]
fn changes_of_the_interest_list_fail_as_documented() {
    struct Regular;
    impl File for Regular {
        fn read(&self, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
            Ok(0)
        }
        fn write(&self, _: u64, _: &[u8]) -> Result<usize, Errno> {
            Ok(0)
        }
        fn poll(&self) -> Readiness {
            Readiness::empty()
        }
        fn changes(&self) -> Option<&WaitQueue> {
            None
        }
    }
    let epoll = Epoll::new();
    let (reader, _writer) = Pipe::pair();
    let file = watched(&reader);
    let (plain, exclusive) = (event(EPOLLIN, 0), event(EPOLLIN | EPOLLEXCLUSIVE, 0));
    assert_eq!(epoll.add(0, &watched(&Arc::new(Regular)), plain), Err(Errno::EPERM));
    assert_eq!(epoll.modify(3, &file, plain), Err(Errno::ENOENT));
    assert_eq!(epoll.remove(3, &file), Err(Errno::ENOENT));
    assert_eq!(epoll.add(3, &file, plain), Ok(()));
    assert_eq!(epoll.add(3, &file, plain), Err(Errno::EEXIST));
    assert_eq!(epoll.add(4, &file, plain), Ok(()), "a duplicate is another item");
    assert_eq!(epoll.modify(3, &file, exclusive), Err(Errno::EINVAL));
    assert_eq!(epoll.add(5, &file, event(EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0)), Err(Errno::EINVAL));
    assert_eq!(epoll.add(5, &file, exclusive), Ok(()));
    assert_eq!(epoll.modify(5, &file, plain), Err(Errno::EINVAL));
    assert_eq!(epoll.add(6, &watched(&Epoll::new()), exclusive), Err(Errno::EINVAL));
    assert_eq!(epoll.wait(&mut []), Err(Errno::EINVAL));
    assert_eq!(epoll.watched(), 3);
    assert_eq!((epoll.remove(3, &file), epoll.watched()), (Ok(()), 2));
    assert_eq!((epoll.read(0, &mut [0]), epoll.write(0, &[0])), (Err(Errno::EINVAL), Err(Errno::EINVAL)));
}

#[test]
fn a_file_that_is_closed_is_watched_no_more() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN);
    writer.write(0, b"x").unwrap();
    drop(reader);
    assert_eq!((wait(&epoll, 4), epoll.watched()), (vec![], 0));
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN);
    writer.write(0, b"x").unwrap();
    drop(reader);
    assert_eq!((epoll.poll(), epoll.watched()), (Readiness::empty(), 0));
}

#[test]
fn closed_files_that_nothing_happens_to_are_forgotten_all_the_same() {
    let epoll = Epoll::new();
    let kept = pipe_watched(&epoll, EPOLLIN);
    for _ in 0..1000 {
        // Closed without a word to the epoll.
        let (reader, _writer) = pipe_watched(&epoll, EPOLLOUT);
        drop(reader);
    }
    assert!(epoll.watched() <= 64, "{}", epoll.watched());
    kept.1.write(0, b"x").unwrap();
    assert_eq!(wait(&epoll, 9).len(), 1);
}

#[test]
fn nothing_is_left_in_the_queues_of_files() {
    let epoll = Epoll::new();
    let (reader, _writer) = pipe_watched(&epoll, EPOLLIN);
    assert!(!reader.changes().unwrap().is_empty());
    epoll.remove(3, &watched(&reader)).unwrap();
    assert!(reader.changes().unwrap().is_empty());
    epoll.add(3, &watched(&reader), event(EPOLLIN, 0)).unwrap();
    let items = Arc::downgrade(&epoll.state.lock().items[0]);
    drop(epoll);
    assert!(reader.changes().unwrap().is_empty() && items.upgrade().is_none());
}

#[test]
fn a_removed_item_is_not_reported_though_it_was_ready() {
    let epoll = Epoll::new();
    let (reader, writer) = pipe_watched(&epoll, EPOLLIN);
    writer.write(0, b"x").unwrap();
    epoll.remove(3, &watched(&reader)).unwrap();
    assert_eq!(wait(&epoll, 4), []);
}

#[test]
fn everybody_has_a_turn_if_there_is_room_for_one() {
    let epoll = Epoll::new();
    let counters: Vec<_> = (0..3).map(|_| EventCounter::new(0, false)).collect();
    for (number, counter) in (0..).zip(&counters) {
        epoll.add(3, &watched(counter), event(EPOLLIN, number)).unwrap();
    }
    for index in [2, 0, 1] {
        counters[index].signal();
    }
    let turns: Vec<u64> = (0..6).flat_map(|_| wait(&epoll, 1)).map(|(data, _)| data).collect();
    assert_eq!(turns, [2, 0, 1, 2, 0, 1], "in the order of events");
}

#[test]
fn one_waiter_is_woken_for_an_event_and_the_next_if_more_is_left() {
    let epoll = Epoll::new();
    let counters = [EventCounter::new(0, false), EventCounter::new(0, false)];
    for counter in &counters {
        epoll.add(3, &watched(counter), event(EPOLLIN | EPOLLET, 0)).unwrap();
    }
    let bells = [Bell::new(), Bell::new()];
    for (_, waker) in &bells {
        epoll.waiters().add(&Waiter::new(waker.clone()));
    }
    counters[0].signal();
    assert_eq!([bells[0].0.rings(), bells[1].0.rings()], [1, 0]);
    assert_eq!(wait(&epoll, 1).len(), 1);
    assert_eq!(bells[1].0.rings(), 0);
    counters[0].signal();
    assert_eq!(bells[1].0.rings(), 1);
}

#[test]
fn of_exclusive_watchers_one_is_told() {
    let epolls = [Epoll::new(), Epoll::new()];
    let (reader, writer) = Pipe::pair();
    for epoll in &epolls {
        epoll.add(3, &watched(&reader), event(EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, 0)).unwrap();
    }
    writer.write(0, b"x").unwrap();
    assert_eq!(epolls.each_ref().map(|epoll| wait(epoll, 4).len()), [1, 0]);
    writer.write(0, b"x").unwrap();
    assert_eq!(epolls.each_ref().map(|epoll| wait(epoll, 4).len()), [0, 1]);
}

#[test]
fn an_epoll_can_be_watched_itself() {
    let (outer, inner) = (Epoll::new(), Epoll::new());
    outer.add(4, &watched(&inner), event(EPOLLIN, 1)).unwrap();
    let (reader, writer) = pipe_watched(&inner, EPOLLIN);
    let (bell, waker) = Bell::new();
    outer.waiters().add(&Waiter::new(waker));
    assert_eq!(wait(&outer, 4), []);
    writer.write(0, b"x").unwrap();
    assert_eq!((bell.rings(), inner.poll()), (1, Readiness::IN | Readiness::RDNORM));
    assert_eq!([wait(&outer, 4), wait(&outer, 4)], [[(1, EPOLLIN)], [(1, EPOLLIN)]]);
    assert_eq!(wait(&inner, 4), [(7, EPOLLIN)]);
    assert_eq!(wait(&outer, 4), [(1, EPOLLIN)]);
    reader.read(0, &mut [0]).unwrap();
    assert_eq!((wait(&outer, 4), inner.poll()), (vec![], Readiness::empty()));
    writer.write(0, b"x").unwrap();
    assert_eq!(wait(&outer, 4), [(1, EPOLLIN)]);
}

#[test]
fn an_edge_triggered_epoll_of_an_epoll_is_reported_once() {
    let (outer, inner) = (Epoll::new(), Epoll::new());
    outer.add(4, &watched(&inner), event(EPOLLIN | EPOLLET, 1)).unwrap();
    let (_reader, writer) = pipe_watched(&inner, EPOLLIN);
    writer.write(0, b"x").unwrap();
    assert_eq!([wait(&outer, 4), wait(&outer, 4)], [vec![(1, EPOLLIN)], vec![]]);
    assert_eq!((wait(&inner, 4), wait(&outer, 4)), (vec![(7, EPOLLIN)], vec![]));
}

#[test]
fn epolls_watch_one_another_neither_in_rings_nor_too_deep() {
    let chain: Vec<_> = (0..6).map(|_| Epoll::new()).collect();
    let any = event(EPOLLIN, 0);
    let watch = |outer: usize, inner: usize| chain[outer].add(4, &watched(&chain[inner]), any);
    assert_eq!(watch(0, 0), Err(Errno::EINVAL));
    assert_eq!([watch(0, 1), watch(1, 2), watch(3, 4)], [Ok(()); 3]);
    assert_eq!(watch(2, 0), Err(Errno::ELOOP));
    assert_eq!(watch(1, 0), Err(Errno::ELOOP));
    assert_eq!(watch(2, 3), Ok(()), "five in a row");
    assert_eq!(watch(4, 5), Err(Errno::ELOOP), "six in a row, at the end");
    assert_eq!(watch(5, 0), Err(Errno::ELOOP), "and at the beginning");
    chain[2].remove(4, &watched(&chain[3])).unwrap();
    assert_eq!(watch(4, 5), Ok(()));
    let (_reader, writer) = pipe_watched(&chain[2], EPOLLIN);
    writer.write(0, b"x").unwrap();
    assert_eq!(wait(&chain[0], 4), [(0, EPOLLIN)]);
}

#[test]
fn very_many_epolls_in_one_are_refused_not_searched_for_ever() {
    let top = Epoll::new();
    let layers: Vec<Vec<_>> = (0..3).map(|_| (0..25).map(|_| Epoll::new()).collect()).collect();
    let mut refused = 0;
    for pair in layers.windows(2) {
        for outer in &pair[0] {
            for inner in &pair[1] {
                let _ = outer.add(4, &watched(inner), event(EPOLLIN, 0));
            }
        }
    }
    for outer in &layers[0] {
        refused += usize::from(top.add(4, &watched(outer), event(EPOLLIN, 0)) == Err(Errno::ELOOP));
    }
    assert_eq!(refused, 25);
}

#[test]
fn events_are_packed_as_the_system_call_has_them() {
    assert_eq!(EpollEvent::SIZE, 12);
    let bytes = event(0x0403_0201, 0x0c0b_0a09_0807_0605).to_bytes();
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(EpollEvent::from_bytes(&bytes).to_bytes(), bytes);
}

/// Wakes a thread that is parked.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn threads_that_write_and_wait_miss_nothing() {
    const EACH: usize = 2000;
    for how in [0, EPOLLET] {
        let epoll = Epoll::new();
        let pipes: Vec<_> = (0..3).map(|_| Pipe::pair()).collect();
        for (index, (reader, _)) in pipes.iter().enumerate() {
            epoll.add(3, &watched(reader), event(EPOLLIN | how, index as u64)).unwrap();
        }
        std::thread::scope(|scope| {
            for (_, writer) in &pipes {
                scope.spawn(|| (0..EACH).for_each(|_| while writer.write(0, b"x").is_err() {}));
            }
            let waiter = Waiter::new(std::task::Waker::from(Arc::new(Unpark(std::thread::current()))));
            let mut received = 0;
            while received < EACH * pipes.len() {
                epoll.waiters().add(&waiter);
                let found = wait(&epoll, 2);
                if found.is_empty() {
                    std::thread::park();
                }
                for (index, _) in found {
                    // An edge is told once: everything is read.
                    while let Ok(count) = pipes[index as usize].0.read(0, &mut [0; 64]) {
                        received += count;
                    }
                }
            }
            epoll.waiters().remove(&waiter);
        });
    }
}

/// One file of the model: what it is asked, and whether something came since it was reported.
#[derive(Clone, Copy, Default)]
struct Model {
    asked: u32,
    came: bool,
    is_member: bool,
}

proptest! {
    #[test]
    fn what_is_reported_is_what_a_search_would_find(
        steps in prop::collection::vec((0..6, 0..4_usize, 0..4_usize), 1..80)
    ) {
        let epoll = Epoll::new();
        let pipes: Vec<_> = (0..4).map(|_| Pipe::pair()).collect();
        let mut writers: Vec<_> = pipes.iter().map(|(_, writer)| Some(writer.clone())).collect();
        let readers: Vec<_> = pipes.into_iter().map(|(reader, _)| reader).collect();
        let mut models = [Model::default(); 4];
        for (step, index, flag) in steps {
            let events = EPOLLIN | [0, EPOLLET, EPOLLONESHOT, EPOLLET | EPOLLONESHOT][flag];
            let (reader, model) = (&readers[index], &mut models[index]);
            let file = watched(reader);
            match step {
                0 => {
                    let expected = if model.is_member { Err(Errno::EEXIST) } else { Ok(()) };
                    prop_assert_eq!(epoll.add(5, &file, event(events, index as u64)), expected);
                    if expected.is_ok() {
                        *model = Model { asked: events | EPOLLHUP, came: true, is_member: true };
                    }
                }
                1 => {
                    let expected = if model.is_member { Ok(()) } else { Err(Errno::ENOENT) };
                    prop_assert_eq!(epoll.modify(5, &file, event(events, index as u64)), expected);
                    if expected.is_ok() {
                        *model = Model { asked: events | EPOLLHUP, came: true, is_member: true };
                    }
                }
                2 if flag == 0 => {
                    let expected = if model.is_member { Ok(()) } else { Err(Errno::ENOENT) };
                    prop_assert_eq!(epoll.remove(5, &file), expected);
                    *model = Model::default();
                }
                3 => {
                    let _ = reader.read(0, &mut [0; 3]);
                }
                4 => {
                    if flag == 3 && index > 1 {
                        model.came |= writers[index].take().is_some();
                    } else if let Some(writer) = &writers[index] {
                        writer.write(0, b"ab").unwrap();
                        model.came = true;
                    }
                }
                _ => {
                    let mut found = wait(&epoll, 9);
                    found.sort_unstable();
                    let mut expected = Vec::new();
                    for (index, model) in models.iter_mut().enumerate() {
                        let ready = readers[index].poll().bits() & model.asked & (EPOLLIN | EPOLLOUT | EPOLLHUP);
                        if ready != 0 && (model.came || model.asked & EPOLLET == 0) {
                            expected.push((index as u64, ready));
                            if model.asked & EPOLLONESHOT != 0 {
                                model.asked = 0;
                            }
                        }
                        model.came = false;
                    }
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }
}
