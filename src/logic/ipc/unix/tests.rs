//! Sockets by the rules of unix(7), and streams against a queue of bytes and files.

use super::connection::Ending;
use super::*;
use crate::ipc::testing::{Bell, Memory};
use crate::sync::Waiter;
use proptest::prelude::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const ME: Credentials = Credentials { process: 10, user: 20, group: 30 };
const OTHER: Credentials = Credentials { process: 11, user: 21, group: 31 };

fn abstract_name(name: &[u8]) -> Address {
    Address::Abstract(name.iter().copied().collect())
}

fn socket(domain: &Arc<Domain>, kind: Kind) -> Arc<Socket> {
    Socket::new(domain, kind, ME)
}

fn send(socket: &Socket, bytes: &[u8]) -> Result<usize, Errno> {
    socket.write(0, bytes)
}

fn receive(socket: &Socket, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; most];
    let count = socket.read(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

fn listener(domain: &Arc<Domain>, kind: Kind, name: &[u8], backlog: usize) -> Arc<Socket> {
    let listener = socket(domain, kind);
    listener.bind(&abstract_name(name)).unwrap();
    listener.listen(backlog, OTHER).unwrap();
    listener
}

/// An open description of a socket, or of something else that is counted.
enum Description {
    Socket(Arc<Socket>),
    Counted(u32, Arc<AtomicUsize>),
}

impl Passed for Description {
    fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Socket(socket) => Some(socket),
            Self::Counted(..) => None,
        }
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        if let Self::Counted(_, count) = self {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn counted(number: u32, count: &Arc<AtomicUsize>) -> Arc<dyn Passed> {
    count.fetch_add(1, Ordering::Relaxed);
    Arc::new(Description::Counted(number, count.clone()))
}

fn description(socket: Arc<Socket>) -> Arc<dyn Passed> {
    Arc::new(Description::Socket(socket))
}

fn pass(socket: &Socket, bytes: &[u8], rights: Rights) -> Result<usize, Errno> {
    let mut rights = rights;
    socket.send(bytes, None, ME, &mut rights)
}

#[test]
fn a_pair_of_streams_carries_bytes_both_ways_until_one_is_closed() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    assert_eq!(receive(&other, 9), Err(Errno::EAGAIN));
    send(&one, b"ab").unwrap();
    send(&one, b"c").unwrap();
    send(&other, b"x").unwrap();
    assert_eq!(receive(&other, 2).unwrap(), b"ab");
    assert_eq!(receive(&one, 9).unwrap(), b"x");
    drop(one);
    assert_eq!(receive(&other, 9).unwrap(), b"c");
    assert_eq!(receive(&other, 9).unwrap(), b"");
    assert_eq!(send(&other, b"x"), Err(Errno::EPIPE));
    let all = Readiness::IN | Readiness::RDNORM | Readiness::OUT | Readiness::WRNORM;
    assert_eq!(other.poll(), all | Readiness::HUP | Readiness::RDHUP);
}

#[test]
fn a_peer_that_left_something_unread_has_broken_off() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    send(&one, b"unread").unwrap();
    send(&other, b"read").unwrap();
    drop(other);
    assert!(one.poll().contains(Readiness::ERR | Readiness::HUP));
    assert_eq!(receive(&one, 9).unwrap(), b"read");
    assert_eq!(receive(&one, 9), Err(Errno::ECONNRESET));
    assert_eq!(receive(&one, 9).unwrap(), b"");
}

#[test]
fn packets_keep_their_bounds_and_their_rest_is_lost() {
    for kind in [Kind::SequencedPacket, Kind::Datagram] {
        let (one, other) = Socket::pair(&Domain::new(), kind, ME);
        for bytes in [&b"abc"[..], b"", b"de"] {
            send(&one, bytes).unwrap();
        }
        let mut bytes = [0; 2];
        let peeked = other.receive(&mut bytes, Receiving { peek: true, whole: false }).unwrap();
        assert_eq!((peeked.copied, peeked.length, &bytes), (2, 3, b"ab"));
        let received = other.receive(&mut bytes, Receiving::default()).unwrap();
        assert_eq!((received.copied, received.length), (2, 3));
        assert_eq!(receive(&other, 9).unwrap(), b"");
        assert_eq!(receive(&other, 9).unwrap(), b"de");
        assert_eq!(receive(&other, 9), Err(Errno::EAGAIN));
        assert_eq!(send(&one, &vec![0; options::USUAL_BUFFER]), Err(Errno::EMSGSIZE));
    }
}

#[test]
fn a_stream_takes_what_the_sender_s_buffer_holds() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    let sent = send(&one, &vec![1; 1 << 20]).unwrap();
    assert!((options::USUAL_BUFFER / 2..options::USUAL_BUFFER).contains(&sent), "{sent}");
    assert_eq!(send(&one, b"x"), Err(Errno::EAGAIN));
    assert!(!one.poll().contains(Readiness::OUT) && other.poll().contains(Readiness::OUT));
    let (bell, waker) = Bell::new();
    one.changes().unwrap().add(&Waiter::new(waker));
    receive(&other, 5000).unwrap();
    assert_eq!(bell.rings(), 0, "not for a little room");
    receive(&other, 1 << 20).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(one.poll().contains(Readiness::OUT));
    assert_eq!(one.account.used(), 0);
}

#[test]
fn many_small_writes_do_not_use_up_the_buffer() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    for _ in 0..10_000 {
        assert_eq!(send(&one, b"x"), Ok(1));
    }
    assert_eq!(receive(&other, 20_000).unwrap().len(), 10_000);
}

#[test]
fn connections_wait_to_be_accepted_and_say_who_made_them() {
    let domain = Domain::new();
    for kind in [Kind::Stream, Kind::SequencedPacket] {
        let listener = listener(&domain, kind, b"name", 0);
        let client = socket(&domain, kind);
        assert_eq!(listener.accept().err(), Some(Errno::EAGAIN));
        assert!(client.poll().contains(Readiness::HUP));
        client.connect(&domain.find(kind, &abstract_name(b"name")).unwrap(), ME).unwrap();
        assert_eq!(listener.poll(), Readiness::IN | Readiness::RDNORM);
        send(&client, b"early").unwrap();
        let server = listener.accept().unwrap();
        assert_eq!(receive(&server, 9).unwrap(), b"early");
        send(&server, b"hello").unwrap();
        assert_eq!(receive(&client, 9).unwrap(), b"hello");
        assert_eq!(server.option(net::SO_PEERCRED).unwrap().as_slice(), ME.to_bytes());
        assert_eq!(client.option(net::SO_PEERCRED).unwrap().as_slice(), OTHER.to_bytes());
        assert_eq!((client.peer_name(), client.name()), (Ok(abstract_name(b"name")), Address::Unnamed));
        assert_eq!((server.peer_name(), server.name()), (Ok(Address::Unnamed), abstract_name(b"name")));
        drop(server);
        assert!(domain.find(kind, &abstract_name(b"name")).is_ok(), "the name is the listener's");
        assert_eq!(client.connect(&listener, ME), Err(Errno::EISCONN));
    }
}

#[test]
fn who_finds_the_backlog_full_is_woken_when_one_is_accepted() {
    let domain = Domain::new();
    let listener = listener(&domain, Kind::Stream, b"l", 1);
    let clients: Vec<_> = (0..4).map(|_| socket(&domain, Kind::Stream)).collect();
    let outcomes: Vec<_> = clients.iter().map(|client| client.connect(&listener, ME)).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(Errno::EAGAIN), Err(Errno::EAGAIN)]);
    let (bell, waker) = Bell::new();
    clients[2].changes().unwrap().add(&Waiter::new(waker));
    listener.accept().unwrap();
    assert_eq!((bell.rings(), clients[2].connect(&listener, ME)), (1, Ok(())));
    assert_eq!(clients[3].connect(&listener, ME), Err(Errno::EAGAIN));
    let (bell, waker) = Bell::new();
    clients[3].changes().unwrap().add(&Waiter::new(waker));
    drop(listener);
    assert_eq!(bell.rings(), 1);
    assert_eq!(receive(&clients[1], 9), Err(Errno::ECONNRESET), "it was never accepted");
}

#[test]
fn connecting_fails_as_documented() {
    let domain = Domain::new();
    let listener = listener(&domain, Kind::Stream, b"l", 9);
    let fresh = || socket(&domain, Kind::Stream);
    assert_eq!(fresh().connect(&fresh(), ME), Err(Errno::ECONNREFUSED));
    assert_eq!(socket(&domain, Kind::Datagram).connect(&listener, ME), Err(Errno::EPROTOTYPE));
    assert_eq!(listener.connect(&listener, ME), Err(Errno::EINVAL));
    assert_eq!(domain.find(Kind::Stream, &abstract_name(b"none")).err(), Some(Errno::ECONNREFUSED));
    assert_eq!(fresh().listen(1, ME), Err(Errno::EINVAL), "without a name");
    assert_eq!(socket(&domain, Kind::Datagram).listen(1, ME), Err(Errno::EOPNOTSUPP));
    assert_eq!(fresh().accept().err(), Some(Errno::EINVAL));
    assert_eq!((send(&fresh(), b"x"), receive(&fresh(), 1)), (Err(Errno::ENOTCONN), Err(Errno::EINVAL)));
    assert_eq!(receive(&socket(&domain, Kind::SequencedPacket), 1), Err(Errno::ENOTCONN));
    assert_eq!(fresh().peer_name(), Err(Errno::ENOTCONN));
    let target = Some(&listener);
    assert_eq!(fresh().send(b"x", target, ME, &mut Rights::new()), Err(Errno::EOPNOTSUPP));
    let client = fresh();
    client.connect(&listener, ME).unwrap();
    assert_eq!(client.send(b"x", target, ME, &mut Rights::new()), Err(Errno::EISCONN));
    assert_eq!(client.listen(1, ME), Err(Errno::EINVAL));
    listener.shut_down(Ending { receiving: true, sending: false });
    assert_eq!(fresh().connect(&listener, ME), Err(Errno::ECONNREFUSED));
    assert!(listener.accept().is_ok());
    assert_eq!(listener.accept().err(), Some(Errno::EINVAL));
    let kinds = [1, 2, 5, 3].map(Kind::from_number);
    assert_eq!(kinds, [Ok(Kind::Stream), Ok(Kind::Datagram), Ok(Kind::SequencedPacket), Ok(Kind::Datagram)]);
    assert_eq!(Kind::from_number(4), Err(Errno::ESOCKTNOSUPPORT));
}

#[test]
fn a_failed_connect_leaves_a_socket_that_can_connect() {
    let domain = Domain::new();
    let client = socket(&domain, Kind::Stream);
    assert_eq!(client.connect(&socket(&domain, Kind::Stream), ME), Err(Errno::ECONNREFUSED));
    client.connect(&listener(&domain, Kind::Stream, b"l", 0), ME).unwrap();
    assert_eq!(receive(&client, 1), Err(Errno::ECONNRESET), "the listener has gone already");
}

#[test]
fn names_are_unique_and_free_again_when_their_socket_has_gone() {
    let domain = Domain::new();
    let first = socket(&domain, Kind::Datagram);
    first.bind(&abstract_name(b"x")).unwrap();
    assert_eq!(socket(&domain, Kind::Datagram).bind(&abstract_name(b"x")), Err(Errno::EADDRINUSE));
    assert_eq!(first.bind(&abstract_name(b"y")), Err(Errno::EINVAL));
    drop(first);
    let second = socket(&domain, Kind::Datagram);
    assert_eq!(second.bind(&abstract_name(b"x")), Ok(()));
    let automatic = [(); 2].map(|()| {
        let socket = socket(&domain, Kind::Datagram);
        socket.bind(&Address::Unnamed).unwrap();
        (socket.name(), socket)
    });
    assert_eq!([&automatic[0].0, &automatic[1].0], [&abstract_name(b"00001"), &abstract_name(b"00002")]);
    let path = Address::Path(b"/tmp/s".iter().copied().collect());
    let third = socket(&domain, Kind::Datagram);
    assert_eq!((third.bind(&path), third.name()), (Ok(()), path));
}

#[test]
fn datagrams_go_where_they_are_sent_or_to_the_peer() {
    let domain = Domain::new();
    let [one, other, third] = [b"1", b"2", b"3"].map(|name| {
        let socket = socket(&domain, Kind::Datagram);
        socket.bind(&abstract_name(name)).unwrap();
        socket
    });
    assert_eq!(send(&one, b"x"), Err(Errno::ENOTCONN));
    assert_eq!(one.send(b"to 2", Some(&other), ME, &mut Rights::new()), Ok(4));
    let received = other.receive(&mut [0; 9], Receiving::default()).unwrap();
    assert_eq!((received.copied, received.sender), (4, abstract_name(b"1")));
    one.connect(&other, ME).unwrap();
    assert_eq!(send(&one, b"x"), Ok(1));
    other.connect(&one, ME).unwrap();
    assert_eq!(third.send(b"x", Some(&other), ME, &mut Rights::new()), Err(Errno::EPERM));
    assert_eq!(third.connect(&other, ME), Err(Errno::EPERM));
    let stream = socket(&domain, Kind::Stream);
    assert_eq!(third.send(b"x", Some(&stream), ME, &mut Rights::new()), Err(Errno::EPROTOTYPE));
    drop(other);
    assert_eq!([send(&one, b"x"), send(&one, b"x")], [Err(Errno::ECONNREFUSED), Err(Errno::ENOTCONN)]);
    one.connect(&third, ME).unwrap();
    one.disconnect().unwrap();
    assert_eq!((send(&one, b"x"), one.peer_name()), (Err(Errno::ENOTCONN), Err(Errno::ENOTCONN)));
    assert_eq!(stream.disconnect(), Err(Errno::EINVAL));
}

#[test]
fn who_finds_an_inbox_full_waits_until_something_is_received() {
    let domain = Domain::new();
    let (sender, receiver) = (socket(&domain, Kind::Datagram), socket(&domain, Kind::Datagram));
    sender.connect(&receiver, ME).unwrap();
    for _ in 0..=options::MOST_DATAGRAMS {
        assert_eq!(send(&sender, b"x"), Ok(1));
    }
    assert_eq!(send(&sender, b"x"), Err(Errno::EAGAIN));
    assert!(!sender.poll().contains(Readiness::OUT));
    let (bell, waker) = Bell::new();
    sender.changes().unwrap().add(&Waiter::new(waker));
    receive(&receiver, 1).unwrap();
    assert_eq!(bell.rings(), 1);
    assert!(sender.poll().contains(Readiness::OUT));
}

#[test]
fn a_direction_that_is_shut_down_ends_at_both_sides() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    send(&one, b"last").unwrap();
    one.shut_down(Ending::from_number(1).unwrap());
    assert_eq!(send(&one, b"x"), Err(Errno::EPIPE));
    assert!(other.poll().contains(Readiness::RDHUP | Readiness::IN) && !other.poll().contains(Readiness::HUP));
    assert_eq!((receive(&other, 9).unwrap(), receive(&other, 9).unwrap()), (b"last".to_vec(), vec![]));
    send(&other, b"still").unwrap();
    assert_eq!(receive(&one, 9).unwrap(), b"still");
    one.shut_down(Ending::from_number(0).unwrap());
    assert_eq!(send(&other, b"x"), Err(Errno::EPIPE));
    assert!(one.poll().contains(Readiness::HUP) && other.poll().contains(Readiness::HUP));
    assert_eq!(Ending::from_number(3), Err(Errno::EINVAL));
}

#[test]
fn open_files_go_along_and_end_what_is_read_at_once() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    let count = Arc::default();
    send(&one, b"four").unwrap();
    pass(&one, b"1", vec![counted(5, &count), counted(6, &count)]).unwrap();
    send(&one, b"more").unwrap();
    let mut bytes = [0; 20];
    let peeked = other.receive(&mut bytes, Receiving { peek: true, whole: false }).unwrap();
    assert_eq!((peeked.copied, peeked.rights.len()), (5, 2));
    drop(peeked);
    let received = other.receive(&mut bytes, Receiving::default()).unwrap();
    assert_eq!((received.copied, &bytes[..5], received.rights.len()), (5, &b"four1"[..], 2));
    let numbers: Vec<u32> = received.rights.iter().map(number_of).collect();
    assert_eq!((numbers, other.domain.in_flight()), (vec![5, 6], 0));
    assert_eq!(receive(&other, 20).unwrap(), b"more");
    drop(received);
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

fn number_of(passed: &Arc<dyn Passed>) -> u32 {
    match (&**passed as &dyn std::any::Any).downcast_ref() {
        Some(Description::Counted(number, _)) => *number,
        _ => panic!("counted"),
    }
}

#[test]
fn open_files_that_nobody_receives_are_let_go() {
    let count = Arc::default();
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    for _ in 0..3 {
        pass(&one, b"x", vec![counted(1, &count)]).unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert_eq!(receive(&other, 1).unwrap(), b"x");
    assert_eq!((count.load(Ordering::Relaxed), one.domain.in_flight()), (2, 2));
    drop(other);
    assert_eq!((count.load(Ordering::Relaxed), one.domain.in_flight()), (0, 0));
    let mut rights = vec![counted(1, &count)];
    assert_eq!(one.send(b"x", None, ME, &mut rights), Err(Errno::EPIPE));
    assert_eq!((rights.len(), one.domain.in_flight()), (1, 0), "the sender has it again");
    let many = (0..=MOST_PER_MESSAGE).map(|_| counted(1, &count)).collect();
    assert_eq!(pass(&one, b"x", many), Err(Errno::EINVAL));
}

#[test]
fn only_so_many_open_files_are_on_their_way() {
    let count = Arc::default();
    let domain = Domain::new();
    let (one, other) = Socket::pair(&domain, Kind::Stream, ME);
    let many = || (0..MOST_PER_MESSAGE).map(|_| counted(1, &count)).collect();
    while pass(&one, b"x", many()).is_ok() {}
    assert_eq!(pass(&one, b"x", many()), Err(Errno::ETOOMANYREFS));
    assert!(domain.in_flight() <= MOST_IN_FLIGHT && domain.in_flight() + MOST_PER_MESSAGE > MOST_IN_FLIGHT);
    drop(other);
    assert_eq!((domain.in_flight(), count.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn sockets_that_wait_in_one_another_s_inboxes_are_freed() {
    let domain = Domain::new();
    let count = Arc::default();
    for length in 1..5 {
        // Each socket's inbox holds the next one, and something that is counted.
        let pairs: Vec<_> = (0..length).map(|_| Socket::pair(&domain, Kind::Stream, ME)).collect();
        let kept: Vec<_> = pairs.iter().map(|(one, _)| description(one.clone())).collect();
        for (index, (_, other)) in pairs.iter().enumerate() {
            let next = kept[(index + 1) % length].clone();
            pass(other, b"x", vec![next, counted(0, &count)]).unwrap();
        }
        let alive: Vec<_> = pairs.iter().map(|(one, _)| Arc::downgrade(one)).collect();
        let last = kept[0].clone();
        drop((pairs, kept));
        domain.free_lost();
        assert!(alive.iter().all(|socket| socket.strong_count() > 0), "one of them can be reached, so all can");
        drop(last);
        domain.free_lost();
        assert!(alive.iter().all(|socket| socket.strong_count() == 0));
        assert_eq!((count.load(Ordering::Relaxed), domain.in_flight()), (0, 0));
    }
}

#[test]
fn a_listener_that_waits_in_a_connection_to_itself_is_freed() {
    let domain = Domain::new();
    let listener = listener(&domain, Kind::Stream, b"l", 5);
    let client = socket(&domain, Kind::Stream);
    client.connect(&listener, ME).unwrap();
    let alive = Arc::downgrade(&listener);
    pass(&client, b"x", vec![description(listener)]).unwrap();
    domain.free_lost();
    assert_eq!((alive.strong_count(), domain.in_flight()), (0, 0));
    assert_eq!(receive(&client, 1), Err(Errno::ECONNRESET));
}

#[test]
fn a_long_chain_of_sockets_is_freed_without_much_stack() {
    let run = || {
        let domain = Domain::new();
        let mut head = Socket::pair(&domain, Kind::Stream, ME);
        for _ in 0..3000 {
            let next = Socket::pair(&domain, Kind::Stream, ME);
            pass(&next.1, b"x", vec![description(head.0), description(head.1)]).map(drop).unwrap_or_default();
            head = next;
        }
        drop(head);
        assert_eq!(domain.in_flight(), 0);
    };
    std::thread::Builder::new().stack_size(256 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn who_sends_is_told_to_those_who_want_to_know_and_ends_what_is_read_at_once() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    other.set_option(net::SO_PASSCRED, &1_u32.to_ne_bytes(), false).unwrap();
    for (bytes, who) in [(b"a", ME), (b"b", ME), (b"c", OTHER)] {
        one.send(bytes, None, who, &mut Rights::new()).unwrap();
    }
    for (length, who) in [(2, ME), (1, OTHER)] {
        let received = other.receive(&mut [0; 9], Receiving::default()).unwrap();
        assert_eq!((received.copied, received.credentials), (length, Some(who)));
    }
    send(&other, b"x").unwrap();
    assert_eq!(one.receive(&mut [0; 9], Receiving::default()).unwrap().credentials, None);
}

#[test]
fn options_are_those_of_the_system_calls() {
    let domain = Domain::new();
    let socket = listener(&domain, Kind::SequencedPacket, b"l", 1);
    let number = |option| u32::from_ne_bytes(*socket.option(option).unwrap().first_chunk().unwrap());
    assert_eq!([net::SO_TYPE, net::SO_DOMAIN, net::SO_ACCEPTCONN, net::SO_ERROR].map(number), [5, 1, 1, 0]);
    let set = |option, value: u32, privileged| socket.set_option(option, &value.to_ne_bytes(), privileged);
    set(net::SO_SNDBUF, 10_000, false).unwrap();
    set(net::SO_RCVBUF, 1, false).unwrap();
    assert_eq!([net::SO_SNDBUF, net::SO_RCVBUF].map(number), [20_000, 4608]);
    assert_eq!(set(net::SO_SNDBUFFORCE, 9_000_000, false), Err(Errno::EPERM));
    set(net::SO_SNDBUF, u32::MAX, false).unwrap();
    assert_eq!(number(net::SO_SNDBUF), 2 * 212_992);
    set(net::SO_SNDBUFFORCE, 1 << 20, true).unwrap();
    assert_eq!(number(net::SO_SNDBUF), 2 << 20);
    assert_eq!(socket.set_option(net::SO_SNDBUF, &[1, 2], false), Err(Errno::EINVAL));
    assert_eq!((socket.option(999).err(), set(999, 1, false)), (Some(Errno::ENOPROTOOPT), Err(Errno::ENOPROTOOPT)));
    let (one, other) = Socket::pair(&domain, Kind::Stream, ME);
    send(&other, b"x").unwrap();
    drop(one);
    let error = [(); 2].map(|()| other.option(net::SO_ERROR).unwrap()[0]);
    assert_eq!(error.map(u16::from), [Errno::ECONNRESET.number(), 0]);
}

#[test]
fn a_message_that_is_wanted_whole_stays_if_the_buffer_is_too_small() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Datagram, ME);
    send(&one, b"four").unwrap();
    let whole = Receiving { whole: true, ..Receiving::default() };
    assert_eq!(other.receive(&mut [0; 3], whole).err(), Some(Errno::EMSGSIZE));
    assert_eq!(other.next_length(), 4);
    assert_eq!(other.receive(&mut [0; 4], whole).unwrap().copied, 4);
    assert_eq!(other.next_length(), 0);
}

#[test]
fn the_time_that_a_call_waits_can_be_set() {
    let socket = Socket::new(&Domain::new(), Kind::Datagram, ME);
    let time = |seconds: i64, microseconds: i64| [seconds.to_ne_bytes(), microseconds.to_ne_bytes()].concat();
    assert_eq!((socket.receive_patience_ns(), socket.send_patience_ns()), (None, None));
    socket.set_option(net::SO_RCVTIMEO_OLD, &time(2, 5), false).unwrap();
    socket.set_option(net::SO_SNDTIMEO_NEW, &time(-1, 0), false).unwrap();
    assert_eq!((socket.receive_patience_ns(), socket.send_patience_ns()), (Some(2_000_005_000), Some(1)));
    assert_eq!(socket.option(net::SO_RCVTIMEO_NEW).unwrap().as_slice(), time(2, 5));
    for (value, error) in [(time(0, 1_000_000), Errno::EDOM), (time(0, -1), Errno::EDOM), (vec![0; 15], Errno::EINVAL)]
    {
        assert_eq!(socket.set_option(net::SO_SNDTIMEO_OLD, &value, false), Err(error));
    }
    socket.set_option(net::SO_RCVTIMEO_OLD, &time(0, 0), false).unwrap();
    assert_eq!(socket.receive_patience_ns(), None);
}

#[test]
fn what_waits_can_be_counted() {
    let (one, other) = Socket::pair(&Domain::new(), Kind::Stream, ME);
    send(&one, &[0; 5000]).unwrap();
    let mut memory = Memory::new(4);
    let mut ask = |socket: &Socket, request| {
        socket.control(request, 0, &mut memory).map(|_| i32::from_ne_bytes(*memory.0.first_chunk().unwrap()))
    };
    assert_eq!(ask(&other, ioctl::FIONREAD), Ok(5000));
    assert!(ask(&one, ioctl::TIOCOUTQ).is_ok_and(|sent| sent >= 5000));
    assert_eq!(ask(&one, ioctl::TCGETS), Err(Errno::ENOTTY));
}

#[test]
fn credentials_are_laid_out_as_programs_expect() {
    assert_eq!((size_of::<net::ucred>(), core::mem::offset_of!(net::ucred, gid)), (Credentials::SIZE, 8));
    assert_eq!(Credentials::from_bytes(&OTHER.to_bytes()), OTHER);
}

#[test]
fn threads_that_send_receive_and_search_lose_nothing() {
    let domain = Domain::new();
    let count: Arc<AtomicUsize> = Arc::default();
    let (one, other) = Socket::pair(&domain, Kind::Stream, ME);
    let kept = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while sent < 200 {
                let (a, b) = Socket::pair(&domain, Kind::Stream, ME);
                let mut rights = vec![counted(sent, &count), description(a), description(b)];
                while one.send(b"x", None, ME, &mut rights).is_err() {
                    std::thread::yield_now();
                }
                sent += 1;
            }
        });
        scope.spawn(|| {
            let mut received = 0;
            while received < 200 {
                domain.free_lost();
                let Ok(message) = other.receive(&mut [0; 4], Receiving::default()) else { continue };
                assert_eq!(message.rights.len(), 3);
                kept.lock().unwrap().push(number_of(&message.rights[0]));
                received += 1;
            }
        });
    });
    assert_eq!(*kept.lock().unwrap(), (0..200).collect::<Vec<_>>());
    assert_eq!((count.load(Ordering::Relaxed), domain.in_flight()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_is_a_queue_of_bytes_and_files(
        steps in prop::collection::vec((0..4, prop_oneof![1..20_usize, 1..9000_usize], 0..3_u32), 1..60)
    ) {
        let domain = Domain::new();
        let count = Arc::default();
        let (one, other) = Socket::pair(&domain, Kind::Stream, ME);
        // Each byte, and the files that come with it.
        let mut model: VecDeque<(u8, Vec<u32>)> = VecDeque::new();
        let (mut next, mut file) = (0_u8, 0);
        for (step, size, files) in steps {
            if step < 2 {
                let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); next }).collect();
                let numbers: Vec<u32> = (0..if step == 0 { files } else { 0 }).map(|_| { file += 1; file }).collect();
                let rights = numbers.iter().map(|number| counted(*number, &count)).collect();
                match pass(&one, &bytes, rights) {
                    Ok(sent) => {
                        model.extend(bytes[..sent].iter().map(|byte| (*byte, Vec::new())));
                        let first = model.len() - sent;
                        model[first].1 = numbers;
                    }
                    Err(error) => prop_assert!(error == Errno::EAGAIN && model.len() > 1000),
                }
            } else {
                let mut bytes = vec![0; size];
                match other.receive(&mut bytes, Receiving { peek: step == 2, whole: false }) {
                    Ok(received) => {
                        let expected: Vec<_> = model.iter().take(received.copied).cloned().collect();
                        let text: Vec<u8> = expected.iter().map(|(byte, _)| *byte).collect();
                        prop_assert_eq!(&bytes[..received.copied], &text[..]);
                        let files: Vec<u32> = expected.iter().flat_map(|(_, files)| files.clone()).collect();
                        let found: Vec<u32> = received.rights.iter().map(number_of).collect();
                        prop_assert_eq!(found, files);
                        prop_assert!(expected.iter().filter(|(_, files)| !files.is_empty()).count() <= 1);
                        if step == 3 {
                            model.drain(..received.copied);
                        }
                    }
                    Err(error) => prop_assert!(error == Errno::EAGAIN && model.is_empty()),
                }
            }
            let waiting = model.iter().map(|(_, files)| files.len()).sum::<usize>();
            prop_assert_eq!((domain.in_flight(), count.load(Ordering::Relaxed)), (waiting, waiting));
            prop_assert_eq!(other.poll().contains(Readiness::IN), !model.is_empty());
        }
    }
}
