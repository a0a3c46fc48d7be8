//! A link over a pipe in memory, with the other end played by the test.
//! No server and no process: what is tested is order, deadlines and what a death does.

use super::alone::{Nobody, outgoing, run};
use super::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};

fn start() -> (Arc<Link>, tokio::io::DuplexStream) {
    let (ours, theirs) = duplex(1 << 20);
    let (link, queue) = Link::new(Arc::new(Nobody));
    let (reader, writer) = tokio::io::split(ours);
    tokio::spawn(read_lines(link.clone(), reader));
    tokio::spawn(write_lines(link.clone(), queue, writer));
    (link, theirs)
}

#[test]
fn answers_find_their_calls_in_any_order() {
    run(async {
        let (link, mut server) = start();
        let calls =
            async { tokio::join!(link.request(outgoing(&link, 1000)), link.request(outgoing(&link, 1000))) };
        let serve = async {
            let noise = b"hello\n\n{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n";
            server.write_all(noise).await.unwrap();
            for id in [2, 1] {
                let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{id}0}}\n");
                server.write_all(line.as_bytes()).await.unwrap();
            }
        };
        let ((first, second), ()) = tokio::join!(calls, serve);
        assert_eq!((first.unwrap().text(), second.unwrap().text()), ("10", "20"));
        assert_eq!(link.counters.noise.load(Relaxed), 1);
        assert_eq!(link.counters.late.load(Relaxed), 1);
    });
}

#[test]
fn a_deadline_cancels_at_the_server_and_a_late_answer_is_dropped() {
    run(async {
        let (link, server) = start();
        let error = link.request(outgoing(&link, 20)).await.unwrap_err();
        assert!(error.is(&codes::UPSTREAM_TIMEOUT));
        let mut lines = BufReader::new(server).lines();
        assert!(lines.next_line().await.unwrap().unwrap().contains("tools/call"));
        assert!(lines.next_line().await.unwrap().unwrap().contains(r#""requestId":1"#));
        assert_eq!(link.in_flight(), 0);
    });
}

#[test]
fn a_line_that_is_too_long_fails_its_call_and_nothing_else() {
    run(async {
        let (link, mut server) = start();
        let serve = async {
            server.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"").await.unwrap();
            for _ in 0..17 {
                server.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
            }
            server.write_all(b"\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}\n").await.unwrap();
        };
        let calls =
            async { tokio::join!(link.request(outgoing(&link, 9000)), link.request(outgoing(&link, 9000))) };
        let ((first, second), ()) = tokio::join!(calls, serve);
        assert!(first.unwrap_err().is(&codes::UPSTREAM_TOO_LARGE));
        assert_eq!(second.unwrap().text(), "1");
    });
}

#[test]
fn a_death_fails_every_call() {
    run(async {
        let (link, server) = start();
        let call = link.request(outgoing(&link, 5000));
        let death = async { drop(server) };
        let (outcome, ()) = tokio::join!(call, death);
        assert!(outcome.unwrap_err().is(&codes::UPSTREAM_DIED));
        assert!(link.request(outgoing(&link, 5000)).await.is_err());
    });
}
